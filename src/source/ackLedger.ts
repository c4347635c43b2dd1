import { ACK_UNKNOWN } from '../core/errors.js'
import type { Lsn } from '../postgres/lsn.js'
import { comparePlaces, type StreamPosition } from './position.js'

/** Where a batch handed out ends, and what may be confirmed to the slot once everything up to there is durable. */
interface Boundary {
  readonly position: StreamPosition
  readonly confirmable: Lsn
}

/** More boundaries are merged: a consumer that never acks costs no memory, and confirming gets coarser for it only. */
const MAX_BOUNDARIES = 4096

/**
 * Which LSN may be confirmed to the slot: the one place that decides it (design section 3, rule 4). It takes only what
 * the consumer said is durable. No socket, no timer.
 */
export class AckLedger {
  #boundaries: Boundary[] = []
  #confirmed: Lsn
  #acked: StreamPosition | undefined
  #offered: StreamPosition | undefined

  /** `start`: what the slot has confirmed already. */
  constructor(start: Lsn) {
    this.#confirmed = start
  }

  get confirmed(): Lsn {
    return this.#confirmed
  }

  /** Whether everything handed out is durable. */
  get settled(): boolean {
    return this.#boundaries.length === 0
  }

  /** Behind everything handed out. */
  get offered(): StreamPosition | undefined {
    return this.#offered
  }

  /** The position the run resumes from: all before it is durable already. */
  resumed(position: StreamPosition): void {
    this.#acked = this.#offered = position
  }

  /**
   * A batch that ends at `position` is handed out. `confirmable` is the end LSN of the last transaction that is whole
   * there, exactly as its Commit message gave it, or an idle WAL position.
   */
  offer(position: StreamPosition, confirmable: Lsn): void {
    this.#offered = position
    if (this.#boundaries.length === MAX_BOUNDARIES) {
      this.#boundaries = this.#boundaries.filter((_, index) => index % 2 === 1)
    }
    this.#boundaries.push({ position, confirmable })
  }

  /** Everything up to `position`, the end of a batch or one record's, is durable. */
  ack(position: StreamPosition): void {
    if (this.#offered === undefined || comparePlaces(position.place, this.#offered.place) > 0) {
      throw ACK_UNKNOWN({ position: position.toString() })
    }
    if (this.#acked !== undefined && comparePlaces(position.place, this.#acked.place) <= 0) return
    this.#acked = position
    let covered = 0
    while (covered < this.#boundaries.length && !after(this.#boundaries[covered]!.position, position)) covered++
    if (covered > 0) this.#confirm(this.#boundaries[covered - 1]!.confirmable)
    this.#boundaries.splice(0, covered)
    const { end, snapshot } = position.place
    if (end !== undefined && snapshot === undefined) this.#confirm(end)
  }

  /** The only place. Never back: a resent transaction ends below what was confirmed before. */
  #confirm(lsn: Lsn): void {
    if (lsn > this.#confirmed) this.#confirmed = lsn
  }
}

function after(a: StreamPosition, b: StreamPosition): boolean {
  return comparePlaces(a.place, b.place) > 0
}
