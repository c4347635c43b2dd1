import type { Queryable } from './queryable.js'

/**
 * The timeline of the server that is asked, if it is the one where walsender `pid` reads the slot: after a failover two
 * connections may have found two servers, of which one says nothing about the other. Undefined if it is not.
 */
export async function timelineWhereStreams(
  queryable: Queryable,
  slot: string,
  pid: number,
): Promise<number | undefined> {
  const [row] = await queryable.query<{ timeline: number }>(TIMELINE_SQL, [slot, pid])
  return row?.timeline
}

/**
 * A standby follows its primary to another timeline, and begins one itself when it is promoted, while its walsenders go
 * on. What it receives may be ahead of what it has replayed, and only some roles may see that; a later timeline says no
 * wrong of an earlier LSN, since both are of the history that the server follows.
 */
const TIMELINE_SQL = `
SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
            THEN greatest((SELECT r.received_tli FROM pg_catalog.pg_stat_wal_receiver r),
                          (SELECT c.min_recovery_end_timeline FROM pg_catalog.pg_control_recovery() c),
                          (SELECT c.timeline_id FROM pg_catalog.pg_control_checkpoint() c))
            ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)
                 )::pg_catalog.bit(32)::pg_catalog.int4 END AS timeline
  FROM pg_catalog.pg_replication_slots s
 WHERE s.slot_name = $1 AND s.active_pid = $2`
