import type { TailraceError } from '../core/tailraceError.js'
import { HEARTBEAT_DENIED } from '../core/warnings.js'
import { describeCause, isTransient } from '../postgres/serverError.js'
import { inspectSlotWal, type SlotWal } from '../postgres/slotWal.js'
import type { Acknowledgements } from './acknowledgements.js'
import type { Batch } from './batch.js'
import type { Connections } from './connections.js'
import type { SourceEvent } from './events.js'
import { HEARTBEAT_SQL, Heartbeat } from './heartbeat.js'
import type { ParsedOptions } from './options.js'
import { WalGuard } from './walGuard.js'
import { Watchdog, type WatchedStream } from './watchdog.js'

const LOOK_MS = 5000
/** Near a limit. */
const LOOK_SOON_MS = 1000

export interface RunWatchOptions {
  readonly options: Pick<ParsedOptions, 'stallMs' | 'walBudgetBytes' | 'onWalBudget' | 'heartbeat' | 'heartbeatMs'>
  readonly connections: Connections
  readonly acknowledgements: Acknowledgements
  readonly emit: (event: SourceEvent) => void
  readonly fail: (error: TailraceError) => void
  readonly signal: AbortSignal
}

/** Has a snapshot rest, or go on. Whether there is one. */
type PauseSnapshot = (paused: boolean) => boolean

/** Looks at the run's slot every few seconds, for all who watch it: the WAL guard, the heartbeat and the watchdog. */
export class RunWatch {
  readonly #options: RunWatchOptions
  readonly #guard: WalGuard
  readonly #heartbeat: Heartbeat
  readonly #watchdog: Watchdog | undefined
  readonly #lookMs: number
  #slot: string | undefined
  #timer: NodeJS.Timeout | undefined
  #beats = true
  #stopped = false
  #rest: PauseSnapshot | undefined
  #resting = false

  constructor(watched: RunWatchOptions) {
    this.#options = watched
    const { options, connections, acknowledgements, emit, fail } = watched
    const { stallMs, walBudgetBytes, onWalBudget, heartbeat, heartbeatMs } = options
    this.#guard = new WalGuard({
      budgetBytes: walBudgetBytes,
      action: onWalBudget,
      pauseSnapshot: (paused) => this.#pauseSnapshot(paused),
      fail,
      emit,
    })
    this.#heartbeat = new Heartbeat({ mode: heartbeat, intervalMs: heartbeatMs })
    if (stallMs > 0) this.#watchdog = new Watchdog({ stallMs, acknowledgements, connections, emit })
    this.#lookMs = stallMs > 0 ? Math.min(LOOK_MS, Math.max(100, stallMs / 3)) : LOOK_MS
  }

  /** Goes before each event of the run. */
  hear(event: SourceEvent): void {
    this.#watchdog?.hear(event)
  }

  /** The slot that keeps WAL for the run from now on. */
  follow(slot: string, stream?: WatchedStream): void {
    if (stream !== undefined) this.#watchdog?.follow(stream)
    this.#slot = slot
    if (this.#timer === undefined && !this.#stopped) this.#later(0)
  }

  /** A snapshot is read beside the stream from now on: it rests when the slot holds too much (`onWalBudget`). */
  onRest(rest: PauseSnapshot): void {
    this.#rest = rest
    if (this.#resting) this.#pauseSnapshot(true)
  }

  /** The same batches; when the consumer has one, and when it asks for the next, is noted. */
  async *consumed(batches: AsyncGenerator<Batch, void, void>): AsyncGenerator<Batch, void, void> {
    for await (const batch of batches) {
      this.#watchdog?.handed(batch)
      yield batch
      this.#watchdog?.asked()
    }
  }

  /** Nothing is asked any more. May be called again. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#watchdog?.stop()
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => void this.#look(), ms)
  }

  async #look(): Promise<void> {
    const { connections, signal } = this.#options
    if (signal.aborted) return
    let soon = false
    try {
      this.#watchdog?.looking()
      const slot = await inspectSlotWal(connections.control, this.#slot!)
      if (this.#stopped || signal.aborted) return
      this.#watchdog?.look(slot)
      if (slot !== undefined) {
        soon = this.#guard.look(slot, performance.now())
        await this.#beat(slot)
      }
    } catch {
      // The stream itself tells when the server is gone.
    }
    if (!this.#stopped) this.#later(soon ? Math.min(LOOK_SOON_MS, this.#lookMs) : this.#lookMs)
  }

  async #beat(slot: SlotWal): Promise<void> {
    const { acknowledgements, connections, emit } = this.#options
    if (!this.#beats || !this.#heartbeat.due(slot, performance.now(), acknowledgements.ledger.settled)) return
    try {
      await connections.control.query(HEARTBEAT_SQL)
      emit({ type: 'heartbeat', slot: slot.name, heldBytes: slot.retainedBytes ?? 0 })
    } catch (cause) {
      if (isTransient(cause) || this.#stopped) return
      this.#beats = false
      emit(HEARTBEAT_DENIED({ problem: describeCause(cause) }))
    }
  }

  #pauseSnapshot(paused: boolean): void {
    this.#resting = paused
    if (this.#rest?.(paused) !== true) return
    const event = { type: 'snapshot-paused', paused } as const
    this.hear(event)
    this.#options.emit(event)
  }
}
