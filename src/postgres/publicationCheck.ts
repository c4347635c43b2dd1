import { PUBLICATION_UNFIT } from '../core/errors.js'
import type { TailraceError } from '../core/tailraceError.js'
import {
  identityOf,
  type KeyFacts,
  refusedGeneratedColumn,
  replicaIdentityDefaultSql,
  replicaIdentityFullSql,
} from './catalog/identity.js'
import type { CatalogTable } from './catalog/tables.js'
import { type QualifiedName, quoteIdentifier, sqlName } from './identifier.js'
import {
  addTablesSql,
  createPublicationSql,
  type Publication,
  type PublishedOperations,
  removeTablesSql,
} from './publication.js'

export interface WantedPublication {
  readonly tables: readonly WantedTable[]
  readonly operations: PublishedOperations
}

export type WantedTable = Pick<CatalogTable, 'oid' | 'ancestors' | 'hasChildren'> & KeyFacts

/** One way in which a publication does not carry what is wanted, or does harm. */
export interface PublicationFinding {
  readonly kind:
    | 'tables missing'
    | 'operations missing'
    | 'row filter'
    | 'column list'
    | 'not via root'
    | 'published as root'
    | 'updates published'
    | 'replica identity missing'
    | 'generated column unpublished'
  readonly message: string
  /** What mends it, and what that alters (`nothing`: another publication is made). We never alter tables. */
  readonly sql: string
  readonly alters: 'publication' | 'table' | 'nothing'
  /** Names of the tables that it is about. */
  readonly tables: readonly string[]
}

const OPERATIONS = { all: ['insert', 'update', 'delete', 'truncate'], inserts: ['insert', 'truncate'] } as const

/** What keeps the publication from carrying every row and change of the wanted tables, each as the table it is. */
export function checkPublication(publication: Publication, wanted: WantedPublication): PublicationFinding[] {
  const { tables, operations } = wanted
  return [
    ...missingTables(publication, tables),
    ...missingOperations(publication, operations),
    ...tables.flatMap((table) => restrictions(publication, table)),
    ...notViaRoot(publication, tables),
    ...tables.flatMap((table) => publishedAsRoot(publication, table)),
    ...(operations === 'all'
      ? tables.flatMap((table) => [...identityMissing(publication, table), ...generatedUnpublished(publication, table)])
      : updatesPublished(publication, tables)),
  ]
}

/** All findings as one error; undefined when there are none. */
export function publicationError(name: string, findings: readonly PublicationFinding[]): TailraceError | undefined {
  if (findings.length === 0) return undefined
  return PUBLICATION_UNFIT({
    publication: quoteIdentifier(name),
    problems: findings.map(({ message }) => message),
    sql: [...new Set(findings.map(({ sql }) => sql))].join('\n'),
    manageable: findings.every(({ alters }) => alters === 'publication'),
  })
}

/** Whether it carries the table's changes, as those of the table or of one above it. */
export function publishes(publication: Publication, table: WantedTable): boolean {
  return [table, ...table.ancestors].some((one) => isPublished(publication, one))
}

function isPublished(publication: Publication, table: QualifiedName & { readonly oid: number }): boolean {
  if (publication.allTables || publication.schemas.includes(table.schema)) return true
  return publication.tables.some(({ oid }) => oid === table.oid)
}

function missingTables(publication: Publication, wanted: readonly WantedTable[]): PublicationFinding[] {
  const missing = wanted.filter((table) => !publishes(publication, table))
  if (missing.length === 0) return []
  const tables = missing.map(sqlName)
  const message = `it lacks ${tables.join(', ')}`
  return [
    { kind: 'tables missing', message, sql: addTablesSql(publication.name, missing), alters: 'publication', tables },
  ]
}

function missingOperations(publication: Publication, operations: PublishedOperations): PublicationFinding[] {
  const missing = OPERATIONS[operations].filter((operation) => !publication[operation])
  if (missing.length === 0) return []
  return [
    {
      kind: 'operations missing',
      message: `it does not publish ${missing.join(', ')}`,
      sql: setPublishSql(publication, operations),
      alters: 'publication',
      tables: [],
    },
  ]
}

