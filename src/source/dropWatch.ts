import type { Queryable } from '../postgres/queryable.js'
import type { SourceEvent } from './events.js'

const LOOK_MS = 5000

/** Tells of captured tables that are dropped while the stream runs: their publication loses them without a word. */
export class DropWatch {
  readonly #timer: NodeJS.Timeout
  readonly #tables: Map<number, string>

  constructor(queryable: Queryable, tables: ReadonlyMap<number, string>, emit: (event: SourceEvent) => void) {
    this.#tables = new Map(tables)
    this.#timer = setInterval(() => void this.#look(queryable, emit), LOOK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #look(queryable: Queryable, emit: (event: SourceEvent) => void): Promise<void> {
    try {
      const gone = await queryable.query<{ oid: string }>(
        `SELECT t.oid::pg_catalog.text AS oid
           FROM pg_catalog.unnest($1::pg_catalog.int8[]) AS t (oid)
          WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.oid::pg_catalog.oid)`,
        [[...this.#tables.keys()]],
      )
      for (const { oid } of gone) {
        const table = this.#tables.get(Number(oid))
        if (table === undefined) continue
        this.#tables.delete(Number(oid))
        emit({ type: 'table-dropped', table })
      }
    } catch {
      // Only a courtesy: the stream itself tells when the server is gone.
    }
  }
}
