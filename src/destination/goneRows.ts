import type { ChunkRange } from '../core/record.js'
import { HEAD, HEAD_BUFFER, HEAD_NEW, HEAD_OPERATION, HEAD_TABLE, type RowBatch, SNAPSHOT } from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import { keyColumns } from '../postgres/catalog/keyColumns.js'
import { quoteIdentifier, quoteLiteral, sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'
import { compareSql } from '../source/scan/compareSql.js'
import type { Mode } from './modes.js'
import { findTargetTable, type TargetTable } from './targetTable.js'

/** OIDs from here on are of types that two databases number as they like. */
const FIRST_NORMAL_OID = 16384

/**
 * Deletes what a table that is read again no longer has: the target's rows whose keys lie in `range` and are none of the
 * batch's. `table` is the source's, undefined where no row of it was seen yet. Leaves them where the target may put keys
 * into another order than the source: by collation, as an enum, or in another type.
 */
export async function deleteGoneRows(
  queryable: Queryable,
  range: ChunkRange,
  rows: RowBatch,
  table: Table | undefined,
  target: Pick<TargetTable, 'schema' | 'name'>,
  mode: Mode,
): Promise<void> {
  if (mode.kind === 'history') return
  const facts = await findTargetTable(queryable, target)
  if (facts === undefined || range.key.length === 0) return
  const key = await keyColumns(queryable, facts.oid, range.key)
  if (key.length < range.key.length) return
  const isBounded = range.after !== undefined || range.upTo !== undefined
  const isComparable = key.every(({ name, typeOid, collate }) => {
    const of = table?.columns.find((column) => column.name === name)
    return collate === '' && of?.typeOid === typeOid && typeOid < FIRST_NORMAL_OID
  })
  if (isBounded && !isComparable) return
  const own = key.map(({ name }) => `t.${quoteIdentifier(name)}`)
  const bound = (texts: readonly string[]) => texts.map((text, i) => `${quoteLiteral(text)}::${key[i]!.typeName}`)
  const conditions = [
    ...(range.after === undefined ? [] : [compareSql(key, own, '>', bound(range.after))]),
    ...(range.upTo === undefined ? [] : [compareSql(key, own, '<=', bound(range.upTo))]),
  ]
  const there = keysOf(rows, range)
  if (there[0]!.length > 0) {
    const arrays = key.map((_, i) => `pg_catalog.unnest($${i + 1}::pg_catalog.text[])`)
    const typed = key.map(({ typeName, collate }, i) => `s.k${i}::${typeName}${collate}`)
    conditions.push(
      `NOT EXISTS (SELECT FROM ROWS FROM (${arrays.join(', ')}) AS s (${key.map((_, i) => `k${i}`).join(', ')})
                    WHERE ${compareSql(key, own, '=', typed)})`,
    )
  }
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.map((one) => `(${one})`).join(' AND ')}`
  const from = `${facts.partitioned ? '' : 'ONLY '}${sqlName(facts)} AS t`
  const marker = mode.kind === 'soft' ? quoteIdentifier(mode.added[0].name) : undefined
  const sql =
    marker === undefined
      ? `DELETE FROM ${from}${where}`
      : `UPDATE ${from} SET ${marker} = pg_catalog.now()${where === '' ? ' WHERE' : `${where} AND`} t.${marker} IS NULL`
  await queryable.query(sql, there[0]!.length > 0 ? there : undefined)
}

/** The texts of the range's key, column by column, of the rows of its table. */
function keysOf({ heads, count, tables, buffers, tape }: RowBatch, { schema, name, key }: ChunkRange): string[][] {
  const texts: string[][] = key.map(() => [])
  for (let head = 0; head < count * HEAD; head += HEAD) {
    const table = tables[heads[head + HEAD_TABLE]!]
    if (heads[head + HEAD_OPERATION] !== SNAPSHOT || table?.schema !== schema || table.name !== name) continue
    const bytes = buffers[heads[head + HEAD_BUFFER]!]!
    for (const [i, column] of key.entries()) {
      const pair = heads[head + HEAD_NEW]! + 2 * table.columns.findIndex((one) => one.name === column)
      const start = tape.values[pair]!
      texts[i]!.push(Buffer.from(bytes.buffer, bytes.byteOffset + start, tape.values[pair + 1]! - start).toString())
    }
  }
  return texts
}
