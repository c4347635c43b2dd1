import type { QualifiedName } from '../identifier.js'
import { type Lsn, lastRecordEnd, parseLsn } from '../lsn.js'
import type { Queryable } from '../queryable.js'

/** A table that holds rows of a partitioned one. */
export interface Leaf extends QualifiedName {
  readonly oid: number
  /** How it hangs in the tree, from the root down: `parent:child:xid` each, the xid that of the attachment. */
  readonly line: readonly string[]
  /** pg_class.relfilenode: another one after TRUNCATE, and after whatever writes the table anew. */
  readonly file: string
  /** Some attachment in its line is not older than the table's horizon. */
  readonly isNew: boolean
  /** Its pg_class row was written since the table's horizon, as every other file does. */
  readonly touched: boolean
}

export interface CatalogMoment {
  /** Whatever has a lower xid had ended by then. */
  readonly horizon: bigint
  /** Whatever was visible then has a lower xid. */
  readonly next: bigint
  /** Whatever was visible then commits before it. */
  readonly lsn: Lsn
}

/** Partitioned tables at one moment. */
export interface PartitionTrees extends CatalogMoment {
  /** By OID of the partitioned table; those that are gone, or are none, are absent. */
  readonly roots: ReadonlyMap<number, readonly Leaf[]>
}

/** A partitioned table, and since when something in its tree is new: the horizon of an earlier look. */
export interface TreeQuestion {
  readonly root: number
  readonly horizon: bigint | undefined
}

/** What an xid is younger than: what has wrapped around is not. */
const SINCE = (xmin: string) => `coalesce(pg_catalog.age(${xmin}) BETWEEN 0 AND pg_catalog.age(t.horizon), false)`

const TREE = `
tree (root, horizon, oid, line, is_new) AS (
  SELECT c.oid, w.horizon::pg_catalog.xid, c.oid, '{}'::pg_catalog.text[], false
    FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.text[])) AS w (oid, horizon)
    JOIN pg_catalog.pg_class c ON c.oid = w.oid AND c.relkind = 'p'
  UNION ALL
  SELECT t.root, t.horizon, i.inhrelid,
         t.line || pg_catalog.concat_ws(':', i.inhparent, i.inhrelid, i.xmin), t.is_new OR ${SINCE('i.xmin')}
    FROM tree t
    JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid AND NOT i.inhdetachpending
)`

const MOMENT = `
pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.text AS horizon,
pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text AS next,
CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
     ELSE pg_catalog.pg_current_wal_insert_lsn() END::pg_catalog.text AS lsn`

const TREES_SQL = `
WITH RECURSIVE ${TREE}
SELECT ${MOMENT},
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                 t.root::pg_catalog.int8, t.oid::pg_catalog.int8, n.nspname, c.relname, t.line,
                 c.relfilenode::pg_catalog.text, t.is_new, ${SINCE('c.xmin')}) ORDER BY t.oid)
          FROM tree t
          JOIN pg_catalog.pg_class c ON c.oid = t.oid
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind <> 'p' OR t.oid = t.root)::pg_catalog.text AS members`

const DIGEST_SQL = `
WITH RECURSIVE ${TREE}
SELECT ${MOMENT},
       (SELECT pg_catalog.md5(pg_catalog.string_agg(
                 pg_catalog.concat_ws(' ', t.root, t.oid, t.line::pg_catalog.text, c.relfilenode), ',' ORDER BY t.root, t.oid))
          FROM tree t
          JOIN pg_catalog.pg_class c ON c.oid = t.oid) AS digest`

interface Moment {
  readonly horizon: string
  readonly next: string
  readonly lsn: string
}
type Member = [
  root: number,
  oid: number,
  schema: string,
  name: string,
  line: string[],
  file: string,
  ...flags: boolean[],
]

/** The leaves of these tables: one query. Takes no lock. */
export async function partitionTrees(
  queryable: Queryable,
  questions: readonly TreeQuestion[],
): Promise<PartitionTrees> {
  const rows = await queryable.query<Moment & { members: string | null }>(TREES_SQL, values(questions))
  const { members, ...moment } = rows[0]!
  const roots = new Map<number, Leaf[]>()
  const found = JSON.parse(members ?? '[]') as Member[]
  for (const [root, oid] of found) if (oid === root) roots.set(root, [])
  for (const [root, oid, schema, name, line, file, isNew, touched] of found) {
    if (oid !== root) roots.get(root)!.push({ oid, schema, name, line, file, isNew: isNew!, touched: touched! })
  }
  return { ...momentOf(moment), roots }
}

