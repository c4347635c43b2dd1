import type { ColumnOrigin, ReplicaIdentity } from '../../core/table.js'
import type { QualifiedName } from '../identifier.js'
import type { Queryable } from '../queryable.js'
import type { TablePattern } from '../tablePattern.js'
import { KINDS, listRelations, PERSISTENCE, type Persistence } from './relations.js'
import { chooseTables } from './tableChoice.js'
import {
  COLUMNS_SQL,
  type ColumnRow,
  type IndexRow,
  MEMBERS_SQL,
  type MemberRow,
  UNIQUE_INDEXES_SQL,
} from './tablesSql.js'

/** What the catalog says of a table that can be captured. */
export interface CatalogTable extends QualifiedName {
  readonly oid: number
  readonly kind: 'ordinary' | 'partitioned'
  readonly owner: string
  /** The planner's figure, of all partitions together; undefined when none was ever analyzed or vacuumed. */
  readonly estimatedRows: number | undefined
  /** Pages at the last vacuum or analyze, of all partitions together; see {@link measureTables} for those of now. */
  readonly pages: number
  readonly replicaIdentity: ReplicaIdentity
  /** Columns of the index that `pg_get_replica_identity_index` names; undefined when it names none. */
  readonly identityColumns: readonly string[] | undefined
  /** In attnum order, dropped ones left out. */
  readonly columns: readonly CatalogColumn[]
  readonly primaryKey: PrimaryKey | undefined
  /** Unique indexes that can serve as a key: immediate, valid, whole, and without columns that may be NULL. */
  readonly uniqueKeys: readonly UniqueKey[]
  /** The leaves of a partitioned table, through all levels. */
  readonly partitions: readonly LeafPartition[]
  /** The partitioned tables above, the nearest first, when it is itself a partition. */
  readonly ancestors: readonly (QualifiedName & { readonly oid: number })[]
  /** Has children by plain inheritance: `ONLY` leaves their rows out, and publications must say it too. */
  readonly hasChildren: boolean
  /** Row level security hides rows from the current user. */
  readonly rowSecurity: boolean
  /** The current user has USAGE on the schema. */
  readonly schemaUsable: boolean
  /** The current user has SELECT on the whole table; see also each column's. */
  readonly readable: boolean
}

export interface CatalogColumn {
  /** pg_attribute.attnum: stays the same when the column is renamed, is never used again. */
  readonly number: number
  readonly name: string
  readonly typeOid: number
  readonly typmod: number
  /** As `format_type` prints it. */
  readonly typeName: string
  /** By a constraint of the column that holds for all rows; a domain's does not count. */
  readonly notNull: boolean
  readonly generated: 'stored' | 'virtual' | undefined
  readonly readable: boolean
  /** See {@link ColumnOrigin}. */
  readonly before?: ColumnOrigin['before']
}

export interface UniqueKey {
  readonly name: string
  readonly columns: readonly string[]
}

export interface PrimaryKey extends UniqueKey {
  /** A deferrable primary key is neither a replica identity nor an arbiter of ON CONFLICT. */
  readonly deferrable: boolean
}

export interface LeafPartition extends QualifiedName {
  readonly oid: number
  /** The changes of a foreign table are never published, though a snapshot through the root reads its rows. */
  readonly kind: 'ordinary' | 'foreign table'
  /** The changes of an unlogged partition are never published either. */
  readonly persistence: Persistence
  readonly replicaIdentity: ReplicaIdentity
  readonly identityColumns: readonly string[] | undefined
  readonly estimatedRows: number | undefined
  readonly pages: number
  /** What a reader of the partition itself, not of its root, meets. */
  readonly rowSecurity: boolean
  readonly schemaUsable: boolean
  readonly readable: boolean
}

/** The tables that a list means, with all facts: five queries, however many there are. Takes no lock. */
export async function findTables(
  queryable: Queryable,
  include: readonly TablePattern[],
  exclude: readonly TablePattern[] = [],
): Promise<CatalogTable[]> {
  const chosen = chooseTables(await listRelations(queryable), include, exclude)
  return describeTables(
    queryable,
    chosen.map(({ oid }) => oid),
  )
}

/** The facts of the tables `oids`, in that order; those dropped meanwhile are left out. Three queries. */
export async function describeTables(queryable: Queryable, oids: readonly number[]): Promise<CatalogTable[]> {
  if (oids.length === 0) return []
  const members = await queryable.query<MemberRow>(MEMBERS_SQL, [oids])
  const columns = await queryable.query<ColumnRow>(COLUMNS_SQL, [oids])
  const indexes = await queryable.query<IndexRow>(UNIQUE_INDEXES_SQL, [members.map(({ oid }) => oid)])
  return assemble(oids, members, columns, indexes)
}

/** Bytes of each table's main fork now, by OID. Takes (for a moment) and so waits for an ACCESS SHARE lock on each. */
export async function measureTables(queryable: Queryable, oids: readonly number[]): Promise<Map<number, number>> {
  const rows = await queryable.query<{ oid: string; bytes: string | null }>(
    `SELECT t.oid::pg_catalog.text AS oid, pg_catalog.pg_relation_size(t.oid)::pg_catalog.text AS bytes
       FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS t (oid)`,
    [oids],
  )
  const present = rows.filter(({ bytes }) => bytes !== null)
  return new Map(present.map(({ oid, bytes }) => [Number(oid), Number(bytes)]))
}

