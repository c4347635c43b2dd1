import type { Table } from '../../core/table.js'
import { quoteIdentifier, quoteLiteral, sqlName } from '../../postgres/identifier.js'
import type { Queryable } from '../../postgres/queryable.js'
import type { Request } from './gaps.js'

/** A table as the catalog has it by now: it may have another name than when its changes were written. */
export interface Target {
  /** As SQL. */
  readonly name: string
  readonly partitioned: boolean
  /** Its columns by name, those whose type is still what the stream says. */
  readonly columns: ReadonlyMap<string, TargetColumn>
  /** SQL of the publications' row filter: rows that it hides now are not read. */
  readonly rowFilter: string | undefined
}

interface TargetColumn {
  /** For a cast. */
  readonly type: string
  /** The same without domains, whose constraints a value need not meet again. */
  readonly baseType: string
  /** Its `=` is not everywhere in pg_catalog, and we have no search_path. */
  readonly equals: string
}

interface TargetRow {
  readonly schema: string
  readonly name: string
  readonly partitioned: boolean
  readonly column: string
  readonly type_oid: string
  readonly type: string
  readonly base_type: string
  readonly operator_schema: string
}

const TARGET_SQL = `
WITH RECURSIVE base (number, oid, kind) AS (
  SELECT a.attnum, t.oid, t.typtype
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
   WHERE a.attrelid = $1::pg_catalog.int8::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
   UNION ALL
  SELECT base.number, under.oid, under.typtype
    FROM base
    JOIN pg_catalog.pg_type t ON t.oid = base.oid
    JOIN pg_catalog.pg_type under ON under.oid = t.typbasetype
   WHERE base.kind = 'd'
)
SELECT n.nspname AS schema,
       c.relname AS name,
       c.relkind = 'p' AS partitioned,
       a.attname AS column,
       a.atttypid::pg_catalog.text AS type_oid,
       pg_catalog.format_type(a.atttypid, -1) AS type,
       pg_catalog.format_type(base.oid, -1) AS base_type,
       coalesce((SELECT pg_catalog.min(s.nspname::pg_catalog.text)
                   FROM pg_catalog.pg_operator o
                   JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace
                  WHERE o.oprname = '=' AND o.oprleft = base.oid AND o.oprright = base.oid), 'pg_catalog') AS operator_schema
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN base ON base.number = a.attnum AND base.kind <> 'd'
 WHERE c.oid = $1::pg_catalog.int8::pg_catalog.oid`

/** Undefined: the table is gone. */
export async function findTarget(queryable: Queryable, table: Table): Promise<Omit<Target, 'rowFilter'> | undefined> {
  const rows = await queryable.query<TargetRow>(TARGET_SQL, [table.oid])
  const [first] = rows
  if (first === undefined) return undefined
  const columns = new Map<string, TargetColumn>()
  for (const row of rows) {
    if (table.columns.find(({ name }) => name === row.column)?.typeOid !== Number(row.type_oid)) continue
    const equals = `OPERATOR(${quoteIdentifier(row.operator_schema)}.=)`
    columns.set(row.column, { type: row.type, baseType: row.base_type, equals })
  }
  return { name: sqlName(first), partitioned: first.partitioned, columns }
}

/** Whether the key and at least one of these columns are still there. */
export function canRead({ columns }: Target, table: Table, wanted: readonly number[]): boolean {
  const has = (index: number) => columns.has(table.columns[index]!.name)
  return table.key.every(has) && wanted.some(has)
}

/**
 * `COPY (SELECT …) TO STDOUT` of the requests' rows by their keys: the request's number, then `wanted` columns, NULL
 * where a request does not ask for one, so that no large value is read in vain. Joined, not `IN (…)`, which for keys of
 * several columns is a list of ORs.
 */
export function readSql(target: Target, table: Table, wanted: readonly number[], requests: readonly Request[]): string {
  const nameOf = (index: number) => table.columns[index]!.name
  const keys = table.key.map((index) => target.columns.get(nameOf(index))!)
  const rows = requests.map(({ key, columns }, number) => {
    const values = key.map((text, i) => {
      const literal = quoteLiteral(Buffer.from(text, 'latin1').toString())
      return number === 0 ? `${literal}::${keys[i]!.baseType}` : literal
    })
    return `(${[number, ...values, ...wanted.map((index) => columns.has(index))].join(',')})`
  })
  const names = ['n', ...keys.map((_, i) => `k${i}`), ...wanted.map((_, i) => `c${i}`)]
  const selected = wanted.map((index, i) => {
    const column = target.columns.get(nameOf(index))
    // The cast holds the type to what the codec reads, whatever happens to the column meanwhile.
    return column === undefined
      ? 'NULL'
      : `CASE WHEN w.c${i} THEN t.${quoteIdentifier(nameOf(index))}::${column.type} END`
  })
  const relation = `${target.partitioned ? '' : 'ONLY '}${target.name}`
  const from = target.rowFilter === undefined ? relation : `(SELECT * FROM ${relation} WHERE ${target.rowFilter})`
  const on = table.key.map((index, i) => `t.${quoteIdentifier(nameOf(index))} ${keys[i]!.equals} w.k${i}`)
  return `COPY (SELECT w.n, ${selected.join(', ')} FROM (VALUES ${rows.join(',')}) AS w (${names.join(', ')}) JOIN ${from} AS t ON ${on.join(' AND ')}) TO STDOUT`
}
