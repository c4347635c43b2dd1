import { PUBLICATION_DENIED, PUBLICATION_ON_STANDBY } from '../core/errors.js'
import type { TailraceError } from '../core/tailraceError.js'
import type { GeneratedColumns } from './catalog/identity.js'
import { type QualifiedName, quoteIdentifier, quoteLiteral, sqlName } from './identifier.js'
import type { Queryable } from './queryable.js'
import { sqlstateOf } from './serverError.js'

/** A publication, as pgoutput will judge by it. */
export interface Publication {
  /** Another one of the same name has another OID: changes between the two were judged by none. */
  readonly oid: number
  readonly name: string
  readonly owner: string
  /** By COMMENT ON PUBLICATION. */
  readonly comment?: string | undefined
  readonly allTables: boolean
  readonly insert: boolean
  readonly update: boolean
  readonly delete: boolean
  readonly truncate: boolean
  /** Changes of partitions come as changes of the topmost published table above them. */
  readonly viaRoot: boolean
  /** Only PostgreSQL 18 and later can publish generated columns. */
  readonly generatedColumns: GeneratedColumns
  /** Those named one by one. */
  readonly tables: readonly PublishedTable[]
  /** All tables of these are published as well (15 and later). */
  readonly schemas: readonly string[]
  /** Of the server, as a number: 170010. */
  readonly serverVersion: number
}

export interface PublishedTable extends QualifiedName {
  readonly oid: number
  /** SQL of the row filter (15 and later). */
  readonly rowFilter: string | undefined
  /** The column list, in attnum order (15 and later). */
  readonly columns: readonly string[] | undefined
}

/** What a publication carries: everything, or for tables whose updates and deletes it would make fail, the rest. */
export type PublishedOperations = 'all' | 'inserts'

export interface NewPublication {
  readonly name: string
  readonly tables: readonly PublicationMember[]
  readonly operations: PublishedOperations
  /** As a number: 170010. */
  readonly serverVersion: number
  readonly comment?: string
}

export interface PublicationMember extends QualifiedName {
  /** Children by plain inheritance are not to be published with it. */
  readonly hasChildren?: boolean
}

interface PublicationRow {
  readonly version: number
  readonly oid: string
  readonly name: string
  readonly owner: string
  readonly comment: string | null
  readonly all_tables: boolean
  readonly insert: boolean
  readonly update: boolean
  readonly delete: boolean
  readonly truncate: boolean
  readonly via_root: boolean
  readonly generated_columns: string | null
}

/** to_jsonb asks for a column that older servers do not have, and finds NULL there. */
const PUBLICATION_SQL = `
SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version,
       p.oid::pg_catalog.text AS oid,
       p.pubname AS name,
       pg_catalog.pg_get_userbyid(p.pubowner) AS owner,
       pg_catalog.obj_description(p.oid, 'pg_publication') AS comment,
       p.puballtables AS all_tables,
       p.pubinsert AS insert,
       p.pubupdate AS update,
       p.pubdelete AS delete,
       p.pubtruncate AS truncate,
       p.pubviaroot AS via_root,
       pg_catalog.to_jsonb(p) ->> 'pubgencols' AS generated_columns
  FROM pg_catalog.pg_publication p
 WHERE p.pubname = $1`

interface PublishedTableRow {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly row_filter: string | null
  readonly columns: string[] | null
}

const TABLES_SQL_14 = `
SELECT c.oid::pg_catalog.text AS oid, n.nspname AS schema, c.relname AS name, NULL AS row_filter, NULL AS columns
  FROM pg_catalog.pg_publication_rel r
  JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE r.prpubid = $1
 ORDER BY n.nspname, c.relname`

const TABLES_SQL_15 = `
SELECT c.oid::pg_catalog.text AS oid,
       n.nspname AS schema,
       c.relname AS name,
       pg_catalog.pg_get_expr(r.prqual, r.prrelid) AS row_filter,
       CASE WHEN r.prattrs IS NOT NULL THEN
         ARRAY(SELECT a.attname::pg_catalog.text
                 FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)
                ORDER BY a.attnum)
       END AS columns
  FROM pg_catalog.pg_publication_rel r
  JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE r.prpubid = $1
 ORDER BY n.nspname, c.relname`

const SCHEMAS_SQL_15 = `
SELECT n.nspname AS schema
  FROM pg_catalog.pg_publication_namespace p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pnnspid
 WHERE p.pnpubid = $1
 ORDER BY n.nspname`

