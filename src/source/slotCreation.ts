import { sleep } from '../core/abort.js'
import { SLOT_TIMEOUT } from '../core/errors.js'
import type { Queryable } from '../postgres/queryable.js'
import { type CreatedSlot, createSlot, type NewSlot } from '../postgres/replication/createSlot.js'
import { describeTransaction, slotCreationHolders } from '../postgres/runningTransactions.js'
import type { Session } from '../postgres/session.js'
import type { SourceEvent } from './events.js'

export interface SlotWait {
  /** 0: as long as it takes. */
  readonly timeoutMs: number
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

const FIRST_LOOK_MS = 1000
const NEXT_LOOK_MS = 10_000

/** Makes a slot; the server waits for running transactions meanwhile, without a limit: who they are is told. */
export async function createSlotWatched(
  session: Session,
  control: Queryable,
  slot: NewSlot,
  { timeoutMs, emit, signal }: SlotWait,
): Promise<CreatedSlot> {
  const done = new AbortController()
  const since = performance.now()
  const watch = async () => {
    for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = NEXT_LOOK_MS) {
      const left = timeoutMs === 0 ? pauseMs : Math.min(pauseMs, Math.max(0, timeoutMs - (performance.now() - since)))
      await sleep(left, AbortSignal.any([done.signal, signal]))
      const holders = (await slotCreationHolders(control)).map(describeTransaction)
      const seconds = Math.round((performance.now() - since) / 1000)
      if (done.signal.aborted) return
      if (timeoutMs > 0 && performance.now() - since >= timeoutMs) throw SLOT_TIMEOUT({ seconds, holders })
      emit({ type: 'waiting-for-transactions', seconds, holders })
    }
  }
  const watching = watch().catch((error) => {
    if (!done.signal.aborted) {
      session.destroy()
      throw error
    }
  })
  const creating = createSlot(session, slot)
  try {
    const winner = await Promise.race([creating, watching])
    return winner ?? (await creating)
  } finally {
    done.abort()
    creating.catch(() => {})
    await watching.catch(() => {})
  }
}
