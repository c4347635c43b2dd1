import { type Lsn, parseLsn } from './lsn.js'
import type { Queryable } from './queryable.js'

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
  const [row] = await queryable.query<{ snapshot: string; replayed: string | null }>(
    `SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text AS snapshot,
            CASE WHEN pg_catalog.pg_is_in_recovery()
                 THEN pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text END AS replayed`,
  )
  const { snapshot, replayed } = row!
  // The snapshot of a standby lists nobody as running; there replay makes a commit visible when it is past it.
  if (replayed !== null) return transactions.every(({ commitLsn }) => commitLsn < parseLsn(replayed)!)
  return transactions.every(({ xid }) => isIn(snapshot, xid))
}

/** Whether what `xid` (of 32 bits, as the stream has it) did is seen in the snapshot, as `pg_snapshot` is written. */
export function isIn(snapshot: string, xid: number): boolean {
  const [, xmax, running] = snapshot.split(':') as [string, string, string]
  const low = (text: string) => Number(BigInt.asUintN(32, BigInt(text)))
  // Of the 64-bit numbers that it may be the one nearest to xmax.
  if (((low(xmax) - xid) | 0) <= 0) return false
  return running === '' || !running.split(',').some((text) => low(text) === xid)
}
