import { RECORD_WITHOUT_KEY } from '../../../core/conduitErrors.js'
import { quoteIdentifier } from '../../../postgres/identifier.js'
import type { Part } from './parts.js'
import type { TargetEntry } from './targetTables.js'

/**
 * The columns by which the row of a record is found, none for a row that is only ever inserted: what the setting `key` names,
 * else the fields of the record's key, else the table's primary key, if `row` has it. Throws `RECORD_WITHOUT_KEY`.
 */
export function keyColumnsOf(
  entry: TargetEntry,
  key: Part | undefined,
  row: Part | undefined,
  operation: string,
): readonly string[] {
  const has = (column: string) => key?.columns.includes(column) === true || row?.columns.includes(column) === true
  const { chosenKey, primaryKey } = entry
  if (chosenKey !== undefined) {
    const lacking = chosenKey.filter((column) => !has(column))
    if (lacking.length === 0) return chosenKey
    throw withoutKey(entry, operation, `neither its key nor its row has ${lacking.map(quoteIdentifier).join(', ')}`)
  }
  if (key !== undefined && key.columns.length > 0) return key.columns
  if (primaryKey?.every(has) === true) return primaryKey
  if (operation !== 'update' && operation !== 'delete') return []
  throw withoutKey(entry, operation, 'it has none, and its row no primary key of the table')
}

/** That no part of the key is NULL. */
export function requireKey(entry: TargetEntry, column: string, text: string | null, operation: string): void {
  if (text === null) throw withoutKey(entry, operation, `column ${quoteIdentifier(column)} of it is NULL`)
}

function withoutKey(entry: TargetEntry, operation: string, problem: string): Error {
  return RECORD_WITHOUT_KEY({ table: entry.name, operation, problem })
}

/** `id=5, region=eu`; bytes and long texts are cut. */
export function keyText(columns: readonly string[], texts: readonly (string | null)[]): string {
  return columns.map((column, i) => `${column}=${shortened(texts[i] ?? 'NULL')}`).join(', ')
}

const LONGEST = 100

function shortened(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
}
