import { quoteQualified } from '../../src/postgres/identifier.js'
import type { Queryable } from '../../src/postgres/queryable.js'
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
    const replayed = replay.tables.get(name)!
    const actual = replayed.keyed ? await rowsByKey(queryable, table) : await countedRows(queryable, table)
    found.push(...compare(name, actual, replayed.rows))
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

async function rowsByKey(queryable: Queryable, { schema, name, key }: ChaosTable): Promise<Map<string, string>> {
  const columns = key.map((column) => `t.${column}`).join(', ')
  const rows = await queryable.query<{ key: string; row: string }>(
    `SELECT (SELECT row_to_json(k)::text FROM (SELECT ${columns}) AS k) AS key, row_to_json(t)::text AS row
       FROM ${quoteQualified(schema, name)} AS t`,
  )
  return new Map(rows.map(({ key, row }) => [key, row]))
}

async function countedRows(queryable: Queryable, { schema, name }: ChaosTable): Promise<Map<string, number>> {
  const rows = await queryable.query<{ row: string; count: number }>(
    `SELECT row_to_json(t)::text AS row, count(*)::int AS count FROM ${quoteQualified(schema, name)} AS t GROUP BY 1`,
  )
  return new Map(rows.map(({ row, count }) => [row, count]))
}
