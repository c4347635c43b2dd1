import { sqlName } from '../../postgres/identifier.js'
import type { Queryable } from '../../postgres/queryable.js'
import type { SourceEvent } from '../events.js'

const LOOK_MS = 5000

// ACCESS SHARE stands in the way of ACCESS EXCLUSIVE only: whoever waits for that on our tables may wait for us.
const WAITING = `
  SELECT l.relation::pg_catalog.int8 AS oid, n.nspname AS schema, c.relname AS name, a.query AS statement
    FROM pg_catalog.pg_locks l
    JOIN pg_catalog.pg_class c ON c.oid = l.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
   WHERE NOT l.granted AND l.mode = 'AccessExclusiveLock'
     AND l.relation = ANY ($1::pg_catalog.int8[]::pg_catalog.oid[])`

/** Tells when another session (a migration, and everyone behind it) waits for a table that a snapshot reads. */
export class LockWatch {
  readonly #timer: NodeJS.Timeout
  readonly #reported = new Set<string>()

  constructor(queryable: Queryable, oids: readonly number[], emit: (event: SourceEvent) => void) {
    this.#timer = setInterval(() => void this.#look(queryable, oids, emit), LOOK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #look(queryable: Queryable, oids: readonly number[], emit: (event: SourceEvent) => void): Promise<void> {
    try {
      const waiting = await queryable.query<{ schema: string; name: string; statement: string | null }>(WAITING, [oids])
      for (const one of waiting) {
        const table = sqlName(one)
        if (this.#reported.has(table)) continue
        this.#reported.add(table)
        emit({ type: 'lock-waited-for', table, statement: one.statement ?? '' })
      }
    } catch {
      // Only a courtesy: the snapshot itself tells when the server is gone.
    }
  }
}
