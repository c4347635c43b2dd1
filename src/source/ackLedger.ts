import { ACK_FOREIGN, ACK_UNKNOWN } from '../core/errors.js'
import type { Lsn } from '../postgres/lsn.js'
import { comparePlaces, type Origin, type StreamPosition } from './position.js'

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
  readonly #origin: Origin | undefined
  readonly #mark: Lsn
  /** In order of their places, each once. */
  #boundaries: Boundary[] = []
  #confirmed: Lsn
  /** Durable, but beyond what may be confirmed yet; in order. */
  #held: Lsn[] = []
  #limit: Lsn | undefined
  #offered: StreamPosition | undefined
  #furthest: StreamPosition | undefined

  /**
   * `start`: what the slot has confirmed already. `origin`: of the run; positions of another are refused. `mark`: that of
   * `slotMark.ts`, where the slot is to bear one.
   */
  constructor(start: Lsn, origin?: Origin, mark: Lsn = 0n) {
    this.#confirmed = start
    this.#mark = mark
    this.#origin = origin
  }

  get confirmed(): Lsn {
    return this.#confirmed
  }

  /** Whether everything handed out is durable. */
  get settled(): boolean {
    return this.#boundaries.length === 0
  }

  /** Behind what was handed out last. */
  get offered(): StreamPosition | undefined {
    return this.#offered
  }

  /** Something is durable that `allow` has not let through. */
  get holds(): boolean {
    return this.#held.length > 0
  }

  /** From the first call on nothing is confirmed that ends behind `limit`, whoever said that it is durable. */
  allow(limit: Lsn): void {
    this.#limit = limit
    const allowed = this.#held.filter((lsn) => lsn <= limit)
    this.#held = this.#held.slice(allowed.length)
    for (const lsn of allowed) this.#confirm(lsn)
  }

  /** The position the run resumes from: all before it is durable already. */
  resumed(position: StreamPosition): void {
    this.#offered = this.#furthest = position
  }

  /**
   * A batch that ends at `position` is handed out. `confirmable` is the end LSN of the last transaction that is whole
   * there, exactly as its Commit message gave it, or an idle WAL position.
   */
  offer(position: StreamPosition, confirmable: Lsn): void {
    this.#offered = position
    if (this.#furthest === undefined || after(position, this.#furthest)) this.#furthest = position
    // A transaction handed out once more (`onRedeliveryChange: 'repeat'`) takes the place of what there was of it.
    while (this.#boundaries.length > 0 && !after(position, this.#boundaries.at(-1)!.position)) this.#boundaries.pop()
    if (this.#boundaries.length === MAX_BOUNDARIES) {
      this.#boundaries = this.#boundaries.filter((_, index) => index % 2 === 1)
    }
    this.#boundaries.push({ position, confirmable })
  }

  /** Everything up to `position`, the end of a batch or one record's, is durable. */
  ack(position: StreamPosition): void {
    this.#requireOurs(position.origin)
    if (this.#furthest === undefined || after(position, this.#furthest)) {
      throw ACK_UNKNOWN({ position: position.toString() })
    }
    let covered = 0
    while (covered < this.#boundaries.length && covers(position, this.#boundaries[covered]!.position)) covered++
    if (covered > 0) this.#confirm(this.#boundaries[covered - 1]!.confirmable)
    this.#boundaries.splice(0, covered)
    const { end } = position.place
    if (end !== undefined) this.#confirm(end)
  }

  /** Of all that tells histories apart but the timeline, which a failover changes in the middle of a run. */
  #requireOurs(origin: Origin): void {
    if (this.#origin === undefined) return
    for (const field of ['system', 'database', 'slot', 'epoch'] as const) {
      if (origin[field] === this.#origin[field]) continue
      throw ACK_FOREIGN({ field, expected: String(this.#origin[field]), found: String(origin[field]) })
    }
  }

  /** The only place. Never back: a resent transaction ends below what was confirmed before. */
  #confirm(lsn: Lsn): void {
    if (lsn - this.#mark <= this.#confirmed) return
    if (this.#limit === undefined || lsn <= this.#limit) this.#confirmed = lsn - this.#mark
    else if (lsn > (this.#held.at(-1) ?? 0n)) this.#hold(lsn)
  }

  #hold(lsn: Lsn): void {
    if (this.#held.length === MAX_BOUNDARIES) this.#held = this.#held.filter((_, index) => index % 2 === 1)
    this.#held.push(lsn)
  }
}

function after(a: StreamPosition, b: StreamPosition): boolean {
  return comparePlaces(a.place, b.place) > 0
}

/** Whether whoever has stored everything up to `position` has all that was handed out up to `boundary`. */
function covers({ place }: StreamPosition, boundary: StreamPosition): boolean {
  if (comparePlaces(boundary.place, place) > 0) return false
  const { lsn, end } = boundary.place
  // The same transaction may have had more rows when it was handed out first, and those are not what it has now.
  const wholeTransaction = end !== undefined && end !== lsn
  return !wholeTransaction || place.lsn !== lsn || place.end !== undefined
}
