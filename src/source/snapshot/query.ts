import type { CatalogTable } from '../../postgres/catalog/tables.js'
import { quoteIdentifier, quoteQualified, sqlName } from '../../postgres/identifier.js'
import type { SnapshotUnit } from './units.js'

export interface UnitQuery {
  /** The table's columns in the stream's order. */
  readonly columns: readonly string[]
  /** Of these the ones to read; the others come as NULL, so that rows have the stream's layout and cost nothing. */
  readonly read: ReadonlySet<string>
  /** Also read where the row lies, as a last column: it stands for the key of a table that has none. */
  readonly withPlace: boolean
  /** SQL of the publication's row filter. */
  readonly rowFilter: string | undefined
  /** Rows in binary format. */
  readonly isBinary?: boolean | undefined
}

/** What stands behind the query of a COPY. */
export function copyTarget({ isBinary }: UnitQuery): string {
  return isBinary === true ? 'TO STDOUT (FORMAT binary)' : 'TO STDOUT'
}

/** `COPY (SELECT …) TO STDOUT` of one unit. */
export function copySql(unit: SnapshotUnit, query: UnitQuery): string {
  const conditions: string[] = []
  if (unit.fromPage > 0) conditions.push(`ctid >= '(${unit.fromPage},0)'::tid`)
  if (unit.toPage !== undefined) conditions.push(`ctid < '(${unit.toPage},0)'::tid`)
  if (unit.since !== undefined) {
    const xid = (unit.since % 2n ** 32n).toString()
    conditions.push(`pg_catalog.age(xmin) <= pg_catalog.age('${xid}'::pg_catalog.xid)`)
  }
  if (query.rowFilter !== undefined) conditions.push(`(${query.rowFilter})`)
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  const { schema, name } = unit.relation
  return `COPY (SELECT ${selectList(unit.table, query)} FROM ONLY ${quoteQualified(schema, name)}${where}) ${copyTarget(query)}`
}

/** What is selected: a column for each of the table's, and the row's place if it is wanted. */
export function selectList(table: CatalogTable, query: UnitQuery): string {
  const columns = query.columns.map((name) => (query.read.has(name) ? quoteIdentifier(name) : 'NULL'))
  if (query.withPlace) columns.push(table.kind === 'partitioned' ? 'tableoid::text || ctid::text' : 'ctid::text')
  return columns.join(', ')
}

/**
 * Locks a table against a rewrite (and dropping) while it is read, its partitions with it. Takes no snapshot, so as the
 * first statement of a transaction it makes sure that what is read afterwards is there (design section 3, rule 8).
 */
export function lockSql(tables: readonly CatalogTable[]): string {
  const names = tables.map((table) => (table.kind === 'ordinary' ? `ONLY ${sqlName(table)}` : sqlName(table)))
  return `LOCK TABLE ${names.join(', ')} IN ACCESS SHARE MODE`
}
