import { sleep } from '../core/abort.js'
import {
  SLOT_ACTIVE,
  SLOT_DROP_DENIED,
  SLOT_IN_USE,
  SLOT_NOT_RELEASED,
  SLOT_TEMPORARY,
  SLOT_UNKNOWN,
} from '../core/errors.js'
import { nearest } from '../core/nearest.js'
import type { Queryable } from './queryable.js'
import { sqlstateOf } from './serverError.js'
import { dropSlot } from './slot.js'
import { type ListedSlot, listSlots } from './slotList.js'

export interface DropWishes {
  /** End the session that holds it. */
  readonly force: boolean
  /** How long a session that was told to end may take, and one that comes back is ended again. Default 30 s. */
  readonly releaseMs?: number
  readonly signal?: AbortSignal
}

const RELEASE_MS = 30_000
const POLL_MS = 50

const INSUFFICIENT_PRIVILEGE = '42501'

/** Drops a slot by name, or says why not. Of an active one first ends the reader, where that is wished. */
export async function dropNamedSlot(queryable: Queryable, name: string, wishes: DropWishes): Promise<void> {
  const { force, releaseMs = RELEASE_MS, signal } = wishes
  const deadline = performance.now() + releaseMs
  const slots = await listSlots(queryable)
  let slot = slots.find((one) => one.name === name)
  if (slot === undefined) {
    const names = slots.map((one) => one.name)
    throw SLOT_UNKNOWN({ slot: name, near: nearest(name, names), known: names })
  }
  // A reader with a reconnect of its own may be back before we are: with force it is ended again.
  for (; slot !== undefined; slot = (await listSlots(queryable)).find((one) => one.name === name)) {
    if (!force && slot.temporary) throw SLOT_TEMPORARY({ slot: name, ...holderOf(slot) })
    if (!force && slot.active) throw SLOT_IN_USE({ slot: name, ...holderOf(slot) })
    if (slot.activePid !== undefined) await endSession(queryable, slot)
    else if (!slot.temporary && (await dropped(queryable, name))) return
    if (performance.now() > deadline) {
      throw SLOT_NOT_RELEASED({ slot: name, seconds: releaseMs / 1000, ...holderOf(slot) })
    }
    await sleep(POLL_MS, signal)
  }
}

function holderOf({ activePid, application }: ListedSlot) {
  return { pid: activePid, application }
}

/** False when somebody took it in between. */
async function dropped(queryable: Queryable, name: string): Promise<boolean> {
  try {
    await dropSlot(queryable, name)
    return true
  } catch (cause) {
    if (SLOT_ACTIVE.is(cause)) return false
    throw denied(cause, name, 'drop it', 'the REPLICATION attribute')
  }
}

async function endSession(queryable: Queryable, { name, activePid }: ListedSlot): Promise<void> {
  // Only while it still holds the slot: a pid may be another process's by now.
  await queryable
    .query(
      `SELECT pg_catalog.pg_terminate_backend(s.active_pid)
         FROM pg_catalog.pg_replication_slots s
        WHERE s.slot_name = $1 AND s.active_pid = $2`,
      [name, activePid],
    )
    .catch((cause) => {
      throw denied(cause, name, `end process ${activePid}, which holds it`, 'the role pg_signal_backend')
    })
}

function denied(cause: unknown, slot: string, what: string, needs: string): unknown {
  return sqlstateOf(cause) === INSUFFICIENT_PRIVILEGE ? SLOT_DROP_DENIED({ slot, what, needs }, { cause }) : cause
}
