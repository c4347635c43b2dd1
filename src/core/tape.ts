/** Start of a column that is NULL. Real starts are offsets, so never negative. */
export const NULL_COLUMN = -1
/** Start of a column whose TOASTed value the server did not send, because it did not change. */
export const UNCHANGED_COLUMN = -2

/**
 * A growing list of Int32: where decoders leave, for each column of a row, its start and end in the bytes received
 * (`values[at + 2 * column]` and `values[at + 2 * column + 1]`; the start may be {@link NULL_COLUMN} or
 * {@link UNCHANGED_COLUMN}). Rows stand one behind the other, so that no row costs an object.
 */
export class Tape {
  values: Int32Array
  length = 0

  constructor(capacity = 1024) {
    this.values = new Int32Array(capacity)
  }

  /** Makes room for `count` more numbers. `values` may be another array afterwards. */
  reserve(count: number): void {
    if (this.length + count <= this.values.length) return
    const grown = new Int32Array(Math.max(this.values.length * 2, this.length + count))
    grown.set(this.values.subarray(0, this.length))
    this.values = grown
  }
}
