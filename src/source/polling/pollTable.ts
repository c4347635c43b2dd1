import { POLLING_CURSOR_INVALID, POLLING_KEY_MISSING } from '../../core/errors.js'
import type { Table } from '../../core/table.js'
import type { CatalogTable } from '../../postgres/catalog/tables.js'
import { quoteIdentifier, sqlName } from '../../postgres/identifier.js'
import type { PlannedTable } from '../capturePlan.js'

/** Of the table in the queries: else ORDER BY would take a name for one of the output. */
export const ALIAS = 'polled'

/** One of the columns that a table is ordered by. */
export interface OrderColumn {
  readonly sql: string
  /** As SQL writes it: to read the value back from its text. */
  readonly type: string
  readonly nullable: boolean
}

/** A table as it is polled. */
export interface PollTable {
  readonly name: string
  readonly catalog: CatalogTable
  readonly table: Table
  /** Names of the columns, in the order of `table`. */
  readonly columns: readonly string[]
  /** Of these the ones to read; the others come as NULL. */
  readonly read: ReadonlySet<string>
  /** The first of `order` is a cursor column: what is far below its highest value is not looked at again. */
  readonly hasCursor: boolean
  readonly order: readonly OrderColumn[]
}

/** Orders the table by the cursor column, if there is one, then by a key or by where the rows lie; or refuses it. */
export function pollTable(planned: PlannedTable, table: Table, cursor: readonly string[] | undefined): PollTable {
  const { table: catalog, columns } = planned
  const name = sqlName(catalog)
  if (cursor !== undefined && cursor.length > 1) {
    throw POLLING_CURSOR_INVALID({ table: name, problem: 'it has one cursor column, not several' })
  }
  const leading = cursor?.map((column) => orderColumn(catalog, column)) ?? []
  const [first] = leading
  if (first !== undefined && UNORDERED.has(first.type)) {
    throw POLLING_CURSOR_INVALID({ table: name, problem: `values of type ${first.type} have no order` })
  }
  if (leading.length === 0 && planned.key.columns.length === 0) throw POLLING_KEY_MISSING({ table: name })
  const key = uniqueColumns(catalog)
  if (key === undefined && catalog.kind === 'partitioned') throw POLLING_KEY_MISSING({ table: name })
  const rest = key?.filter((column) => column !== cursor?.[0]).map((column) => orderColumn(catalog, column))
  return {
    name,
    catalog,
    table,
    columns,
    read: new Set([...table.selected, ...table.key].map((index) => table.columns[index]!.name)),
    hasCursor: first !== undefined,
    order: [...leading, ...(rest ?? [{ sql: `${ALIAS}.ctid`, type: 'pg_catalog.tid', nullable: false }])],
  }
}

const UNORDERED: ReadonlySet<string> = new Set(['json', 'xml', 'point', 'xid', 'cid'])

function orderColumn({ columns }: CatalogTable, name: string): OrderColumn {
  const column = columns.find((one) => one.name === name)!
  return { sql: `${ALIAS}.${quoteIdentifier(name)}`, type: column.typeName, nullable: !column.notNull }
}

/** What tells the rows apart, whatever key the user named for the records. */
function uniqueColumns({ primaryKey, uniqueKeys }: CatalogTable): readonly string[] | undefined {
  return primaryKey?.columns ?? uniqueKeys[0]?.columns
}

/** The columns as the server has them, to notice an alteration: compared with {@link SHAPE_SQL} under the lock. */
export function shapeOf({ columns }: CatalogTable): string {
  return columns.map(({ name, typeOid, typmod }) => `${name}:${typeOid}:${typmod}`).join(',')
}

/** Of the table with OID $1. */
export const SHAPE_SQL = `
  SELECT pg_catalog.string_agg(a.attname || ':' || a.atttypid || ':' || a.atttypmod, ',' ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped`
