import type { KeyColumn } from '../../postgres/catalog/keyColumns.js'
import type { CatalogTable } from '../../postgres/catalog/tables.js'
import { quoteIdentifier, quoteLiteral, sqlName } from '../../postgres/identifier.js'
import { copyTarget, selectList, type UnitQuery } from '../snapshot/query.js'
import { compareSql } from './compareSql.js'
import type { KeyText } from './stretches.js'

export interface Chunk {
  readonly table: CatalogTable
  readonly key: readonly KeyColumn[]
  /** Rows behind `from`, up to and including `to`, in the key's order, `limit` at most. */
  readonly from: KeyText | undefined
  readonly to: KeyText | undefined
  readonly limit: number | undefined
  readonly where: string | undefined
}

/** `COPY (SELECT …) TO STDOUT` of one chunk, its rows in the order of the key. */
export function chunkSql(chunk: Chunk, query: UnitQuery): string {
  const { table, key, limit } = chunk
  const conditions = [
    chunk.from && compareSql(key, columnsOf(key), '>', valuesOf(key, chunk.from)),
    chunk.to && compareSql(key, columnsOf(key), '<=', valuesOf(key, chunk.to)),
    ...restrictions(chunk, query),
  ].filter((condition) => condition !== undefined)
  const order = key.length === 0 ? '' : ` ORDER BY ${columnsOf(key).join(', ')}`
  const most = limit === undefined ? '' : ` LIMIT ${limit}`
  return copy(table, query, conditions, `${order}${most}`)
}

/** The one row of a key. */
export function rowSql(table: CatalogTable, key: readonly KeyColumn[], of: KeyText, query: UnitQuery): string {
  const restricted = restrictions({ where: undefined }, query)
  return copy(table, query, [compareSql(key, columnsOf(key), '=', valuesOf(key, of)), ...restricted], '')
}

function restrictions({ where }: Pick<Chunk, 'where'>, { rowFilter }: UnitQuery): string[] {
  return [rowFilter, where].filter((condition) => condition !== undefined).map((condition) => `(${condition}\n)`)
}

function copy(table: CatalogTable, query: UnitQuery, conditions: readonly string[], rest: string): string {
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  const only = table.kind === 'ordinary' ? 'ONLY ' : ''
  return `COPY (SELECT ${selectList(table, query)} FROM ${only}${sqlName(table)}${where}${rest}) ${copyTarget(query)}`
}

function columnsOf(key: readonly KeyColumn[]): string[] {
  return key.map(({ name }) => quoteIdentifier(name))
}

function valuesOf(key: readonly KeyColumn[], values: KeyText): string[] {
  return key.map(({ typeName }, column) => `${quoteLiteral(values[column]!)}::${typeName}`)
}
