import type { Lsn } from './lsn.js'
import type { Queryable } from './queryable.js'
import { parseTransactionSnapshot, replayedSnapshot } from './transactionSnapshot.js'

/** A transaction that was streamed. */
interface Committed {
  readonly xid: number
  /** Where its commit record begins. */
  readonly commitLsn: Lsn
}

/**
 * Whether a statement begun from now on sees all of these. A commit is streamed before others see it, for long where it
 * waits for a synchronous standby.
 */
export async function areVisible(queryable: Queryable, transactions: readonly Committed[]): Promise<boolean> {
  const seen = parseTransactionSnapshot(await presentSnapshot(queryable))!
  return transactions.every(({ xid, commitLsn }) => seen.sees(xid, commitLsn))
}

/** What a statement begun from now on sees at least, as `TransactionSnapshot` has it. */
export async function presentSnapshot(queryable: Queryable): Promise<string> {
  const [row] = await queryable.query<{ snapshot: string; replayed: string | null }>(
    `SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text AS snapshot,
            CASE WHEN pg_catalog.pg_is_in_recovery()
                 THEN pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text END AS replayed`,
  )
  const { snapshot, replayed } = row!
  return replayed === null ? snapshot : replayedSnapshot(replayed)
}
