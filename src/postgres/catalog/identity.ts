import { type QualifiedName, sqlName } from '../identifier.js'
import type { CatalogColumn, CatalogTable, LeafPartition } from './tables.js'

/** The facts of a table that decide about its key. */
export type KeyFacts = Pick<
  CatalogTable,
  | 'schema'
  | 'name'
  | 'kind'
  | 'columns'
  | 'replicaIdentity'
  | 'identityColumns'
  | 'primaryKey'
  | 'uniqueKeys'
  | 'partitions'
>

/** Whether publications here carry generated columns: `stored` ones since PostgreSQL 18, by publish_generated_columns. */
export type GeneratedColumns = 'none' | 'stored'

/** What an update or delete carries of the old row. */
export type Identity =
  /** All of it, and marked as whole. */
  | { readonly kind: 'full' }
  /** These columns; nothing may be read from the others. */
  | { readonly kind: 'columns'; readonly columns: readonly string[] }
  /** Nothing, at least in `lacking`: the server refuses UPDATE and DELETE there once they are published. */
  | { readonly kind: 'none'; readonly lacking: readonly QualifiedName[] }

/**
 * What every update and delete of the table carries. Of a partitioned table the leaf that holds the row decides, while
 * the root alone decides whether the old row is marked as whole: FULL on a root whose leaves are not is a lie, and
 * does not count.
 */
export function identityOf(table: KeyFacts, generated: GeneratedColumns): Identity {
  const own = ownIdentity(table, table.columns, generated)
  const leaves = publishedLeaves(table)
  if (table.kind !== 'partitioned' || leaves.length === 0) return own
  const identities = leaves.map((leaf) => ({ leaf, identity: ownIdentity(leaf, table.columns, generated) }))
  const lacking = identities.filter(({ identity }) => identity.kind === 'none').map(({ leaf }) => leaf)
  if (lacking.length > 0) return { kind: 'none', lacking }
  if (own.kind === 'full' && identities.every(({ identity }) => identity.kind === 'full')) return own
  let columns = publishedColumns(table.columns, generated)
  for (const { identity } of identities) {
    if (identity.kind === 'columns') columns = columns.filter((name) => identity.columns.includes(name))
  }
  return { kind: 'columns', columns }
}

function ownIdentity(
  relation: QualifiedName & Pick<CatalogTable, 'replicaIdentity' | 'identityColumns'>,
  columns: readonly CatalogColumn[],
  generated: GeneratedColumns,
): Identity {
  if (relation.replicaIdentity === 'full') return { kind: 'full' }
  const published = publishedColumns(columns, generated)
  const sent = relation.identityColumns?.filter((name) => published.includes(name)) ?? []
  return sent.length > 0 ? { kind: 'columns', columns: sent } : { kind: 'none', lacking: [relation] }
}

/** Those whose changes the server can publish. */
function publishedLeaves({ partitions }: Pick<KeyFacts, 'partitions'>): LeafPartition[] {
  return partitions.filter((leaf) => leaf.kind === 'ordinary' && leaf.persistence === 'permanent')
}

function publishedColumns(columns: readonly CatalogColumn[], generated: GeneratedColumns): string[] {
  return columns.filter((column) => isPublished(column, generated)).map(({ name }) => name)
}

export function isPublished(column: Pick<CatalogColumn, 'generated'>, generated: GeneratedColumns): boolean {
  return column.generated === undefined || column.generated === generated
}

/**
 * The generated column, if any, for which PostgreSQL 18 refuses every UPDATE and DELETE of the table once they are
 * published: one that the replica identity has and the publication does not. Older servers accept it, and do not
 * send the column.
 */
export function refusedGeneratedColumn(table: KeyFacts, generated: GeneratedColumns): CatalogColumn | undefined {
  const unpublished = table.columns.filter((column) => !isPublished(column, generated))
  const owners = [table, ...publishedLeaves(table)]
  return unpublished.find(({ name }) =>
    owners.some((owner) => owner.replicaIdentity === 'full' || owner.identityColumns?.includes(name)),
  )
}

/** The SQL that makes the old row whole: for the table, and each of its leaves, that is not FULL yet. */
export function replicaIdentityFullSql(table: KeyFacts): string {
  return [table, ...publishedLeaves(table)]
    .filter(({ replicaIdentity }) => replicaIdentity !== 'full')
    .map((relation) => `ALTER TABLE ${sqlName(relation)} REPLICA IDENTITY FULL;`)
    .join(' ')
}

/** The SQL that takes FULL back from the table and its leaves; without a primary key to fall back on it adds one. */
export function replicaIdentityDefaultSql(table: KeyFacts): string {
  const { primaryKey } = table
  const key = `ALTER TABLE ${sqlName(table)} ADD PRIMARY KEY (…); `
  const full = [table, ...publishedLeaves(table)].filter(({ replicaIdentity }) => replicaIdentity === 'full')
  const identity = full.map((relation) => `ALTER TABLE ${sqlName(relation)} REPLICA IDENTITY DEFAULT;`).join(' ')
  return primaryKey === undefined || primaryKey.deferrable ? key + identity : identity
}
