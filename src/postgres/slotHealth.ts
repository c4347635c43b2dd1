import { describeBytes, describeSeconds } from '../core/quantity.js'
import type { ListedSlot } from './slotList.js'

/** `invalidated`: of no more use; `at-risk`: soon invalidated; `holds-much-wal`, `inactive`: look at its reader. */
export type SlotState = 'ok' | 'inactive' | 'holds-much-wal' | 'at-risk' | 'invalidated'

export interface SlotHealth {
  /** The worst that is true of it. */
  readonly state: SlotState
  /** All that is true of it, in words. */
  readonly words: string
}

/** A reader that keeps up holds a few segments of 16 MB; this is minutes of a busy server. */
const MUCH_WAL_BYTES = 1024 ** 3
/** Of what may be held in all: with less left the next burst of writing may cost the slot. */
const LITTLE_LEFT = 0.2

/** "invalidation_reason" in "pg_replication_slots", and what we say for servers before 17. */
const REASONS: Readonly<Record<string, string>> = {
  wal_removed: 'WAL that it needed was removed, by max_slot_wal_keep_size',
  rows_removed: 'catalog rows that it needed were removed on the primary',
  wal_level_insufficient: 'the primary no longer has wal_level = logical',
  idle_timeout: 'it was idle for longer than idle_replication_slot_timeout',
}

/** What is to be said of a slot. Pure; `now` is the time that it was read. */
export function slotHealth(slot: ListedSlot, now: Date): SlotHealth {
  const { invalidation, retainedBytes = 0, safeWalBytes, inactiveSince } = slot
  if (invalidation !== undefined) {
    const reason = REASONS[invalidation]
    return { state: 'invalidated', words: `invalidated: ${invalidation}${reason === undefined ? '' : ` (${reason})`}` }
  }
  const found: SlotHealth[] = []
  if (slot.walStatus === 'unreserved') {
    found.push({
      state: 'at-risk',
      words: 'its WAL may be removed at the next checkpoint, unless its reader catches up',
    })
  } else if (safeWalBytes !== undefined) {
    const little = safeWalBytes < (retainedBytes + safeWalBytes) * LITTLE_LEFT
    const words = `invalidated after ${describeBytes(Math.max(0, safeWalBytes))} more WAL`
    if (little) found.push({ state: 'at-risk', words })
  }
  if (retainedBytes >= MUCH_WAL_BYTES) {
    found.push({ state: 'holds-much-wal', words: `holds ${describeBytes(retainedBytes)} of WAL` })
  }
  if (!slot.active) found.push({ state: 'inactive', words: `inactive${since(inactiveSince, now)}` })
  if (found.length === 0) return { state: 'ok', words: 'ok' }
  return { state: found[0]!.state, words: found.map(({ words }) => words).join('; ') }
}

function since(begin: Date | undefined, now: Date): string {
  if (begin === undefined) return ''
  const seconds = Math.max(0, Math.round((now.getTime() - begin.getTime()) / 1000))
  return ` since ${begin.toISOString().slice(0, 19)}Z (${describeSeconds(seconds)})`
}
