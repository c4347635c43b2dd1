import { jsonMembers, jsonText } from '../../../codec/payload/jsonRow.js'
import { textTarget } from '../../../codec/text/target.js'
import { findTargetTable, type TargetTable } from '../../../destination/targetTable.js'
import { TypeCatalog } from '../../../postgres/catalog/types.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { quoteIdentifier, sqlName } from '../../../postgres/identifier.js'
import { sqlstateOf } from '../../../postgres/serverError.js'
import { Session } from '../../../postgres/session.js'
import type { LetterRecord, LetterValues } from '../../../sinks/deadLetters/letterRecord.js'

const QUERY_CANCELED = '57014'

interface Known {
  readonly facts: TargetTable
  readonly types: TypeCatalog
}

/** What the source has now of the row that a letter is about; `unknown`: it cannot be compared, and why. */
export type Standing =
  | { readonly is: 'same' | 'other' | 'absent' }
  | { readonly is: 'unknown'; readonly problem: string }

/** The source's tables, asked for single rows. */
export class SourceLook implements AsyncDisposable {
  readonly #session: Session
  readonly #tables = new Map<string, Known | undefined>()

  /** `limitMs`: what takes longer is not waited for; 0: it is. */
  static async open(url: string | undefined, limitMs = 0): Promise<SourceLook> {
    const settings = { row_security: 'off', statement_timeout: String(limitMs) }
    return new SourceLook(await Session.connect(parseConnectionString(url), { settings }))
  }

  private constructor(session: Session) {
    this.#session = session
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.close()
  }

  /** Undefined: the source has no such table. */
  async table(record: LetterRecord): Promise<Known | undefined> {
    const name = { schema: record.schema, name: record.table }
    const key = sqlName(name)
    if (this.#tables.has(key)) return this.#tables.get(key)
    const facts = await findTargetTable(this.#session, name)
    const types = new TypeCatalog(this.#session)
    if (facts !== undefined) await types.load([...facts.columns.values()].map(({ typeOid }) => typeOid))
    const known = facts && { facts, types }
    this.#tables.set(key, known)
    return known
  }

  /** How the row of this key is now; `row`: what the letter has of it. */
  async stands(record: LetterRecord, key: LetterValues, row: LetterValues): Promise<Standing> {
    const table = await this.table(record)
    const name = sqlName({ schema: record.schema, name: record.table })
    if (table === undefined) return { is: 'unknown', problem: `the source has no table ${name}` }
    const { facts, types } = table
    const missing = [...key.keys(), ...row.keys()].find((column) => !facts.columns.has(column))
    if (missing !== undefined) {
      return { is: 'unknown', problem: `the source’s table ${name} has no column ${quoteIdentifier(missing)}` }
    }
    const textOf = (column: string, json: string) => {
      const type = types.get(facts.columns.get(column)!.typeOid)
      const target = type === undefined ? { kind: 'text' as const, array: false } : textTarget(type, { verbatim: true })
      return jsonText(json, target, column)
    }
    const wanted = [...new Set([...row.keys(), ...key.keys()])].map(quoteIdentifier).join(', ')
    const conditions = [...key.keys()].map((column, i) => {
      const { equals, stagingType } = facts.columns.get(column)!
      return `${quoteIdentifier(column)} ${equals} $${i + 1}::${stagingType.replace(/ COLLATE .*/, '')}`
    })
    const rows = await this.#inTime<{ row: string }>(
      `SELECT pg_catalog.to_json(r)::pg_catalog.text AS row
         FROM (SELECT ${wanted} FROM ${name} WHERE ${conditions.join(' AND ')} LIMIT 1) AS r`,
      [...key].map(([column, json]) => textOf(column, json)),
    )
    if (rows === undefined) return { is: 'unknown', problem: `the source took too long to find the row in ${name}` }
    const [found] = rows
    if (found === undefined) return { is: 'absent' }
    const now = jsonMembers(found.row)
    const differs = [...row].some(([column, json]) => textOf(column, json) !== textOf(column, now.get(column)!))
    return { is: differs ? 'other' : 'same' }
  }

  /** Undefined: it took too long. */
  async #inTime<Row extends object>(sql: string, values: readonly unknown[]): Promise<Row[] | undefined> {
    try {
      return await this.#session.query<Row>(sql, values)
    } catch (error) {
      if (sqlstateOf(error) !== QUERY_CANCELED) throw error
      return undefined
    }
  }
}