const IDENTITIES: Readonly<Record<string, ReplicaIdentity>> = { d: 'default', n: 'nothing', f: 'full', i: 'index' }
const GENERATED: Readonly<Record<string, CatalogColumn['generated']>> = { s: 'stored', v: 'virtual' }

function assemble(
  oids: readonly number[],
  members: readonly MemberRow[],
  columns: readonly ColumnRow[],
  indexes: readonly IndexRow[],
): CatalogTable[] {
  const membersOf = groupBy(members, ({ root }) => root)
  const columnsOf = groupBy(columns, ({ table }) => table)
  const indexesOf = groupBy(indexes, ({ table }) => table)
  const tables: CatalogTable[] = []
  for (const oid of oids.map(String)) {
    const tree = membersOf.get(oid) ?? []
    const row = tree.find((member) => member.oid === oid)
    if (row === undefined) continue
    const leaves = tree.filter((member) => member !== row && KINDS[member.kind] !== 'partitioned')
    const partitions = leaves.map((leaf) => toLeaf(leaf, indexesOf.get(leaf.oid) ?? []))
    tables.push(toTable(row, partitions, columnsOf.get(oid) ?? [], indexesOf.get(oid) ?? []))
  }
  return tables
}

function toTable(
  row: MemberRow,
  partitions: readonly LeafPartition[],
  columnRows: readonly ColumnRow[],
  indexes: readonly IndexRow[],
): CatalogTable {
  const partitioned = KINDS[row.kind] === 'partitioned'
  const columns = columnRows.map(toColumn)
  return {
    oid: Number(row.oid),
    schema: row.schema,
    name: row.name,
    kind: partitioned ? 'partitioned' : 'ordinary',
    owner: row.owner,
    estimatedRows: partitioned ? sum(partitions.map((leaf) => leaf.estimatedRows)) : (row.rows ?? undefined),
    pages: partitioned ? partitions.reduce((pages, leaf) => pages + leaf.pages, 0) : row.pages,
    ...identityFacts(row, indexes),
    columns,
    primaryKey: primaryKeyOf(indexes),
    uniqueKeys: uniqueKeysOf(indexes, columns),
    partitions,
    ancestors: (JSON.parse(row.ancestors ?? '[]') as string[][]).map(toAncestor),
    hasChildren: row.has_children,
    rowSecurity: row.row_security,
    schemaUsable: row.schema_usable,
    readable: row.readable,
  }
}

function toLeaf(row: MemberRow, indexes: readonly IndexRow[]): LeafPartition {
  return {
    oid: Number(row.oid),
    schema: row.schema,
    name: row.name,
    kind: KINDS[row.kind] === 'foreign table' ? 'foreign table' : 'ordinary',
    persistence: PERSISTENCE[row.persistence]!,
    ...identityFacts(row, indexes),
    estimatedRows: row.rows ?? undefined,
    pages: Math.max(row.pages, 0),
    rowSecurity: row.row_security,
    schemaUsable: row.schema_usable,
    readable: row.readable,
  }
}

function toAncestor([oid, schema, name]: readonly string[]) {
  return { oid: Number(oid), schema: schema!, name: name! }
}

function toColumn(row: ColumnRow): CatalogColumn {
  return {
    number: row.number,
    name: row.name,
    typeOid: Number(row.type),
    typmod: row.typmod,
    typeName: row.type_name,
    notNull: row.not_null,
    generated: GENERATED[row.generated],
    readable: row.readable,
    before: row.is_computed ? undefined : row.missing,
  }
}

/** As RelationGetIndexList in relcache.c finds rd_replidindex, which is what pg_get_replica_identity_index gives. */
function identityFacts(row: MemberRow, indexes: readonly IndexRow[]) {
  const replicaIdentity = IDENTITIES[row.identity]!
  const index = indexes.find((one) => {
    if (!one.is_valid || !one.is_immediate || !one.is_whole) return false
    return replicaIdentity === 'default' ? one.is_primary : replicaIdentity === 'index' && one.is_identity
  })
  return { replicaIdentity, identityColumns: index?.columns }
}

function primaryKeyOf(indexes: readonly IndexRow[]): PrimaryKey | undefined {
  const index = indexes.find((one) => one.is_primary && one.is_valid)
  return index && { name: index.name, columns: index.columns, deferrable: !index.is_immediate }
}

function uniqueKeysOf(indexes: readonly IndexRow[], columns: readonly CatalogColumn[]): UniqueKey[] {
  const notNull = new Set(columns.filter((column) => column.notNull).map((column) => column.name))
  return indexes
    .filter((one) => !one.is_primary && one.is_valid && one.is_immediate && one.is_whole)
    .filter((one) => one.columns.every((name) => notNull.has(name)))
    .map(({ name, columns }) => ({ name, columns }))
}

/** Of the parts that are known: partitions that wait for their first rows are never analyzed. */
function sum(parts: readonly (number | undefined)[]): number | undefined {
  const known = parts.filter((part) => part !== undefined)
  if (known.length === 0 && parts.length > 0) return undefined
  return known.reduce((total, part) => total + part, 0)
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}
