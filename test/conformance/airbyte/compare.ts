import type pg from 'pg'
import type { ProvedTable } from './tables.js'

/** A table whose rows are too many to be fetched is compared by sums of so many parts. */
const PARTS = 1000
const BY_SUMS = 'million'

export interface Cache {
  rows(sql: string): Promise<string[]>
}

/** What differs between a table and the cache's; undefined: nothing. */
export async function difference(source: pg.Client, cache: Cache, table: ProvedTable): Promise<string | undefined> {
  const [ours, theirs] = await Promise.all([sourceRows(source, table), cacheRows(cache, table)])
  const expected = counted(ours.map((row) => alike(row, table)))
  const found = counted(theirs.map((row) => alike(row, table)))
  const lacking = [...expected].filter(([row, times]) => (found.get(row) ?? 0) < times).map(([row]) => row)
  const tooMany = [...found].filter(([row, times]) => (expected.get(row) ?? 0) < times).map(([row]) => row)
  if (lacking.length === 0 && tooMany.length === 0) return undefined
  const shown = (rows: readonly string[]) => rows.slice(0, 3).map((row) => `\n    ${row.slice(0, 600)}`)
  return `${table.name}: the cache lacks ${lacking.length} rows${shown(lacking)}\n  and has ${tooMany.length} others${shown(tooMany)}`
}

async function sourceRows(source: pg.Client, { name, columns }: ProvedTable): Promise<string[]> {
  const values = columns.map((column) => column.source)
  const sql =
    name === BY_SUMS
      ? `SELECT json_build_array((id % ${PARTS})::text, md5(string_agg(concat_ws('|', ${values}), ',' ORDER BY id)))::text AS row
         FROM ${name} GROUP BY id % ${PARTS}`
      : `SELECT json_build_array(${values})::text AS row FROM ${name}`
  const { rows } = await source.query<{ row: string }>(sql)
  return rows.map(({ row }) => row)
}

async function cacheRows(cache: Cache, { name, columns, keyless }: ProvedTable): Promise<string[]> {
  const values = columns.map((column) => column.cache)
  if (name === BY_SUMS) {
    return cache.rows(`SELECT to_json([CAST(id % ${PARTS} AS VARCHAR), md5(string_agg(concat_ws('|', ${values}), ',' ORDER BY id))])::VARCHAR
      FROM ${name} WHERE _ab_cdc_deleted_at IS NULL GROUP BY id % ${PARTS}`)
  }
  const live = `SELECT to_json([${values}])::VARCHAR AS row FROM ${name} WHERE _ab_cdc_deleted_at IS NULL`
  if (!keyless) return cache.rows(live)
  const deleted = `SELECT to_json([${values}])::VARCHAR AS row FROM ${name} WHERE _ab_cdc_deleted_at IS NOT NULL`
  return cache.rows(`${live} EXCEPT ALL ${deleted}`)
}

function counted(rows: readonly string[]): Map<string, number> {
  const times = new Map<string, number>()
  for (const row of rows) times.set(row, (times.get(row) ?? 0) + 1)
  return times
}

/** Rows of both sides in one form: what is JSON by its value. */
function alike(row: string, { columns }: ProvedTable): string {
  const values = JSON.parse(row) as (string | null)[]
  const forms = values.map((value, index) => {
    return columns[index]?.json === true && value !== null ? sorted(JSON.parse(value)) : value
  })
  return JSON.stringify(forms)
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(fields.map(([name, one]) => [name, sorted(one)]))
}
