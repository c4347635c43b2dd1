import { sleep } from '../core/abort.js'
import type { Queryable } from './queryable.js'

/** A transaction that has written and not ended, and whose it is. */
export interface RunningTransaction {
  /** Its own, and those of its savepoints. */
  readonly xids: readonly string[]
  /** Undefined for a prepared transaction, which no process holds. */
  readonly pid: number | undefined
  /** The name of a prepared transaction, by which COMMIT PREPARED or ROLLBACK PREPARED ends it. */
  readonly gid: string | undefined
  readonly database: string | undefined
  readonly user: string | undefined
  readonly application: string | undefined
  /** As pg_stat_activity says: `idle in transaction`; undefined where we may not see it. */
  readonly state: string | undefined
  /** Since it began, or was prepared. */
  readonly seconds: number | undefined
  /** Since its last statement began. */
  readonly querySeconds: number | undefined
}

interface Row {
  readonly xids: string[]
  readonly pid: number | null
  readonly gid: string | null
  readonly database: string | null
  readonly role: string | null
  readonly application: string | null
  readonly state: string | null
  readonly seconds: number | null
  readonly query_seconds: number | null
}

/**
 * Whoever has an xid holds a lock on it until the end, prepared or not. `pg_current_snapshot()` would not do: its xmax
 * is one more than the last xid that has *ended*, and what runs from there on is not in its list.
 */
const RUNNING_SQL = `
WITH writer AS (
  SELECT l.pid, pg_catalog.array_agg(l.transactionid::pg_catalog.text) AS xids
    FROM pg_catalog.pg_locks l
   WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
     AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
   GROUP BY l.virtualtransaction, l.pid
)
SELECT w.xids,
       w.pid,
       p.gid,
       coalesce(a.datname, p.database)::pg_catalog.text AS database,
       coalesce(a.usename, p.owner)::pg_catalog.text AS role,
       a.application_name AS application,
       a.state,
       EXTRACT(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared))::pg_catalog.float8 AS seconds,
       EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.query_start)::pg_catalog.float8 AS query_seconds
  FROM writer w
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = w.pid
  LEFT JOIN pg_catalog.pg_prepared_xacts p ON w.pid IS NULL AND p.transaction::pg_catalog.text = ANY (w.xids)
 WHERE NOT $1::pg_catalog.bool
    OR coalesce(a.datname, p.database, pg_catalog.current_database()) = pg_catalog.current_database()
 ORDER BY p.gid, w.pid`

async function running(queryable: Queryable, hereOnly: boolean): Promise<RunningTransaction[]> {
  const rows = await queryable.query<Row>(RUNNING_SQL, [hereOnly])
  return rows.map((row) => ({
    xids: row.xids,
    pid: row.pid ?? undefined,
    gid: row.gid ?? undefined,
    database: row.database ?? undefined,
    user: row.role ?? undefined,
    application: row.application || undefined,
    state: row.state ?? undefined,
    seconds: row.seconds ?? undefined,
    querySeconds: row.query_seconds ?? undefined,
  }))
}

/** The transactions of this database that have written and not ended, our own left out. */
export function runningTransactions(queryable: Queryable): Promise<RunningTransaction[]> {
  return running(queryable, true)
}

/** Who keeps the creation of a slot waiting, in whatever database: it begins when all that run now have ended. */
export function slotCreationHolders(queryable: Queryable): Promise<RunningTransaction[]> {
  return running(queryable, false)
}

export interface WaitForTransactions {
  /** {@link runningTransactions}, read after the change had committed. Default: read now. */
  readonly since?: readonly RunningTransaction[]
  readonly signal?: AbortSignal
  /** Called when somebody is waited for, and again whenever some of them have ended. */
  readonly onWaiting?: (holders: readonly RunningTransaction[]) => void
}

const FIRST_POLL_MS = 10
const LAST_POLL_MS = 500

/**
 * After a publication was made or altered: waits until every transaction of this database that was running then has
 * ended, prepared ones included. pgoutput judges each change by the publication as it was at that change, so such a
 * transaction may have changes that neither the stream carries nor a snapshot taken before its end shows.
 */
export async function waitForRunningTransactions(queryable: Queryable, options: WaitForTransactions = {}) {
  const { signal, onWaiting } = options
  signal?.throwIfAborted()
  let holders = options.since ?? (await running(queryable, true))
  const awaited = new Set(holders.flatMap(({ xids }) => xids))
  let reported = Number.POSITIVE_INFINITY
  for (let pollMs = FIRST_POLL_MS; holders.length > 0; pollMs = Math.min(pollMs * 2, LAST_POLL_MS)) {
    if (holders.length < reported) onWaiting?.(holders)
    reported = holders.length
    await sleep(pollMs, signal)
    holders = (await running(queryable, true)).filter(({ xids }) => xids.some((xid) => awaited.has(xid)))
  }
}

/** `pid 4711 (psql, idle in transaction, for 42 s)`, `prepared transaction 'invoice-7' (for 3 h)`: for messages. */
export function describeTransaction(transaction: RunningTransaction): string {
  const { pid, gid, application, state, seconds } = transaction
  const process = pid === undefined ? `transaction ${transaction.xids[0]}` : `pid ${pid}`
  const who = gid === undefined ? process : `prepared transaction '${gid}'`
  const facts = [application, state, seconds === undefined ? undefined : `for ${duration(seconds)}`]
  const known = facts.filter((fact) => fact !== undefined)
  return known.length === 0 ? who : `${who} (${known.join(', ')})`
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}