/** What the publication is now; undefined when there is none of that name. Three queries at most, no locks. */
export async function inspectPublication(queryable: Queryable, name: string): Promise<Publication | undefined> {
  const [row] = await queryable.query<PublicationRow>(PUBLICATION_SQL, [name])
  if (row === undefined) return undefined
  const later = row.version >= 150000
  const tables = await queryable.query<PublishedTableRow>(later ? TABLES_SQL_15 : TABLES_SQL_14, [row.oid])
  const schemas = later ? await queryable.query<{ schema: string }>(SCHEMAS_SQL_15, [row.oid]) : []
  return {
    oid: Number(row.oid),
    name: row.name,
    owner: row.owner,
    comment: row.comment ?? undefined,
    allTables: row.all_tables,
    insert: row.insert,
    update: row.update,
    delete: row.delete,
    truncate: row.truncate,
    viaRoot: row.via_root,
    generatedColumns: row.generated_columns === 's' ? 'stored' : 'none',
    tables: tables.map((table) => ({
      oid: Number(table.oid),
      schema: table.schema,
      name: table.name,
      rowFilter: table.row_filter ?? undefined,
      columns: table.columns ?? undefined,
    })),
    schemas: schemas.map(({ schema }) => schema),
    serverVersion: row.version,
  }
}

/** Which of these there are not. */
export async function missingPublications(queryable: Queryable, names: readonly string[]): Promise<readonly string[]> {
  const rows = await queryable.query<{ name: string }>(
    `SELECT n.name
       FROM pg_catalog.unnest($1::pg_catalog.text[]) AS n (name)
      WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_publication p WHERE p.pubname = n.name)`,
    [names],
  )
  return rows.map(({ name }) => name)
}

/**
 * Makes a publication of these tables and no others; false when one of that name is there by now: somebody else's, or
 * this one, made before the connection was lost and asked for again. Generated columns are published where the server
 * can (18): else it would refuse the application's updates of a table whose replica identity has one.
 */
export async function createPublication(queryable: Queryable, publication: NewPublication): Promise<boolean> {
  try {
    const { name, comment } = publication
    const told =
      comment === undefined ? '' : ` COMMENT ON PUBLICATION ${quoteIdentifier(name)} IS ${quoteLiteral(comment)};`
    await alterPublication(queryable, name, `${createPublicationSql(publication)}${told}`)
    return true
  } catch (cause) {
    if (sqlstateOf(cause) === DUPLICATE_OBJECT) return false
    throw cause
  }
}

export function createPublicationSql({ name, tables, operations, serverVersion }: NewPublication): string {
  const options = [
    operations === 'all' ? "publish = 'insert, update, delete, truncate'" : "publish = 'insert, truncate'",
    'publish_via_partition_root = true',
    ...(serverVersion >= 180000 ? ['publish_generated_columns = stored'] : []),
  ]
  const members = tables.length === 0 ? '' : ` FOR TABLE ${memberList(tables)}`
  return `CREATE PUBLICATION ${quoteIdentifier(name)}${members} WITH (${options.join(', ')});`
}

/** Adds tables that are not in the publication yet. */
export async function addTables(
  queryable: Queryable,
  name: string,
  tables: readonly PublicationMember[],
): Promise<void> {
  if (tables.length > 0) await alterPublication(queryable, name, addTablesSql(name, tables))
}

export function addTablesSql(name: string, tables: readonly PublicationMember[]): string {
  return `ALTER PUBLICATION ${quoteIdentifier(name)} ADD TABLE ${memberList(tables)};`
}

/** `ONLY` as when it was added: else the children, which may not be in it, would be asked to leave too. */
export function removeTablesSql(name: string, tables: readonly PublicationMember[]): string {
  return `ALTER PUBLICATION ${quoteIdentifier(name)} DROP TABLE ${memberList(tables)};`
}

/** Also when it is gone already. */
export async function dropPublication(queryable: Queryable, name: string): Promise<void> {
  await alterPublication(queryable, name, `DROP PUBLICATION IF EXISTS ${quoteIdentifier(name)};`)
}

function memberList(tables: readonly PublicationMember[]): string {
  return tables.map((table) => (table.hasChildren ? `ONLY ${sqlName(table)}` : sqlName(table))).join(', ')
}

const INSUFFICIENT_PRIVILEGE = '42501'
const READ_ONLY_TRANSACTION = '25006'
const DUPLICATE_OBJECT = '42710'

/** One of the statements above; what the server does not let us do is told with the SQL. */
export async function alterPublication(queryable: Queryable, name: string, sql: string): Promise<void> {
  try {
    await queryable.query(sql)
  } catch (cause) {
    const sqlstate = sqlstateOf(cause)
    if (sqlstate === READ_ONLY_TRANSACTION) {
      throw PUBLICATION_ON_STANDBY({ publication: quoteIdentifier(name), sql }, { cause })
    }
    if (sqlstate !== INSUFFICIENT_PRIVILEGE) throw cause
    const problem = String((cause as TailraceError).details.message)
    throw PUBLICATION_DENIED({ publication: quoteIdentifier(name), problem, sql }, { cause })
  }
}
