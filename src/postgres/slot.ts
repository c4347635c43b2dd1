import {
  SLOT_ACTIVE,
  SLOT_EXISTS,
  SLOT_LOST,
  SLOT_MISSING,
  SLOT_OTHER_DATABASE,
  SLOT_OTHER_PLUGIN,
  SLOT_PHYSICAL,
  SLOT_TWO_PHASE,
  SLOTS_EXHAUSTED,
} from '../core/errors.js'
import type { TailraceError } from '../core/tailraceError.js'
import { type Lsn, parseLsn } from './lsn.js'
import type { Queryable } from './queryable.js'
import { sqlstateOf } from './serverError.js'

/** A replication slot, as pg_replication_slots has it. */
export interface Slot {
  readonly name: string
  readonly type: 'logical' | 'physical'
  /** Output plugin and database of a logical slot. */
  readonly plugin: string | undefined
  readonly database: string | undefined
  /** Gone with its session. */
  readonly temporary: boolean
  readonly active: boolean
  readonly activePid: number | undefined
  /** From here the server keeps WAL for it. */
  readonly restartLsn: Lsn | undefined
  readonly confirmedFlushLsn: Lsn | undefined
  readonly walStatus: 'reserved' | 'extended' | 'unreserved' | 'lost' | undefined
  readonly twoPhase: boolean
  /** Why the server gave it up: `invalidation_reason` (17 and later), else what earlier versions tell. */
  readonly invalidation: string | undefined
  /** WAL kept for it, in bytes. */
  readonly retainedBytes: number | undefined
}

/** What {@link SLOT_COLUMNS} gives. */
export interface SlotRow {
  readonly name: string
  readonly type: 'logical' | 'physical'
  readonly plugin: string | null
  readonly database: string | null
  readonly temporary: boolean
  readonly active: boolean
  readonly active_pid: number | null
  readonly restart_lsn: string | null
  readonly confirmed_flush_lsn: string | null
  readonly wal_status: Slot['walStatus'] | null
  readonly two_phase: boolean
  readonly conflicting: boolean | null
  readonly invalidation_reason: string | null
  readonly retained: string | null
}

/** Of `pg_replication_slots s`. to_jsonb asks for a column that older servers do not have, and finds NULL there. */
export const SLOT_COLUMNS = `
       s.slot_name AS name,
       s.slot_type AS type,
       s.plugin,
       s.database,
       s.temporary,
       s.active,
       s.active_pid,
       s.restart_lsn::pg_catalog.text AS restart_lsn,
       s.confirmed_flush_lsn::pg_catalog.text AS confirmed_flush_lsn,
       s.wal_status,
       s.two_phase,
       (pg_catalog.to_jsonb(s) ->> 'conflicting')::pg_catalog.bool AS conflicting,
       pg_catalog.to_jsonb(s) ->> 'invalidation_reason' AS invalidation_reason,
       pg_catalog.pg_wal_lsn_diff(
         CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
              ELSE pg_catalog.pg_current_wal_lsn() END,
         s.restart_lsn)::pg_catalog.text AS retained`

/** The slot as it is now; undefined when there is none of that name. */
export async function inspectSlot(queryable: Queryable, name: string): Promise<Slot | undefined> {
  const [row] = await queryable.query<SlotRow>(
    `SELECT ${SLOT_COLUMNS} FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1`,
    [name],
  )
  return row === undefined ? undefined : toSlot(row)
}

export function toSlot(row: SlotRow): Slot {
  return {
    name: row.name,
    type: row.type,
    plugin: row.plugin ?? undefined,
    database: row.database ?? undefined,
    temporary: row.temporary,
    active: row.active,
    activePid: row.active_pid ?? undefined,
    restartLsn: parseLsn(row.restart_lsn ?? ''),
    confirmedFlushLsn: parseLsn(row.confirmed_flush_lsn ?? ''),
    walStatus: row.wal_status ?? undefined,
    twoPhase: row.two_phase,
    invalidation: invalidationOf(row),
    retainedBytes: row.retained === null ? undefined : Math.max(0, Number(row.retained)),
  }
}

function invalidationOf(row: SlotRow): string | undefined {
  if (row.invalidation_reason !== null) return row.invalidation_reason
  if (row.wal_status === 'lost') return 'wal_removed'
  return row.conflicting === true ? 'conflict with recovery' : undefined
}

export interface SlotExpectations {
  readonly slot: string
  readonly database: string
  /** Default `pgoutput`. */
  readonly plugin?: string
}

