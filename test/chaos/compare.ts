import { quoteQualified } from '../../src/postgres/identifier.js'
import type { Queryable } from '../../src/postgres/queryable.js'
import { EXTRA_NAME, plainRow, splitRow } from './extraColumns.js'
import type { Replay } from './replay.js'
import { type ChaosTable, nameOf } from './tables.js'

const MAX_DIFFERENCES = 5

/** What the replayed output and the tables do not have in common, row by row in the server's own `to_json` text. */
export async function differences(
  queryable: Queryable,
  tables: readonly ChaosTable[],
  replay: Replay,
): Promise<string[]> {
  const found: string[] = []
  for (const table of tables) {
    const name = nameOf(table)
    if (!replay.captures(table)) continue
    const replayed = replay.tables.get(name)!
    if (!replayed.keyed) found.push(...compare(name, await countedRows(queryable, table), replayed.rows))
    else {
      const extra = await extraNumbers(queryable, table)
      const rows = new Map([...replayed.rows].map(([key, row]) => [key, plainRow(row, extra)]))
      found.push(...compare(name, await rowsByKey(queryable, table), rows))
    }
  }
  return found
}

function compare(
  name: string,
  actual: ReadonlyMap<string, string | number>,
  replayed: ReadonlyMap<string, string | number>,
): string[] {
  const found: string[] = []
  for (const [key, row] of actual) {
    const other = replayed.get(key)
    if (other !== row) found.push(`${name} ${key}: the table has ${row}, the output ${other}`)
  }
  for (const [key, row] of replayed) {
    if (!actual.has(key)) found.push(`${name} ${key}: the table has it no more, the output has ${row}`)
  }
  const more = found.length - MAX_DIFFERENCES
  return more > 0 ? [...found.slice(0, MAX_DIFFERENCES), `${name}: and ${more} more`] : found
}

/** Of the columns that it has beside those of its beginning. */
async function extraNumbers(queryable: Queryable, { schema, name }: ChaosTable): Promise<Set<string>> {
  const columns = await queryable.query<{ name: string }>(
    'SELECT column_name AS name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2',
    [schema, name],
  )
  return new Set(columns.flatMap((column) => EXTRA_NAME.exec(column.name)?.[1] ?? []))
}

async function rowsByKey(queryable: Queryable, { schema, name, key }: ChaosTable): Promise<Map<string, string>> {
  const columns = key.map((column) => `t.${column}`).join(', ')
  const rows = await queryable.query<{ key: string; row: string }>(
    `SELECT (SELECT row_to_json(k)::text FROM (SELECT ${columns}) AS k) AS key, row_to_json(t)::text AS row
       FROM ${quoteQualified(schema, name)} AS t`,
  )
  return new Map(rows.map(({ key, row }) => [key, plainRow(splitRow(row))]))
}

async function countedRows(queryable: Queryable, { schema, name }: ChaosTable): Promise<Map<string, number>> {
  const rows = await queryable.query<{ row: string; count: number }>(
    `SELECT row_to_json(t)::text AS row, count(*)::int AS count FROM ${quoteQualified(schema, name)} AS t GROUP BY 1`,
  )
  const counts = new Map<string, number>()
  for (const { row, count } of rows) {
    const plain = plainRow(splitRow(row))
    counts.set(plain, (counts.get(plain) ?? 0) + count)
  }
  return counts
}
