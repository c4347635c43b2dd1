import { POLLING_HISTORY_LOST } from '../../core/errors.js'
import { type Lsn, parseLsn } from '../../postgres/lsn.js'
import type { Session } from '../../postgres/session.js'
import type { PollTable } from './pollTable.js'
import { SHAPE_SQL, shapeOf } from './pollTable.js'

/** The snapshot that a page is read in. */
export interface Page {
  /** Every transaction with a lower xid had ended. */
  readonly horizon: number
  readonly xmax: number
  /** Whatever the snapshot shows was committed before it. */
  readonly lsn: Lsn
}

/** Older than this an xid may be that of a row which is frozen since long. */
const OLDEST_XIDS = 2 ** 31

/** The table is not as it was when the run looked at it: look again. */
export class ShapeChanged extends Error {}

/**
 * Begins the transaction of a page: locks the table before anything takes a snapshot, so that a rewrite cannot show it
 * empty. `seenHorizon`: the highest that the table's state has. `lock` begins it, and takes no snapshot.
 */
export async function beginPage(
  session: Session,
  table: PollTable,
  seenHorizon: number,
  lock: (table: PollTable) => Promise<void>,
): Promise<Page> {
  await lock(table)
  const [row] = await session.query<{ horizon: string; xmax: string; lsn: string; shape: string | null }>(
    `SELECT pg_catalog.pg_snapshot_xmin(s)::pg_catalog.text AS horizon,
            pg_catalog.pg_snapshot_xmax(s)::pg_catalog.text AS xmax,
            CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                 ELSE pg_catalog.pg_current_wal_insert_lsn() END::pg_catalog.text AS lsn,
            (${SHAPE_SQL}) AS shape
       FROM pg_catalog.pg_current_snapshot() s`,
    [table.catalog.oid],
  )
  if (row!.shape !== shapeOf(table.catalog)) throw new ShapeChanged(`table ${table.name} was altered`)
  const xmax = Number(row!.xmax)
  if (xmax < seenHorizon) {
    throw POLLING_HISTORY_LOST({ problem: `the server is at transaction ${xmax}, the position at ${seenHorizon}` })
  }
  if (xmax - seenHorizon >= OLDEST_XIDS && seenHorizon > 0) {
    throw POLLING_HISTORY_LOST({ problem: `there were ${xmax - seenHorizon} transactions since` })
  }
  return { horizon: Number(row!.horizon), xmax, lsn: parseLsn(row!.lsn)! }
}
