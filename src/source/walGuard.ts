import { SLOT_LOST, WAL_BUDGET_REACHED } from '../core/errors.js'
import type { TailraceError } from '../core/tailraceError.js'
import type { SlotWal } from '../postgres/slotWal.js'
import type { SourceEvent } from './events.js'
import { GrowthWindow, isAtLeast, judgeRetention, RetentionLevels, type WalRetention } from './walRetention.js'

export type WalBudgetAction = 'warn' | 'pause-snapshot' | 'stop'

export interface WalGuardOptions {
  /** How much WAL the slot may hold by the user's word; undefined: as much as the server allows. */
  readonly budgetBytes: number | undefined
  readonly action: WalBudgetAction
  /** A snapshot that runs beside the stream rests, or goes on. */
  readonly pauseSnapshot: (paused: boolean) => void
  /** The run cannot go on. */
  readonly fail: (error: TailraceError) => void
  readonly emit: (event: SourceEvent) => void
}

/**
 * Watches the WAL that the server keeps for our slot: tells how much it is and how long it may go on, and does what it
 * was told at the limit. The server's own limit is no place to stop at, which would only make sure that the slot is lost:
 * there a snapshot is paused in time, and the run goes on.
 */
export class WalGuard {
  readonly #options: WalGuardOptions
  #slot: string | undefined
  #growth = new GrowthWindow()
  #levels = new RetentionLevels()
  #paused = false
  #failed = false

  constructor(options: WalGuardOptions) {
    this.#options = options
  }

  /** The slot as it is `at` this time, in milliseconds. Whether it is near a limit, so that looks should come sooner. */
  look(slot: SlotWal, at: number): boolean {
    if (slot.name !== this.#slot) this.#begin(slot.name)
    const growth = this.#growth.add(at, slot.retainedBytes ?? 0)
    const retention = judgeRetention(slot, growth, this.#options.budgetBytes)
    const level = this.#levels.add(at, retention.level)
    const { walStatus } = slot
    this.#options.emit({ type: 'wal-retention', slot: slot.name, ...retention, level, walStatus })
    this.#act(slot, retention, level)
    return isAtLeast(level, 'half')
  }

  #begin(slot: string): void {
    this.#slot = slot
    this.#growth = new GrowthWindow()
    this.#levels = new RetentionLevels()
  }

  /** `level`: the highest of the last minute. */
  #act(slot: SlotWal, retention: WalRetention, level: WalRetention['level']): void {
    const { action, pauseSnapshot } = this.#options
    if (slot.invalidation !== undefined) this.#fail(SLOT_LOST({ slot: slot.name, reason: slot.invalidation }))
    const { heldBytes, limit, limitBytes } = retention
    if (action === 'stop' && limit === 'walBudgetBytes' && retention.level === 'reached') {
      this.#fail(
        WAL_BUDGET_REACHED({ slot: slot.name, temporary: slot.temporary, heldBytes, budgetBytes: limitBytes! }),
      )
    }
    if (action !== 'pause-snapshot') return
    // At the server's limit it would be too late: the slot would be lost at the next checkpoint.
    const pauseAt = limit === 'walBudgetBytes' ? 'reached' : 'near'
    const pause = isAtLeast(retention.level, pauseAt)
    if (this.#paused ? isAtLeast(level, 'near') : !pause) return
    this.#paused = pause
    pauseSnapshot(pause)
  }

  #fail(error: TailraceError): void {
    if (this.#failed) return
    this.#failed = true
    this.#options.fail(error)
  }
}
