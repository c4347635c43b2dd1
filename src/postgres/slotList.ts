import type { Queryable } from './queryable.js'
import { SLOT_COLUMNS, type Slot, type SlotRow, toSlot } from './slot.js'

/** A slot with what an operator asks of it. */
export interface ListedSlot extends Slot {
  /** Of the session that holds it. */
  readonly application: string | undefined
  /** WAL kept for it, in bytes; 0 for an invalidated one, for which none is kept. */
  readonly retainedBytes: number | undefined
  /** From what its reader has confirmed to the end of the WAL, in bytes; logical slots only. */
  readonly lagBytes: number | undefined
  /** How much more WAL may be written until the server gives it up; undefined without max_slot_wal_keep_size. */
  readonly safeWalBytes: number | undefined
  /** Since when nobody reads it: PostgreSQL 17 and later know. */
  readonly inactiveSince: Date | undefined
}

interface ListedRow extends SlotRow {
  readonly application: string | null
  readonly lag: string | null
  readonly safe_wal_size: string | null
  readonly inactive_since: string | null
}

const LIST_SQL = `
SELECT ${SLOT_COLUMNS},
       a.application_name AS application,
       pg_catalog.pg_wal_lsn_diff(
         CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
              ELSE pg_catalog.pg_current_wal_lsn() END,
         s.confirmed_flush_lsn)::pg_catalog.text AS lag,
       s.safe_wal_size::pg_catalog.text AS safe_wal_size,
       pg_catalog.to_jsonb(s) ->> 'inactive_since' AS inactive_since
  FROM pg_catalog.pg_replication_slots s
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
 ORDER BY s.slot_name`

/** Every slot of the server, logical and physical, of whatever database, by name. One query. */
export async function listSlots(queryable: Queryable): Promise<ListedSlot[]> {
  const rows = await queryable.query<ListedRow>(LIST_SQL)
  return rows.map((row) => {
    const slot = toSlot(row)
    return {
      ...slot,
      application: row.application || undefined,
      retainedBytes: slot.invalidation === undefined ? slot.retainedBytes : 0,
      lagBytes: row.lag === null ? undefined : Math.max(0, Number(row.lag)),
      safeWalBytes: row.safe_wal_size === null ? undefined : Number(row.safe_wal_size),
      inactiveSince: row.inactive_since === null ? undefined : new Date(row.inactive_since),
    }
  })
}