function setPublishSql({ name }: Publication, operations: PublishedOperations): string {
  return `ALTER PUBLICATION ${quoteIdentifier(name)} SET (publish = '${OPERATIONS[operations].join(', ')}');`
}

function restrictions({ name, tables: members }: Publication, table: WantedTable): PublicationFinding[] {
  const member = members.find(({ oid }) => oid === table.oid)
  if (member === undefined) return []
  const { rowFilter, columns } = member
  const sql = `BEGIN; ${removeTablesSql(name, [table])} ${addTablesSql(name, [table])} COMMIT;`
  const found = { sql, alters: 'publication', tables: [sqlName(table)] } as const
  const findings: PublicationFinding[] = []
  if (rowFilter !== undefined) {
    findings.push({ kind: 'row filter', message: `it filters the rows of ${sqlName(table)} by ${rowFilter}`, ...found })
  }
  if (columns !== undefined) {
    const list = columns.map(quoteIdentifier).join(', ')
    findings.push({ kind: 'column list', message: `it has of ${sqlName(table)} only the columns ${list}`, ...found })
  }
  return findings
}

function notViaRoot({ name, viaRoot }: Publication, wanted: readonly WantedTable[]): PublicationFinding[] {
  const tables = wanted.filter(({ kind }) => kind === 'partitioned').map(sqlName)
  if (viaRoot || tables.length === 0) return []
  return [
    {
      kind: 'not via root',
      message: `it publishes the partitions of ${tables.join(', ')} one by one`,
      sql: `ALTER PUBLICATION ${quoteIdentifier(name)} SET (publish_via_partition_root = true);`,
      alters: 'publication',
      tables,
    },
  ]
}

/** A partition captured by itself: its changes must not come as those of a table above it. */
function publishedAsRoot(publication: Publication, table: WantedTable): PublicationFinding[] {
  const root = publication.viaRoot ? table.ancestors.findLast((above) => isPublished(publication, above)) : undefined
  if (root === undefined) return []
  const message = `it publishes the rows of partition ${sqlName(table)} as those of ${sqlName(root)}: capture that, or give the partition a publication of its own`
  const sql = createPublicationSql({
    name: `${publication.name}_partitions`,
    tables: [table],
    operations: 'all',
    serverVersion: publication.serverVersion,
  })
  return [{ kind: 'published as root', message, sql, alters: 'nothing', tables: [sqlName(table)] }]
}

function updatesPublished(publication: Publication, wanted: readonly WantedTable[]): PublicationFinding[] {
  if (!publication.update && !publication.delete) return []
  const tables = wanted.map(sqlName)
  const message = `it publishes updates or deletes, which makes them fail on tables without replica identity`
  const sql = setPublishSql(publication, 'inserts')
  return [{ kind: 'updates published', message, sql, alters: 'publication', tables }]
}

function identityMissing({ generatedColumns }: Publication, table: WantedTable): PublicationFinding[] {
  const identity = identityOf(table, generatedColumns)
  if (identity.kind !== 'none') return []
  const tables = identity.lacking.map(sqlName)
  const message = `it makes UPDATE and DELETE fail on ${tables.join(', ')}, which have no replica identity`
  return [{ kind: 'replica identity missing', message, sql: replicaIdentityFullSql(table), alters: 'table', tables }]
}

function generatedUnpublished(publication: Publication, table: WantedTable): PublicationFinding[] {
  if (publication.serverVersion < 180000) return []
  const column = refusedGeneratedColumn(table, publication.generatedColumns)
  if (column === undefined) return []
  const stored = column.generated === 'stored'
  const sql = stored
    ? `ALTER PUBLICATION ${quoteIdentifier(publication.name)} SET (publish_generated_columns = stored);`
    : replicaIdentityDefaultSql(table)
  const alters = stored ? 'publication' : 'table'
  const message = `it makes UPDATE and DELETE fail on ${sqlName(table)}, since it does not publish the generated column ${quoteIdentifier(column.name)} of the replica identity`
  return [{ kind: 'generated column unpublished', message, sql, alters, tables: [sqlName(table)] }]
}
