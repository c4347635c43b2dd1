import { VERIFY_COLUMNS_MISSING, VERIFY_COLUMNS_NONE } from '../core/verifyErrors.js'
import type { CatalogColumn, CatalogTable } from '../postgres/catalog/tables.js'
import { quoteIdentifier, sqlName } from '../postgres/identifier.js'
import { type Form, formOf } from './columnForm.js'

/** A column that both sides have, under one name. */
export interface PairedColumn {
  readonly name: string
  readonly source: CatalogColumn
  readonly target: CatalogColumn
  readonly form: Form
}

/** A table of the source, and what should be equal to it. */
export interface TablePair {
  readonly source: CatalogTable
  readonly target: CatalogTable
  /** What is compared, in the order of the source. */
  readonly columns: readonly PairedColumn[]
  /** What tells the rows apart, in key order; empty: rows are compared as a multiset. */
  readonly key: readonly PairedColumn[]
  /** How the two differ without harm, for people. */
  readonly notes: readonly string[]
}

export interface PairWishes {
  /** Names of the source's columns to compare; undefined: all. */
  readonly columns?: readonly string[] | undefined
  /** Names of the source's columns to tell rows apart by; undefined: the table's own key. */
  readonly key?: readonly string[] | undefined
}

/**
 * Which columns of the two tables are compared, and by which key their rows are matched: the user's, else the primary
 * key, else the shortest unique key, of the source. A column that the target lacks is an error, unless others were
 * chosen, or it is a generated one: logical replication does not carry these.
 */
export function pairTables(source: CatalogTable, target: CatalogTable, wishes: PairWishes = {}): TablePair {
  const inTarget = new Map(target.columns.map((column) => [column.name, column]))
  const wanted = wishes.columns && new Set([...wishes.columns, ...(wishes.key ?? ownKey(source, inTarget) ?? [])])
  const chosen = source.columns.filter(({ name }) => wanted?.has(name) ?? true)
  const lacking = chosen.filter(({ name }) => !inTarget.has(name))
  const named = new Set([...(wishes.columns ?? []), ...(wishes.key ?? [])])
  const missing = lacking.filter(({ name, generated }) => generated === undefined || named.has(name))
  if (missing.length > 0) {
    const columns = missing.map(({ name }) => quoteIdentifier(name))
    throw VERIFY_COLUMNS_MISSING({ table: sqlName(source), target: sqlName(target), columns })
  }
  const columns = chosen.flatMap((column) => pairOf(column, inTarget))
  if (columns.length === 0) throw VERIFY_COLUMNS_NONE({ table: sqlName(source), target: sqlName(target) })
  const key = (wishes.key ?? ownKey(source, inTarget) ?? []).map(
    (name) => columns.find((column) => column.name === name)!,
  )
  return { source, target, columns, key, notes: notesOf(source, target, columns) }
}

function pairOf(source: CatalogColumn, inTarget: ReadonlyMap<string, CatalogColumn>): PairedColumn[] {
  const target = inTarget.get(source.name)
  if (target === undefined) return []
  return [{ name: source.name, source, target, form: formOf(source.typeOid, target.typeOid) }]
}

/** The primary key, deferrable or not, else the shortest of the unique ones, that the target has the columns of. */
function ownKey(
  { primaryKey, uniqueKeys }: CatalogTable,
  inTarget: ReadonlyMap<string, CatalogColumn>,
): readonly string[] | undefined {
  const unique = [...uniqueKeys].sort((a, b) => a.columns.length - b.columns.length)
  const keys = primaryKey === undefined ? unique : [primaryKey, ...unique]
  return keys.find(({ columns }) => columns.every((name) => inTarget.has(name)))?.columns
}

function notesOf(source: CatalogTable, target: CatalogTable, columns: readonly PairedColumn[]): string[] {
  const compared = new Set(columns.map(({ name }) => name))
  const list = (rest: readonly CatalogColumn[]) => rest.map(({ name }) => quoteIdentifier(name)).join(', ')
  const notes: string[] = []
  const more = target.columns.filter(({ name }) => !source.columns.some((column) => column.name === name))
  if (more.length > 0) notes.push(`only the target has ${list(more)}`)
  const left = source.columns.filter(({ name }) => !compared.has(name))
  if (left.length > 0) notes.push(`not compared: ${list(left)}`)
  const places = columns.map((column) => column.target.number)
  if (places.some((place, at) => at > 0 && place < places[at - 1]!)) notes.push('the columns stand in another order')
  for (const { name, source: from, target: to } of columns) {
    if (from.typeName === to.typeName) continue
    notes.push(`${quoteIdentifier(name)} is ${from.typeName} in the source, ${to.typeName} in the target`)
  }
  return notes
}
