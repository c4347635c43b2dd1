import type { TailraceError } from '../core/tailraceError.js'
import type { Queryable } from '../postgres/queryable.js'
import { sqlstateOf } from '../postgres/serverError.js'
import { serverText } from './failure.js'
import type { TargetTable } from './targetTable.js'

/** Why a row was rejected. */
export interface Rejection {
  readonly problem: string
  readonly sqlstate: string | undefined
  readonly column: string | undefined
  readonly constraint: string | undefined
  readonly hint: string | undefined
}

/** Without `queryable` nobody is asked for columns. */
export async function rejectionOf(
  queryable: Queryable | undefined,
  cause: TailraceError,
  { columns }: TargetTable,
): Promise<Rejection> {
  const { constraint, hint } = cause.details as Partial<Record<string, string>>
  const sqlstate = sqlstateOf(cause)
  return {
    problem: serverText(cause),
    sqlstate,
    column: queryable && (await blamedColumns(queryable, cause, columns.keys())),
    constraint,
    hint: hint ?? (sqlstate === undefined ? cause.hint : undefined),
  }
}

const COLUMNS_OF_CONSTRAINT_SQL = `
SELECT pg_catalog.string_agg(a.attname, ', ' ORDER BY k.place) AS columns
  FROM pg_catalog.pg_class t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  LEFT JOIN pg_catalog.pg_constraint c ON c.conrelid = t.oid AND c.conname = $3
  LEFT JOIN (pg_catalog.pg_index i JOIN pg_catalog.pg_class o ON o.oid = i.indexrelid)
         ON c.oid IS NULL AND i.indrelid = t.oid AND o.relname = $3
 CROSS JOIN LATERAL pg_catalog.unnest(coalesce(c.conkey, i.indkey::pg_catalog.int2[])) WITH ORDINALITY AS k (number, place)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
 WHERE n.nspname = $1 AND t.relname = $2`

/**
 * The columns that a rejection is about: as the server says, else those of the constraint, else where COPY stood. Undefined
 * where nobody knows, as of an error in a trigger.
 */
async function blamedColumns(
  queryable: Queryable,
  { details }: TailraceError,
  columns: Iterable<string>,
): Promise<string | undefined> {
  const { column, schema, table, constraint, where } = details as Partial<Record<string, string>>
  if (column !== undefined) return column
  if (schema !== undefined && table !== undefined && constraint !== undefined) {
    const [row] = await queryable.query<{ columns: string | null }>(COLUMNS_OF_CONSTRAINT_SQL, [
      schema,
      table,
      constraint,
    ])
    if (row!.columns !== null) return row!.columns
  }
  return where === undefined ? undefined : columnOfCopy(where, columns)
}

/** Of `COPY orders, line 1, column total: "x"`, whose words come in the server's language. */
function columnOfCopy(where: string, columns: Iterable<string>): string | undefined {
  const line = where.split('\n').find((one) => one.startsWith('COPY '))
  if (line === undefined) return undefined
  let found: string | undefined
  let first = Number.POSITIVE_INFINITY
  for (const name of columns) {
    const at = line.indexOf(` ${name}: `)
    if (at < 0 || at >= first) continue
    found = name
    first = at
  }
  return found
}
