import { TARGET_NOT_A_TABLE } from '../core/destinationErrors.js'
import { hasOneText } from '../postgres/catalog/oneText.js'
import { EQUAL, operatorSchema } from '../postgres/catalog/operatorSchema.js'
import { type IndexRow, UNIQUE_INDEXES_SQL } from '../postgres/catalog/tablesSql.js'
import { type QualifiedName, quoteIdentifier, sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'

/** What the catalog says of a table that is written to. */
export interface TargetTable extends QualifiedName {
  readonly oid: number
  readonly partitioned: boolean
  readonly columns: ReadonlyMap<string, TargetColumn>
  readonly uniqueIndexes: readonly IndexRow[]
  /** OIDs of the tables that its foreign keys point to. */
  readonly references: readonly number[]
}

export interface TargetColumn {
  readonly name: string
  /** pg_attribute.attnum. */
  readonly number: number
  /** OID of its type, of a domain that of its base. */
  readonly typeOid: number
  /** For a staging table: without domains, whose constraints a row that is not whole need not meet; with collation. */
  readonly stagingType: string
  /** As declared, a domain's name perhaps. */
  readonly typeName: string
  readonly notNull: boolean
  readonly hasDefault: boolean
  readonly generated: boolean
  /** `always`: UPDATE cannot set it. */
  readonly identity: 'always' | 'by default' | undefined
  /** Its type's `=`, as SQL: it is not everywhere in pg_catalog, and we have no search_path. */
  readonly equals: string
  /** Two texts that differ are never equal to the server. */
  readonly byBytes: boolean
}

interface ColumnRow {
  readonly name: string
  readonly number: number
  readonly type: string
  readonly type_name: string
  readonly kind: string
  readonly typmod: number
  readonly collation_schema: string | null
  readonly collation: string | null
  readonly deterministic: boolean
  readonly declared: string
  readonly not_null: boolean
  readonly has_default: boolean
  readonly generated: boolean
  readonly identity: string
  readonly operators: string | null
}

const TABLE_SQL = `
SELECT c.oid::pg_catalog.text AS oid,
       c.relkind AS kind,
       ARRAY(SELECT f.confrelid::pg_catalog.text FROM pg_catalog.pg_constraint f
              WHERE f.conrelid = c.oid AND f.contype = 'f') AS references
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = $1 AND c.relname = $2`

const COLUMNS_SQL = `
WITH RECURSIVE base (number, oid, typmod) AS (
  SELECT a.attnum, a.atttypid, a.atttypmod
    FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = $1::pg_catalog.int8::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT b.number, t.typbasetype, t.typtypmod
    FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid AND t.typtype = 'd'
)
SELECT a.attname AS name,
       a.attnum AS number,
       t.oid::pg_catalog.text AS type,
       pg_catalog.format_type(t.oid, b.typmod) AS type_name,
       t.typtype AS kind,
       b.typmod AS typmod,
       n.nspname AS collation_schema,
       c.collname AS collation,
       coalesce(c.collisdeterministic, true) AS deterministic,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS declared,
       a.attnotnull AS not_null,
       a.atthasdef AS has_default,
       a.attgenerated <> '' AS generated,
       a.attidentity AS identity,
       ${operatorSchema('t.oid', EQUAL)} AS operators
  FROM base b
  JOIN pg_catalog.pg_type t ON t.oid = b.oid AND t.typtype <> 'd'
  JOIN pg_catalog.pg_attribute a ON a.attrelid = $1::pg_catalog.int8::pg_catalog.oid AND a.attnum = b.number
  LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
 ORDER BY a.attnum`

const KINDS: Readonly<Record<string, string>> = {
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
  S: 'sequence',
  c: 'composite type',
  i: 'index',
  I: 'index',
  t: 'TOAST table',
}

/** Undefined: there is none. */
export async function findTargetTable(queryable: Queryable, name: QualifiedName): Promise<TargetTable | undefined> {
  const [row] = await queryable.query<{ oid: string; kind: string; references: string[] }>(TABLE_SQL, [
    name.schema,
    name.name,
  ])
  if (row === undefined) return undefined
  const kind = KINDS[row.kind]
  if (kind !== undefined) throw TARGET_NOT_A_TABLE({ table: sqlName(name), kind })
  const columns = await queryable.query<ColumnRow>(COLUMNS_SQL, [row.oid])
  const indexes = await queryable.query<IndexRow>(UNIQUE_INDEXES_SQL, [[row.oid]])
  return {
    ...name,
    oid: Number(row.oid),
    partitioned: row.kind === 'p',
    columns: new Map(columns.map((column) => [column.name, toColumn(column)])),
    uniqueIndexes: indexes.filter((index) => index.is_valid && index.is_whole),
    references: row.references.map(Number),
  }
}

function toColumn(row: ColumnRow): TargetColumn {
  const { collation_schema: schema, collation } = row
  const collate =
    schema === null || collation === null ? '' : ` COLLATE ${quoteIdentifier(schema)}.${quoteIdentifier(collation)}`
  return {
    name: row.name,
    number: row.number,
    typeOid: Number(row.type),
    stagingType: `${row.type_name}${collate}`,
    typeName: row.declared,
    notNull: row.not_null,
    hasDefault: row.has_default,
    generated: row.generated,
    identity: row.identity === 'a' ? 'always' : row.identity === 'd' ? 'by default' : undefined,
    equals: `OPERATOR(${quoteIdentifier(row.operators ?? 'pg_catalog')}.=)`,
    byBytes: row.deterministic && (row.kind === 'e' || hasOneText(Number(row.type), row.typmod)),
  }
}
