import { ACK_OUT_OF_ORDER } from '../../../core/conduitErrors.js'
import { checkOf } from './positionCheck.js'

const FIRST_ROOM = 1024

/** What is to be done once so many records are acknowledged. */
interface Mark {
  readonly after: number
  readonly reached: () => void
}

/**
 * Records that the host has not acknowledged yet. It does so in their order and leaves none out: so they are counted, and
 * of each position a number is kept, by which a fault is seen. Ten thousand of them may be under way for a second.
 */
export class SentRecords {
  #checks = new Int32Array(FIRST_ROOM)
  #sent = 0
  #acked = 0
  readonly #marks: Mark[] = []
  /** So many are to be acknowledged for the first of them. */
  #nextMark = Number.POSITIVE_INFINITY

  get outstanding(): number {
    return this.#sent - this.#acked
  }

  /** A record is sent whose position lies there. */
  add(view: DataView, start: number, end: number): void {
    if (this.outstanding === this.#checks.length) this.#grow()
    this.#checks[this.#sent & (this.#checks.length - 1)] = checkOf(view, start, end)
    this.#sent++
  }

  /** Records are sent of whose positions these are the checks. */
  addChecked(checks: Int32Array, from: number, to: number): void {
    while (this.outstanding + to - from > this.#checks.length) this.#grow()
    const at = this.#sent & (this.#checks.length - 1)
    const before = Math.min(to - from, this.#checks.length - at)
    this.#checks.set(checks.subarray(from, from + before), at)
    this.#checks.set(checks.subarray(from + before, to), 0)
    this.#sent += to - from
  }

  /** Once all that was sent until now is acknowledged; at once if it is. */
  mark(reached: () => void): void {
    if (this.outstanding === 0) return reached()
    this.#marks.push({ after: this.#sent, reached })
    this.#nextMark = this.#marks[0]!.after
  }

  /** The host has stored the position that lies there, and with it the record. Throws `ACK_OUT_OF_ORDER`. */
  ack(view: DataView, start: number, end: number): void {
    const expected = this.#checks[this.#acked & (this.#checks.length - 1)]
    const isExpected = this.#acked < this.#sent && end <= view.byteLength && checkOf(view, start, end) === expected
    if (!isExpected) throw this.#unexpected(view, start, Math.min(end, view.byteLength))
    this.#acked++
    if (this.#acked >= this.#nextMark) this.#reach()
  }

  // Apart, since what stands in a loop is compiled with it, whether it is run or not.
  #unexpected(view: DataView, start: number, end: number): Error {
    const known = this.outstanding > 0
    const expected = known ? `that ends otherwise (record ${this.#acked + 1} of this run)` : 'of none: all are'
    const position = Buffer.from(view.buffer, view.byteOffset + start, end - start).toString()
    return ACK_OUT_OF_ORDER({ position, expected })
  }

  #reach(): void {
    while (this.#marks.length > 0 && this.#marks[0]!.after <= this.#acked) this.#marks.shift()!.reached()
    this.#nextMark = this.#marks[0]?.after ?? Number.POSITIVE_INFINITY
  }

  #grow(): void {
    const grown = new Int32Array(2 * this.#checks.length)
    for (let i = this.#acked; i < this.#sent; i++) {
      grown[i & (grown.length - 1)] = this.#checks[i & (this.#checks.length - 1)]!
    }
    this.#checks = grown
  }
}

/** Source.Run.Request: `repeated bytes ack_positions = 1`. */
const ACK_POSITIONS = 0x0a

/** Where each position of a `Source.Run.Request` lies, which is `bytes[p..limit)`. Anything else in it is passed over. */
export function readAcks(
  bytes: Uint8Array,
  p: number,
  limit: number,
  each: (start: number, end: number) => void,
): void {
  while (p < limit) {
    const tag = bytes[p++]!
    const type = tag & 7
    if (tag >= 0x80) while (p < limit && bytes[p++]! >= 0x80);
    if (type === 1) p += 8
    else if (type === 5) p += 4
    else {
      let value = 0
      let byte = 0x80
      for (let scale = 1; byte >= 0x80 && p < limit; scale *= 128) {
        byte = bytes[p++]!
        value += (byte & 0x7f) * scale
      }
      if (type === 0) continue
      if (tag === ACK_POSITIONS) each(p, p + value)
      p += value
    }
  }
}
