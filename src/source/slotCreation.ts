import { sleep } from '../core/abort.js'
import { SLOT_TIMEOUT } from '../core/errors.js'
import type { Queryable } from '../postgres/queryable.js'
import { type CreatedSlot, createSlot, type NewSlot } from '../postgres/replication/createSlot.js'
import { describeTransaction, slotCreationHolders } from '../postgres/runningTransactions.js'
import type { Session } from '../postgres/session.js'
import { dropSlot } from '../postgres/slot.js'
import type { SourceEvent } from './events.js'
import { blockedBy, describeParty } from './snapshot/locks.js'

export interface SlotWait {
  /** 0: as long as it takes. */
  readonly timeoutMs: number
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
  /** The server's process of the session that makes the slot. */
  readonly walsenderPid: number
  /** Processes that hold locks of ours meanwhile: the readers of a snapshot. */
  readonly readerPids: readonly number[]
}

/**
 * Somebody waits for a lock of our readers while the slot waits for running transactions, perhaps for that very one: the
 * server sees no cycle, and nobody would ever end. The creation was given up; the locks are now to be given back, and
 * all begins again.
 */
export class SlotCreationBlockedByUs extends Error {
  override readonly name = 'SlotCreationBlockedByUs'
  /** Who waits for us. */
  readonly waiting: readonly string[]

  constructor(waiting: readonly string[]) {
    super(`the slot waits for transactions while ${waiting.join(', ')} waits for our locks`)
    this.waiting = waiting
  }
}

const LOOK_MS = 1000
const NEXT_REPORT_MS = 10_000
/** How long the end of the walsender is waited for; it is a matter of milliseconds. */
const TERMINATION_MS = 5000

/**
 * Makes a slot; the server waits for running transactions meanwhile, without a limit: who they are is told. After an
 * abort, SLOT_TIMEOUT or SlotCreationBlockedByUs there is neither a slot nor a walsender that waits for one.
 */
export async function createSlotWatched(
  session: Session,
  control: Queryable,
  slot: NewSlot,
  wait: SlotWait,
): Promise<CreatedSlot> {
  const done = new AbortController()
  const creating = createSlot(session, slot)
  let creates = true
  const settled = () => {
    creates = false
    done.abort()
  }
  creating.then(settled, settled)
  try {
    return await Promise.race([creating, watch(control, wait, done.signal)])
  } catch (error) {
    if (!creates) return await creating
    done.abort()
    await giveUp(session, control, slot, wait.walsenderPid, creating)
    wait.signal.throwIfAborted()
    throw error
  }
}

/** Rejects when the creation is to be given up, and with whatever when it is `done`. */
async function watch(control: Queryable, wait: SlotWait, done: AbortSignal): Promise<never> {
  const { timeoutMs, emit, signal, readerPids } = wait
  const since = performance.now()
  const ending = AbortSignal.any([done, signal])
  for (let reportAt = 0; ; ) {
    const left = timeoutMs === 0 ? LOOK_MS : timeoutMs - (performance.now() - since)
    await sleep(Math.max(0, Math.min(LOOK_MS, left)), ending)
    const blocked = readerPids.length === 0 ? [] : await blockedBy(control, readerPids)
    if (blocked.length > 0) throw new SlotCreationBlockedByUs(blocked.map(describeParty))
    const waitedMs = performance.now() - since
    const timedOut = timeoutMs > 0 && waitedMs >= timeoutMs
    if (!timedOut && waitedMs < reportAt) continue
    reportAt = waitedMs + NEXT_REPORT_MS
    const holders = await holdersOf(control)
    ending.throwIfAborted()
    const seconds = Math.round(waitedMs / 1000)
    if (timedOut) throw SLOT_TIMEOUT({ seconds, holders })
    emit({ type: 'waiting-for-transactions', seconds, holders })
  }
}

/** On a standby nobody holds anything: the slot waits for the primary to say who runs there. */
async function holdersOf(control: Queryable): Promise<string[]> {
  const holders = (await slotCreationHolders(control)).map(describeTransaction)
  if (holders.length > 0) return holders
  const [row] = await control.query<{ standby: boolean }>('SELECT pg_catalog.pg_is_in_recovery() AS standby')
  return row!.standby ? [PRIMARY_HOLDS] : []
}

/** The server's background writer does so every 15 s while anything is written. */
const PRIMARY_HOLDS =
  'the primary to log its running transactions (at once with SELECT pg_log_standby_snapshot() there)'

/** A walsender that waits for a transaction does not look at its socket: only a signal ends the wait. */
async function giveUp(
  session: Session,
  control: Queryable,
  slot: NewSlot,
  walsenderPid: number,
  creating: Promise<CreatedSlot>,
): Promise<void> {
  const ended = await terminate(control, walsenderPid).catch(() => false)
  if (!ended) session.destroy()
  const created = await creating.catch(() => undefined)
  session.destroy()
  // It was made in the last moment.
  if (created !== undefined && !slot.temporary) await dropSlot(control, slot.name)
}

/** Whether the process has ended. */
async function terminate(control: Queryable, pid: number): Promise<boolean> {
  const sql = 'SELECT pg_catalog.pg_terminate_backend($1, $2) AS ended'
  const [row] = await control.query<{ ended: boolean }>(sql, [pid, TERMINATION_MS])
  return row!.ended
}
