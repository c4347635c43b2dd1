import { viewOf } from '../../core/byteWriter.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../core/tape.js'

/** No second tuple to take unchanged columns from. */
export const NO_FALLBACK = -1

const NOTHING = new Uint8Array(0)

/** One row on its way through a processor, over the bytes received; used again for the next one. */
export class Tuple {
  bytes: Uint8Array = NOTHING
  /** Of the same bytes, where they are rewritten: four of them at a time. */
  view = viewOf(NOTHING)
  tape: Int32Array = new Int32Array(0)
  at = 0
  /** Where unchanged columns are, or {@link NO_FALLBACK}. */
  fallback = NO_FALLBACK

  /** Where on the tape start and end of a column are. */
  pair(column: number): number {
    const pair = this.at + 2 * column
    return this.tape[pair] === UNCHANGED_COLUMN && this.fallback !== NO_FALLBACK ? this.fallback + 2 * column : pair
  }

  isNull(column: number): boolean {
    return this.tape[this.pair(column)] === NULL_COLUMN
  }

  isUnchanged(column: number): boolean {
    return this.tape[this.pair(column)] === UNCHANGED_COLUMN
  }
}