/** Equal as long as nothing changes in the trees of these tables. */
export async function partitionDigest(
  queryable: Queryable,
  roots: readonly number[],
): Promise<CatalogMoment & { readonly digest: string }> {
  const questions = roots.map((root) => ({ root, horizon: undefined }))
  const rows = await queryable.query<Moment & { digest: string | null }>(DIGEST_SQL, values(questions))
  return { ...momentOf(rows[0]!), digest: rows[0]!.digest ?? '' }
}

function values(questions: readonly TreeQuestion[]): unknown[] {
  const horizons = questions.map(({ horizon }) => (horizon === undefined ? null : xidOf(horizon)))
  return [questions.map(({ root }) => root), horizons]
}

function momentOf({ horizon, next, lsn }: Moment): CatalogMoment {
  return { horizon: BigInt(horizon), next: BigInt(next), lsn: lastRecordEnd(parseLsn(lsn)!) }
}

/**
 * Of these partitions those that CREATE TABLE … PARTITION OF made: they had no row before the tree had them. ATTACH
 * writes every column's row of pg_attribute, in the command that hangs the partition in; PARTITION OF makes them before.
 */
export async function madeInPlace(queryable: Queryable, oids: readonly number[]): Promise<ReadonlySet<number>> {
  const rows = await queryable.query<{ oid: string }>(
    `SELECT i.inhrelid::pg_catalog.text AS oid
       FROM pg_catalog.pg_inherits i
       JOIN pg_catalog.pg_attribute s ON s.attrelid = i.inhrelid AND s.attnum = -1 AND s.xmin = i.xmin
      WHERE i.inhrelid = ANY ($1::pg_catalog.oid[])
        AND EXISTS (SELECT FROM pg_catalog.pg_attribute a
                     WHERE a.attrelid = i.inhrelid AND a.attnum > 0 AND NOT a.attisdropped AND a.xmin = i.xmin
                       AND a.cmin::pg_catalog.text::pg_catalog.int8 < i.cmin::pg_catalog.text::pg_catalog.int8)`,
    [oids],
  )
  return new Set(rows.map(({ oid }) => Number(oid)))
}

/** Whether one of its rows is older than the horizon, as none is that came after a TRUNCATE since. Looks at its first ones. */
export async function hasRowsFrom(queryable: Queryable, table: string, horizon: bigint): Promise<boolean> {
  const rows = await queryable.query(
    `SELECT FROM ONLY ${table}
      WHERE ctid < '(1000,0)' AND pg_catalog.age(xmin) > pg_catalog.age($1::pg_catalog.text::pg_catalog.xid) LIMIT 1`,
    [xidOf(horizon)],
  )
  return rows.length > 0
}

export async function hasRows(queryable: Queryable, table: string): Promise<boolean> {
  const rows = await queryable.query(`SELECT FROM ONLY ${table} LIMIT 1`)
  return rows.length > 0
}

/** ALTER TABLE has written some column of the table since the horizon; TRUNCATE, VACUUM FULL and CLUSTER write none. */
export async function hasAlteredColumns(queryable: Queryable, oid: number, horizon: bigint): Promise<boolean> {
  const rows = await queryable.query(
    `SELECT FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = $1 AND a.attnum > 0
        AND pg_catalog.age(a.xmin) BETWEEN 0 AND pg_catalog.age($2::pg_catalog.text::pg_catalog.xid) LIMIT 1`,
    [oid, xidOf(horizon)],
  )
  return rows.length > 0
}

/** Which rows of its root the partition has, as SQL, so that the planner leaves the others out. */
export async function boundOf(queryable: Queryable, oid: number): Promise<string | undefined> {
  const rows = await queryable.query<{ bound: string | null }>(
    'SELECT pg_catalog.pg_get_partition_constraintdef($1) AS bound',
    [oid],
  )
  return rows[0]?.bound ?? undefined
}

function xidOf(horizon: bigint): string {
  return String(BigInt.asUintN(32, horizon))
}
