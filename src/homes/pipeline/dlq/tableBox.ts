import { explained } from '../../../destination/failure.js'
import {
  type ConnectionOptions,
  describeConnection,
  parseConnectionString,
} from '../../../postgres/connectionString.js'
import { quoteQualified } from '../../../postgres/identifier.js'
import { Session } from '../../../postgres/session.js'
import type { LetterPlace } from '../../../sinks/deadLetters/letterPlace.js'
import { type Letter, type LetterFilter, meansLetter } from './letter.js'
import type { LetterBox, NewCause } from './letterBox.js'

/** Read at once: records may be large. */
const AT_ONCE = 50

interface Row {
  readonly number: string
  readonly at: string
  readonly id: string
  readonly target: string
  readonly sqlstate: string | null
  readonly problem: string
  readonly record: string
}

const COLUMNS = `number::pg_catalog.text AS number,
  pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at,
  id, target, sqlstate, problem, record::pg_catalog.text AS record`

/** Dead letters in the table `dead_letter` of a database; none beyond `end` (what is recorded; undefined: all). */
export class TableBox implements LetterBox {
  readonly place: string
  readonly #connection: ConnectionOptions
  readonly #name: string
  readonly #source: string
  readonly #end: string | undefined
  #session: Session | undefined

  constructor({ url, schema, source }: LetterPlace & { readonly kind: 'table' }, end: string | undefined) {
    this.#connection = parseConnectionString(url)
    this.#name = quoteQualified(schema, 'dead_letter')
    this.#source = source
    this.#end = end
    this.place = `table ${this.#name} of ${describeConnection(this.#connection)}`
  }

  /** Each statement is a transaction of its own, and a letter that somebody else has taken out is just not there. */
  async claim(): Promise<void> {}

  async *letters(filter: LetterFilter): AsyncIterable<Letter> {
    const isMeant = meansLetter(filter)
    const limit = filter.limit ?? Number.POSITIVE_INFINITY
    if (!(await this.#isThere())) return
    let after: string | undefined
    for (let given = 0; ; ) {
      const rows = await this.#query<Row>(
        `SELECT ${COLUMNS} FROM ${this.#name}
          WHERE source = $1
            AND ($2::pg_catalog.int8 IS NULL OR number >= $2)
            AND ($3::pg_catalog.int8 IS NULL OR number > $3)
            AND ($4::pg_catalog.int8 IS NULL OR number <= $4)
            AND ($5::pg_catalog.int8 IS NULL OR number <= $5)
            AND ($6::pg_catalog.text IS NULL OR sqlstate = $6)
            AND ($7::pg_catalog.timestamptz IS NULL OR at >= $7)
            AND ($8::pg_catalog.text IS NULL OR id = $8)
          ORDER BY ${this.#name}.number LIMIT ${AT_ONCE}`,
        [
          ...[this.#source, filter.from ?? null, after ?? null, filter.to ?? null, this.#end ?? null],
          ...[filter.sqlstate ?? null, filter.since?.toISOString() ?? null, filter.id ?? null],
        ],
      )
      for (const row of rows) {
        const letter: Letter = { ...row, source: this.#source, sqlstate: row.sqlstate ?? undefined }
        if (!isMeant(letter)) continue
        yield letter
        if (++given >= limit) return
      }
      if (rows.length < AT_ONCE || filter.gone?.()) return
      after = rows.at(-1)!.number
    }
  }

  async find(number: string): Promise<Letter | undefined> {
    if (!/^\d{1,18}$/.test(number)) return undefined
    for await (const letter of this.letters({ from: number, to: number })) return letter
    return undefined
  }

  async remove({ number }: Letter): Promise<void> {
    await this.#query(`DELETE FROM ${this.#name} WHERE source = $1 AND number = $2`, [this.#source, number])
  }

  async keep({ number }: Letter, { problem, sqlstate }: NewCause): Promise<void> {
    const values = [this.#source, number, problem, sqlstate ?? null]
    await this.#query(`UPDATE ${this.#name} SET problem = $3, sqlstate = $4 WHERE source = $1 AND number = $2`, values)
  }

  async settle(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.close()
  }

  async #isThere(): Promise<boolean> {
    const [row] = await this.#query<{ there: boolean }>(`SELECT pg_catalog.to_regclass($1) IS NOT NULL AS there`, [
      this.#name,
    ])
    return row!.there
  }

  async #query<R extends object>(sql: string, values: readonly unknown[]): Promise<R[]> {
    try {
      this.#session ??= await Session.connect(this.#connection)
      return await this.#session.query<R>(sql, values)
    } catch (error) {
      throw explained(error, [this.#name])
    }
  }
}
