import type { QualifiedName } from '../identifier.js'
import type { Queryable } from '../queryable.js'

/** pg_class.relkind, of what users may take for a table. */
export type RelationKind = 'ordinary' | 'partitioned' | 'view' | 'materialized view' | 'foreign table'

/** What the list of tables is chosen from: everything in user schemas that has rows. */
export interface Relation extends QualifiedName {
  readonly oid: number
  readonly kind: RelationKind
  readonly persistence: Persistence
  /** OID of the partitioned table that it is a partition of. */
  readonly parent: number | undefined
}

export type Persistence = 'permanent' | 'unlogged' | 'temporary'

export const KINDS: Readonly<Record<string, RelationKind>> = {
  r: 'ordinary',
  p: 'partitioned',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
}

export const PERSISTENCE: Readonly<Record<string, Persistence>> = { p: 'permanent', u: 'unlogged', t: 'temporary' }

/** Schemas of the server itself: `pg_` is reserved for them, temporary tables included. */
export function isSystemSchema(schema: string): boolean {
  return schema.startsWith('pg_') || schema === 'information_schema'
}

const RELATIONS_SQL = `
SELECT c.oid::pg_catalog.text AS oid,
       n.nspname AS schema,
       c.relname AS name,
       c.relkind AS kind,
       c.relpersistence AS persistence,
       i.inhparent::pg_catalog.text AS parent
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname !~ '^pg_'
   AND n.nspname <> 'information_schema'
 ORDER BY n.nspname, c.relname`

/** Every relation in user schemas, whether we may read it or not. Takes no lock. */
export async function listRelations(queryable: Queryable): Promise<Relation[]> {
  const rows = await queryable.query<{
    oid: string
    schema: string
    name: string
    kind: string
    persistence: string
    parent: string | null
  }>(RELATIONS_SQL)
  return rows.map((row) => ({
    oid: Number(row.oid),
    schema: row.schema,
    name: row.name,
    kind: KINDS[row.kind]!,
    persistence: PERSISTENCE[row.persistence]!,
    parent: row.parent === null ? undefined : Number(row.parent),
  }))
}
