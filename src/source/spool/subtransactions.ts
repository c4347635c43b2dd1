/**
 * Where in a streamed transaction its sub-transactions begin. A sub-transaction that is rolled back takes with it all
 * that was begun in it, also what was released; whatever has come since its beginning is its own, of its descendants, or
 * of others rolled back with it. xids are given in order, so those that are to go begin with the first change whose xid
 * is not below its own, and only a change with a higher xid than all before it needs to be remembered.
 *
 * ```
 * change   1   2   3   4   5   6        rolled back: 712
 * xid     710 712 714 712 710 716       kept: the change before 2, the first with an xid of 712 or above
 * noted        *   *           *
 * ```
 */
export class Subtransactions {
  #xids = new Uint32Array(8)
  /** Where the change lies, as the caller counts. */
  #positions = new Float64Array(8)
  /** Whether a logical message stands right before it. */
  #behindMessage = new Uint8Array(8)
  #count = 0
  readonly #top: number
  #highest: number

  /** `top`: the xid of the whole transaction. */
  constructor(top: number) {
    this.#top = top
    this.#highest = top
  }

  /** A change of `xid` comes at `position`. */
  note(xid: number, position: number, behindMessage: boolean): void {
    if (!isAfter(xid, this.#highest)) return
    if (this.#count === this.#xids.length) this.#grow()
    this.#xids[this.#count] = xid
    this.#positions[this.#count] = position
    this.#behindMessage[this.#count] = behindMessage ? 1 : 0
    this.#count++
    this.#highest = xid
  }

  /** `xid` was rolled back: where what goes with it begins; undefined when no change of it has come. */
  cut(xid: number): { readonly position: number; readonly behindMessage: boolean } | undefined {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isAfter(xid, this.#xids[middle]!)) low = middle + 1
      else high = middle
    }
    if (low === this.#count) return undefined
    this.#count = low
    this.#highest = low === 0 ? this.#top : this.#xids[low - 1]!
    return { position: this.#positions[low]!, behindMessage: this.#behindMessage[low] === 1 }
  }

  #grow(): void {
    const length = 2 * this.#count
    const xids = new Uint32Array(length)
    const positions = new Float64Array(length)
    const behindMessage = new Uint8Array(length)
    xids.set(this.#xids)
    positions.set(this.#positions)
    behindMessage.set(this.#behindMessage)
    this.#xids = xids
    this.#positions = positions
    this.#behindMessage = behindMessage
  }
}

/** xids wrap around: as the server compares them (TransactionIdFollows). */
function isAfter(xid: number, other: number): boolean {
  return ((xid - other) | 0) > 0
}
