import { sleep } from '../core/abort.js'
import { catalogChangedSince, nextXid } from '../postgres/catalogChanges.js'
import { formatLsn } from '../postgres/lsn.js'
import type { CreatedSlot, NewSlot } from '../postgres/replication/createSlot.js'
import type { Session } from '../postgres/session.js'
import { dropSlot } from '../postgres/slot.js'
import type { PlannedTable } from './capturePlan.js'
import type { RunContext } from './runContext.js'
import { createSlotWatched, SlotCreationBlockedByUs } from './slotCreation.js'
import { SnapshotReaders } from './snapshot/snapshotPhase.js'

export interface OpenedSlot {
  /** The replication session that made the slot, and owns it when it is a temporary one. */
  readonly owner: Session
  /** Hold locks on all tables since before the slot was made; undefined when no snapshot is wanted. */
  readonly readers: SnapshotReaders | undefined
  readonly created: CreatedSlot
}

/** Time for a transaction that waited for our locks to get them. */
const STEP_ASIDE_MS = 1000

/**
 * Locks the tables, then makes the slot. If a transaction that the slot waits for waits itself for our locks, we step
 * aside and begin again: neither would ever end. Also if a table was altered or truncated meanwhile, by a transaction
 * that ended only then: the server does not decode by that change what comes after it (seen on 14 to 18): columns are
 * missing without a word, or it stops at each try with "could not map filenumber".
 */
export async function openSlot(
  context: RunContext,
  planned: readonly PlannedTable[],
  first: Session,
  slot: NewSlot,
): Promise<OpenedSlot> {
  const { options, connections, emit, signal } = context
  const { slotTimeoutMs: timeoutMs, snapshotWorkers: workers } = options
  for (let owner = first; ; owner = await connections.replication()) {
    const readers = slot.exportSnapshot
      ? await SnapshotReaders.open({ connections, planned, workers, emit, signal })
      : undefined
    try {
      const readerPids = readers?.sessions.map(({ processId }) => processId) ?? []
      const watch = { timeoutMs, emit, signal, walsenderPid: owner.processId, readerPids }
      const since = await nextXid(connections.control)
      const created = await createSlotWatched(owner, connections.control, slot, watch)
      if (await catalogChangedSince(connections.control, since)) {
        await readers?.close()
        if (!slot.temporary) await dropSlot(connections.control, slot.name)
        await owner.close()
        continue
      }
      const lsn = formatLsn(created.consistentPoint)
      emit({ type: 'slot-created', slot: slot.name, temporary: slot.temporary, lsn })
      return { owner, readers, created }
    } catch (error) {
      await readers?.close()
      if (!(error instanceof SlotCreationBlockedByUs)) throw error
      owner.destroy()
      await sleep(STEP_ASIDE_MS, signal)
    }
  }
}
