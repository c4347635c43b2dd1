import { createDeadLettersSql, type DeadLetterRow } from '../../destination/deadLetters.js'
import { explained } from '../../destination/failure.js'
import { type Backend, connectToWrite } from '../../destination/writeSession.js'
import { parseConnectionString } from '../../postgres/connectionString.js'
import { quoteIdentifier, quoteQualified } from '../../postgres/identifier.js'
import type { Session } from '../../postgres/session.js'
import type { SinkMark } from '../sink.js'
import type { LetterStore } from './letterStore.js'

export interface LetterTableOptions {
  readonly url: string | undefined
  readonly schema: string
  /** What stands in the column `source`. */
  readonly source: string
}

/** Dead letters in the table `dead_letter` of a database. */
export class LetterTable implements LetterStore {
  readonly #options: LetterTableOptions
  readonly #name: string
  #session: Session | undefined
  #backend: Backend | undefined
  #last = '0'

  constructor(options: LetterTableOptions) {
    this.#options = options
    this.#name = quoteQualified(options.schema, 'dead_letter')
  }

  async open(mark: SinkMark | undefined): Promise<void> {
    const known = (mark ?? undefined) as { readonly number: string } | undefined
    const { url, source, schema } = this.#options
    const options = { replicationRole: 'origin', signal: undefined } as const
    const connected = await connectToWrite(parseConnectionString(url), options, this.#backend)
    this.#backend = connected.backend
    const { session } = connected
    this.#session = session
    await this.#asked(async () => {
      // A session that was lost may still be writing.
      await session.query('SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended($1, 0))', [
        `tailrace dead letters of ${source}`,
      ])
      const [there] = await session.query<{ schema: boolean; table: boolean }>(
        `SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1) AS schema,
                pg_catalog.to_regclass($2) IS NOT NULL AS table`,
        [schema, this.#name],
      )
      if (!there!.schema) await session.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`)
      if (!there!.table) await session.query(createDeadLettersSql(this.#name))
      if (known !== undefined) {
        await session.query(`DELETE FROM ${this.#name} WHERE source = $1 AND number > $2`, [source, known.number])
      }
      const [row] = await session.query<{ last: string }>(
        `SELECT coalesce(pg_catalog.max(number), 0)::pg_catalog.text AS last FROM ${this.#name} WHERE source = $1`,
        [source],
      )
      this.#last = row!.last
    })
  }

  async write(letters: readonly DeadLetterRow[]): Promise<void> {
    if (letters.length === 0) return
    await this.#asked(async () => {
      const rows = await this.#session!.query<{ number: string }>(
        `INSERT INTO ${this.#name} (source, id, target, sqlstate, problem, record)
         SELECT $1, l.id, l.target, l.sqlstate, l.problem, l.record::pg_catalog.json
           FROM pg_catalog.json_to_recordset($2) AS l (id pg_catalog.text, target pg_catalog.text,
                sqlstate pg_catalog.text, problem pg_catalog.text, record pg_catalog.text)
         RETURNING number::pg_catalog.text AS number`,
        [this.#options.source, JSON.stringify(letters)],
      )
      this.#last = rows.at(-1)!.number
    })
  }

  /** Each statement was committed. */
  async flush(): Promise<SinkMark> {
    return { number: this.#last }
  }

  async close(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.close()
  }

  async #asked(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      throw explained(error, [this.#name])
    }
  }
}
