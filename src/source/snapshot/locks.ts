import { type QualifiedName, quoteLiteral, sqlName } from '../../postgres/identifier.js'
import type { Queryable } from '../../postgres/queryable.js'

/** A session that holds a lock, or waits for one, and on what. What it runs is not told: statements have values in them. */
export interface LockParty extends QualifiedName {
  readonly oid: number
  /** Undefined for a prepared transaction, which no process holds. */
  readonly pid: number | undefined
  /** The name of a prepared transaction. */
  readonly gid: string | undefined
  readonly application: string | undefined
  readonly mode: string
}

interface Row {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly pid: number | null
  readonly gid: string | null
  readonly application: string | null
  readonly mode: string
}

// ACCESS EXCLUSIVE alone stands in the way of ACCESS SHARE, held or only waited for. Catalogs only, which are not locked.
const IN_OUR_WAY = `
WITH RECURSIVE tree (oid) AS (
  SELECT t.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS t (oid)
  UNION
  SELECT i.inhrelid
    FROM tree t
    JOIN pg_catalog.pg_class above ON above.oid = t.oid AND above.relkind = 'p'
    JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
)
SELECT c.oid::pg_catalog.text AS oid, n.nspname AS schema, c.relname AS name, l.pid, p.gid,
       a.application_name AS application, l.mode
  FROM tree t
  JOIN pg_catalog.pg_locks l ON l.relation = t.oid AND l.mode = 'AccessExclusiveLock'
  JOIN pg_catalog.pg_database d ON d.oid = l.database AND d.datname = pg_catalog.current_database()
  JOIN pg_catalog.pg_class c ON c.oid = t.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
  LEFT JOIN pg_catalog.pg_locks x
    ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid' AND x.virtualtransaction = l.virtualtransaction
  LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid
 ORDER BY l.granted DESC, n.nspname, c.relname`

// pg_blocking_pids stops the whole lock table for a moment: it is asked only for those who wait.
const BLOCKED = `
WITH waiting AS MATERIALIZED (
  SELECT l.relation, l.pid, l.mode, a.application_name
    FROM pg_catalog.pg_locks l
    JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid AND a.datname = pg_catalog.current_database()
   WHERE NOT l.granted
)
SELECT coalesce(w.relation, 0)::pg_catalog.text AS oid, coalesce(n.nspname, '') AS schema,
       coalesce(c.relname, '') AS name, w.pid, NULL AS gid, w.application_name AS application, w.mode
  FROM waiting w
  LEFT JOIN pg_catalog.pg_class c ON c.oid = w.relation
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE pg_catalog.pg_blocking_pids(w.pid) && $1::pg_catalog.int4[]`

/** Who keeps an ACCESS SHARE lock on these tables and their partitions from being granted, those who have theirs first. */
export async function inTheWayOf(queryable: Queryable, oids: readonly number[]): Promise<LockParty[]> {
  return (await queryable.query<Row>(IN_OUR_WAY, [oids])).map(toParty)
}

/**
 * Who waits for a lock that one of the processes `pids` holds. A wait for the end of a whole transaction, as of DROP
 * INDEX CONCURRENTLY, has OID 0.
 */
export async function blockedBy(queryable: Queryable, pids: readonly number[]): Promise<LockParty[]> {
  return (await queryable.query<Row>(BLOCKED, [pids])).map(toParty)
}

/** `pid 4711 (psql, AccessExclusiveLock on public.orders)`: for messages. */
export function describeParty(party: LockParty): string {
  const { pid, gid, application, mode, oid } = party
  const process = pid === undefined ? 'a transaction without a process' : `pid ${pid}`
  const who = gid === undefined ? process : `prepared transaction ${quoteLiteral(gid)}`
  const lock = oid === 0 ? mode : `${mode} on ${sqlName(party)}`
  return `${who} (${application === undefined ? lock : `${application}, ${lock}`})`
}

function toParty({ oid, schema, name, pid, gid, application, mode }: Row): LockParty {
  return {
    oid: Number(oid),
    schema,
    name,
    pid: pid ?? undefined,
    gid: gid ?? undefined,
    application: application || undefined,
    mode,
  }
}
