import type { SlotWal } from '../postgres/slotWal.js'

/** Of our heartbeats among the logical messages; they are no records. */
export const HEARTBEAT_PREFIX = 'tailrace_heartbeat'

export const HEARTBEAT_SQL = `SELECT pg_catalog.pg_logical_emit_message(false, '${HEARTBEAT_PREFIX}', '')`

export interface HeartbeatOptions {
  /** `auto`: only when the slot stands still, and a message may mend that. */
  readonly mode: 'auto' | 'always' | 'never'
  /** How long it must have stood; `always`: the time between two. */
  readonly intervalMs: number
}

/** The server frees whole segments: less is not worth a record. */
const WORTH_BYTES = 16 * 1024 * 1024
/** One that mended nothing is repeated at twice the time, up to this: somebody's open transaction may hold the WAL. */
const LONGEST_MS = 3_600_000

/**
 * Decides when a logical message is written to move a slot that stands still. The server moves a slot's restart_lsn only
 * at a record of the running transactions, and it logs none while nothing else is written: when the last one came while
 * an earlier one was still to be confirmed (a consumer that was slow for a while) a server that fell idle then keeps all
 * WAL since, until somebody writes. Any record of ours has it log one more within 15 seconds. Pure; times in milliseconds.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  #restartLsn: bigint | undefined
  #endLsn: bigint | undefined
  #standsSince = 0
  #lastBeat = Number.NEGATIVE_INFINITY
  /** Without an effect so far. */
  #beats = 0

  constructor(options: HeartbeatOptions) {
    this.#options = options
  }

  /** Whether to write one now. `settled`: nothing that was handed out is still to be acknowledged. */
  due(slot: SlotWal, at: number, settled: boolean): boolean {
    const { mode, intervalMs } = this.#options
    if (mode === 'never') return false
    const moved = slot.restartLsn !== this.#restartLsn
    if (moved) this.#beats = 0
    // What is written, our own beat included, makes the server log its transactions: that is to be seen first.
    if (moved || slot.endLsn !== this.#endLsn) this.#standsSince = at
    this.#restartLsn = slot.restartLsn
    this.#endLsn = slot.endLsn
    const waitMs = mode === 'always' ? intervalMs : Math.min(LONGEST_MS, intervalMs * 2 ** this.#beats)
    if (at - this.#lastBeat < waitMs) return false
    if (mode === 'auto') {
      const held = slot.retainedBytes ?? 0
      if (!settled || held < WORTH_BYTES || at - this.#standsSince < intervalMs) return false
      this.#beats++
    }
    this.#lastBeat = at
    return true
  }
}