/** Why the slot cannot be streamed from; undefined when it can. What never changes is told before what may. */
export function checkSlot(slot: Slot | undefined, expected: SlotExpectations): TailraceError | undefined {
  const { slot: name, plugin = 'pgoutput' } = expected
  if (slot === undefined) return SLOT_MISSING({ slot: name })
  if (slot.type === 'physical') return SLOT_PHYSICAL({ slot: name })
  if (slot.plugin !== plugin) return SLOT_OTHER_PLUGIN({ slot: name, plugin: String(slot.plugin), expected: plugin })
  if (slot.database !== expected.database) {
    return SLOT_OTHER_DATABASE({ slot: name, database: String(slot.database), expected: expected.database })
  }
  if (slot.twoPhase) return SLOT_TWO_PHASE({ slot: name })
  if (slot.invalidation !== undefined) return SLOT_LOST({ slot: name, reason: slot.invalidation })
  if (slot.active) return SLOT_ACTIVE({ slot: name, pid: slot.activePid })
  return undefined
}

/** Drops an inactive slot; false when there is none of that name. */
export async function dropSlot(queryable: Queryable, name: string): Promise<boolean> {
  try {
    const rows = await queryable.query(
      `SELECT pg_catalog.pg_drop_replication_slot(s.slot_name)
         FROM pg_catalog.pg_replication_slots s
        WHERE s.slot_name = $1`,
      [name],
    )
    return rows.length > 0
  } catch (cause) {
    const gone = sqlstateOf(cause) === UNDEFINED_OBJECT
    if (gone) return false
    throw slotCommandError(cause, name)
  }
}

/**
 * Makes a permanent slot `to` that stands where `from` stands: the same confirmed and restart LSN. So a slot with an
 * exported snapshot can be a temporary one until the snapshot is finished, and a crash before leaves nothing behind.
 * Runs on an ordinary session (a replication session takes no parameters), while another one owns `from`, and does
 * not disturb the snapshot that it exports. Refused outside the database of `from`: the server would make the copy a
 * slot of the session's own.
 */
export async function copySlot(queryable: Queryable, from: string, to: string): Promise<void> {
  const copied = await queryable
    .query(
      `SELECT pg_catalog.pg_copy_logical_replication_slot(s.slot_name, $2::pg_catalog.text::pg_catalog.name, false)
         FROM pg_catalog.pg_replication_slots s
        WHERE s.slot_name = $1 AND s.database = pg_catalog.current_database()`,
      [from, to],
    )
    .catch(async (cause) => {
      // Made before the connection was lost, and asked for again.
      if (sqlstateOf(cause) === DUPLICATE_OBJECT && (await standAtOnePlace(queryable, from, to))) return [from]
      throw slotCommandError(cause, to)
    })
  if (copied.length > 0) return
  const [here] = await queryable.query<{ name: string }>('SELECT pg_catalog.current_database() AS name')
  const source = await inspectSlot(queryable, from)
  throw checkSlot(source, { slot: from, database: here!.name }) ?? SLOT_MISSING({ slot: from })
}

/** `to` is what a copy of `from` is, whoever made it. */
async function standAtOnePlace(queryable: Queryable, from: string, to: string): Promise<boolean> {
  const same = await queryable.query(
    `SELECT FROM pg_catalog.pg_replication_slots a
       JOIN pg_catalog.pg_replication_slots b USING (plugin, datoid, restart_lsn, confirmed_flush_lsn)
      WHERE a.slot_name = $1 AND b.slot_name = $2 AND NOT b.temporary AND NOT b.active`,
    [from, to],
  )
  return same.length > 0
}

const UNDEFINED_OBJECT = '42704'
const DUPLICATE_OBJECT = '42710'
const OBJECT_IN_USE = '55006'
const CONFIGURATION_LIMIT = '53400'

/** What the server answers to a command that makes or drops the slot, as an error that says what to do. */
export function slotCommandError(cause: unknown, slot: string): unknown {
  switch (sqlstateOf(cause)) {
    case UNDEFINED_OBJECT:
      return SLOT_MISSING({ slot }, { cause })
    case DUPLICATE_OBJECT:
      return SLOT_EXISTS({ slot }, { cause })
    case OBJECT_IN_USE:
      return SLOT_ACTIVE({ slot, pid: undefined }, { cause })
    case CONFIGURATION_LIMIT:
      return SLOTS_EXHAUSTED({ slot }, { cause })
    default:
      return cause
  }
}
