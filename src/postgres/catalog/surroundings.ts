import type { Queryable } from '../queryable.js'

/** What is around a capture: settings, roles and privileges that a run does not need to know, and a doctor does. */
export interface Surroundings {
  /** First parts of settings with a dot in their name: `rds`, `azure`, `neon`. */
  readonly settingPrefixes: readonly string[]
  /** Of the roles that managed platforms make, those that are here. */
  readonly roles: readonly string[]
  /** Has Amazon Aurora's function aurora_version(). */
  readonly aurora: boolean
  /** CREATE on the database, which publications take. */
  readonly mayCreate: boolean
  /** In seconds; 0: never; undefined: the server has no such setting (before 18). */
  readonly idleSlotTimeoutSeconds: number | undefined
  readonly maxPreparedTransactions: number
}

const PLATFORM_ROLES = [
  'rdsadmin',
  'rds_superuser',
  'azuresu',
  'azure_pg_admin',
  'cloudsqladmin',
  'cloudsqlsuperuser',
  'supabase_admin',
  'supabase_replication_admin',
  'neon_superuser',
]

const SURROUNDINGS_SQL = `
SELECT ARRAY(SELECT DISTINCT pg_catalog.split_part(g.name, '.', 1)
               FROM pg_catalog.pg_settings g
              WHERE g.name LIKE '%.%') AS prefixes,
       ARRAY(SELECT r.rolname::pg_catalog.text FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ($1)) AS roles,
       EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.proname = 'aurora_version') AS aurora,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS may_create,
       (SELECT g.setting || pg_catalog.rtrim(coalesce(g.unit, ''))
          FROM pg_catalog.pg_settings g WHERE g.name = 'idle_replication_slot_timeout') AS idle_slot_timeout,
       pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int4 AS max_prepared`

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, min: 60, h: 3600, d: 86_400 }

/** One query. */
export async function readSurroundings(queryable: Queryable): Promise<Surroundings> {
  const [row] = await queryable.query<{
    prefixes: string[]
    roles: string[]
    aurora: boolean
    may_create: boolean
    idle_slot_timeout: string | null
    max_prepared: number
  }>(SURROUNDINGS_SQL, [PLATFORM_ROLES])
  return {
    settingPrefixes: row!.prefixes,
    roles: row!.roles,
    aurora: row!.aurora,
    mayCreate: row!.may_create,
    idleSlotTimeoutSeconds: row!.idle_slot_timeout === null ? undefined : secondsOf(row!.idle_slot_timeout),
    maxPreparedTransactions: row!.max_prepared,
  }
}

/** `0s`, `30min`: the unit of the setting is the server's to choose. */
function secondsOf(text: string): number {
  const [, number, unit] = /^(\d+)(\D*)$/.exec(text) ?? []
  return Number(number) * (SECONDS[unit!] ?? 1)
}

/** What the catalog says besides of a table that is to be captured. */
export interface CaptureFacts {
  /** The current user may publish it: owns it, itself or through a role. */
  readonly owned: boolean
  /** Columns whose values may be stored out of line (TOAST): an UPDATE that leaves them alone does not send them. */
  readonly toastable: readonly string[]
}

/** A table that cannot have long rows has no TOAST table. Of a partitioned one the partitions have it. */
const CAPTURE_SQL = `
WITH RECURSIVE member (root, oid) AS (
  SELECT w.oid, w.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS w (oid)
  UNION ALL
  SELECT m.root, i.inhrelid
    FROM member m
    JOIN pg_catalog.pg_class above ON above.oid = m.oid AND above.relkind = 'p'
    JOIN pg_catalog.pg_inherits i ON i.inhparent = m.oid
)
SELECT c.oid::pg_catalog.text AS oid,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned,
       ARRAY(SELECT a.attname::pg_catalog.text
               FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND a.attlen = -1
                AND EXISTS (SELECT FROM member m
                              JOIN pg_catalog.pg_class t ON t.oid = m.oid AND t.reltoastrelid <> 0
                              JOIN pg_catalog.pg_attribute b ON b.attrelid = t.oid AND b.attname = a.attname
                             WHERE m.root = c.oid AND b.attstorage <> 'p')
              ORDER BY a.attnum) AS toastable
  FROM pg_catalog.pg_class c
 WHERE c.oid = ANY ($1::pg_catalog.oid[])`

/** By OID. One query, no locks. */
export async function captureFacts(queryable: Queryable, oids: readonly number[]): Promise<Map<number, CaptureFacts>> {
  const rows = await queryable.query<{ oid: string; owned: boolean; toastable: string[] }>(CAPTURE_SQL, [oids])
  return new Map(rows.map(({ oid, owned, toastable }) => [Number(oid), { owned, toastable }]))
}
