import { type Lsn, parseLsn } from './lsn.js'
import type { Queryable } from './queryable.js'
import { SLOT_COLUMNS, type Slot, type SlotRow, toSlot } from './slot.js'

/** A slot, the WAL kept for it, and what the server's process that sends it does: at one moment. */
export interface SlotWal extends Slot {
  /** The end of the server's WAL, as far as it is flushed (on a standby: replayed). */
  readonly endLsn: Lsn
  /** How much more WAL may be written until the server gives the slot up; undefined without max_slot_wal_keep_size. */
  readonly safeBytes: number | undefined
  /** Of transactions that the server could not decode in memory: since the slot was made, or statistics were reset. */
  readonly spilledBytes: number
  readonly walsender: Walsender | undefined
}

/** "pg_stat_replication" and "pg_stat_activity". What we may not see of another role's session is undefined. */
export interface Walsender {
  readonly pid: number
  /** `streaming`, or `catchup` while there is WAL that it has not read. */
  readonly state: string | undefined
  /** `type/event`; undefined: it waits for nothing. */
  readonly waitEvent: string | undefined
  /** How far it has read and sent. */
  readonly sentLsn: Lsn | undefined
}

interface Row extends SlotRow {
  readonly end_lsn: string
  readonly safe_wal_size: string | null
  readonly spilled: string | null
  readonly sender_state: string | null
  readonly wait_event: string | null
  readonly sent_lsn: string | null
}

const SLOT_WAL = `
SELECT ${SLOT_COLUMNS},
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_flush_lsn() END::pg_catalog.text AS end_lsn,
       s.safe_wal_size::pg_catalog.text AS safe_wal_size,
       t.spill_bytes::pg_catalog.text AS spilled,
       r.state AS sender_state,
       a.wait_event_type || '/' || a.wait_event AS wait_event,
       r.sent_lsn::pg_catalog.text AS sent_lsn
  FROM pg_catalog.pg_replication_slots s
  LEFT JOIN pg_catalog.pg_stat_replication_slots t ON t.slot_name = s.slot_name
  LEFT JOIN pg_catalog.pg_stat_replication r ON r.pid = s.active_pid
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
 WHERE s.slot_name = $1`

/** Undefined when there is no slot of that name. One query, of views that every role may read. */
export async function inspectSlotWal(queryable: Queryable, slot: string): Promise<SlotWal | undefined> {
  const [row] = await queryable.query<Row>(SLOT_WAL, [slot])
  if (row === undefined) return undefined
  return {
    ...toSlot(row),
    endLsn: parseLsn(row.end_lsn)!,
    safeBytes: row.safe_wal_size === null ? undefined : Number(row.safe_wal_size),
    spilledBytes: Number(row.spilled ?? 0),
    walsender:
      row.active_pid === null
        ? undefined
        : {
            pid: row.active_pid,
            state: row.sender_state ?? undefined,
            waitEvent: row.wait_event ?? undefined,
            sentLsn: parseLsn(row.sent_lsn ?? ''),
          },
  }
}
