import { quoteIdentifier, quoteLiteral, sqlName } from '../../postgres/identifier.js'
import type { OrderKey, Part } from './pollState.js'
import { ALIAS, type OrderColumn, type PollTable } from './pollTable.js'
import { unseenSql } from './seen.js'

export interface PageRange {
  /** The last row that was read of the table; undefined: it begins. */
  readonly after: OrderKey | undefined
  /** The part that is read, from there on. */
  readonly part: Part
  /** With a cursor column: what lies at or below it is not looked at. */
  readonly floor: string | undefined
  readonly limit: number
}

/**
 * Where in a row of {@link pageSql} what is no column of the table stands: first, of a table without a key, its place,
 * as the snapshot has it.
 */
export function extrasOf({ table, order }: PollTable): { xmin: number; order: number; total: number } {
  const xmin = table.columns.length + (table.key.length === 0 ? 1 : 0)
  return { xmin, order: xmin + 1, total: xmin + 1 + order.length }
}

/** One page of the rows of a part that were not seen yet, in order: the columns, `xmin`, and what the order is by. */
export function pageSql(table: PollTable, { after, part, floor, limit }: PageRange, xmax: number): string {
  const { catalog, columns, read, order } = table
  const selected = columns.map((name) => (read.has(name) ? quoteIdentifier(name) : 'NULL'))
  if (table.table.key.length === 0) selected.push('ctid::pg_catalog.text')
  selected.push('xmin', ...order.map(({ sql }) => sql))
  const conditions: string[] = []
  if (floor !== undefined) conditions.push(aboveFloor(order[0]!, floor))
  if (after !== undefined) conditions.push(afterSql(order, after))
  if (part.to !== undefined) conditions.push(`NOT coalesce(${afterSql(order, part.to)}, false)`)
  if (part.seen !== undefined) conditions.push(unseenSql(part.seen, xmax))
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.map((one) => `(${one})`).join(' AND ')}`
  const sorted = order.map(({ sql, nullable }) => (nullable ? `${sql} NULLS FIRST` : sql)).join(', ')
  const from = catalog.kind === 'ordinary' ? `ONLY ${sqlName(catalog)}` : sqlName(catalog)
  return `COPY (SELECT ${selected.join(', ')} FROM ${from} ${ALIAS}${where} ORDER BY ${sorted} LIMIT ${limit}) TO STDOUT`
}

/** NULL is below everything, and nothing says that it was seen. Values as coarse as a date may come again: so also the floor's own. */
function aboveFloor({ sql, type, nullable }: OrderColumn, floor: string): string {
  const above = `${sql} >= ${valueSql(floor, type)}`
  return nullable ? `${sql} IS NULL OR ${above}` : above
}

/** Behind `key` in the order. Only the first column may be NULL, and NULLs come first. */
function afterSql(order: readonly OrderColumn[], key: OrderKey): string {
  const [first, ...rest] = order
  if (key[0] === null) {
    const same = rest.length === 0 ? 'false' : rowAfter(rest, key.slice(1))
    return `${first!.sql} IS NOT NULL OR ${same}`
  }
  return rowAfter(order, key)
}

function rowAfter(order: readonly OrderColumn[], key: OrderKey): string {
  const columns = order.map(({ sql }) => sql).join(', ')
  const values = order.map(({ type }, index) => valueSql(key[index]!, type)).join(', ')
  return order.length === 1 ? `${columns} > ${values}` : `(${columns}) > (${values})`
}

function valueSql(text: string | null, type: string): string {
  return text === null ? 'NULL' : `${quoteLiteral(text)}::${type}`
}

/** The higher of two values of the cursor column, of which `known` may be missing. */
export function higherSql({ type }: OrderColumn, known: string | undefined, other: string): string {
  const values = [known, other].filter((value) => value !== undefined).map((value) => valueSql(value, type))
  return `SELECT greatest(${values.join(', ')})::pg_catalog.text AS value`
}

/**
 * `top`, but no later than now: a row dated into the future must not hide what comes until then. What a later
 * transaction takes from the server's clock lies behind the beginning of this one. A timestamp without time zone may be
 * anywhere on earth's local time.
 */
export function trustedSql({ type }: OrderColumn, top: string): string {
  const now = 'pg_catalog.transaction_timestamp()'
  const local = `((${now} AT TIME ZONE 'UTC') + '14 hours'::pg_catalog.interval)`
  const latest = / with time zone$/.test(type) ? now : local
  const value = DATED.test(type) ? `least(${valueSql(top, type)}, ${latest}::${type})` : valueSql(top, type)
  return `SELECT ${value}::pg_catalog.text AS value`
}

const DATED = /^(timestamp\b.*|date)$/
