import { sleep } from '../core/abort.js'
import { type Lsn, parseLsn } from './lsn.js'
import type { Queryable } from './queryable.js'

const FIRST_POLL_MS = 10
const LONGEST_POLL_MS = 200

export interface VisibleLsn {
  readonly lsn: Lsn
  /** False: a commit before it may still be invisible, since it waits for a synchronous standby. */
  readonly certain: boolean
}

/**
 * An LSN such that everything which commits before it is visible to a statement begun now. A commit is in the WAL before
 * others see it; until they do its transaction holds the lock on its own xid. So the transactions that run now are waited
 * for, `runningMs` at most: longer than that only a commit takes that waits for a synchronous standby.
 */
export async function visibleLsn(queryable: Queryable, runningMs: number, signal?: AbortSignal): Promise<VisibleLsn> {
  const [row] = await queryable.query<{ lsn: string; standby: boolean }>(
    `SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                 ELSE pg_catalog.pg_current_wal_insert_lsn() END::pg_catalog.text AS lsn,
            pg_catalog.pg_is_in_recovery() AS standby`,
  )
  const lsn = parseLsn(row!.lsn)!
  // Replay makes a commit visible when it is past it.
  if (row!.standby) return { lsn, certain: true }
  const deadline = performance.now() + runningMs
  let left = await running(queryable, undefined)
  for (let pollMs = FIRST_POLL_MS; left.length > 0 && performance.now() < deadline; ) {
    await sleep(pollMs, signal)
    pollMs = Math.min(2 * pollMs, LONGEST_POLL_MS)
    left = await running(queryable, left)
  }
  return { lsn, certain: left.every(({ waits }) => !waits) }
}

interface Running {
  readonly xid: string
  /** For a synchronous standby, as far as we may see it. */
  readonly waits: boolean
}

async function running(queryable: Queryable, among: readonly Running[] | undefined): Promise<readonly Running[]> {
  return queryable.query<Running>(
    `SELECT l.transactionid::pg_catalog.text AS xid, coalesce(a.wait_event = 'SyncRep', false) AS waits
       FROM pg_catalog.pg_locks l
       LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
      WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
        AND ($1::pg_catalog.text[] IS NULL OR l.transactionid::pg_catalog.text = ANY ($1))`,
    [among?.map(({ xid }) => xid) ?? null],
  )
}
