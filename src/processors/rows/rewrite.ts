import { ByteWriter } from '../../core/byteWriter.js'
import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  NO_OLD,
  type RowBatch,
  SNAPSHOT,
} from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import { NULL_COLUMN, Tape, UNCHANGED_COLUMN } from '../../core/tape.js'
import type { Processed } from './processed.js'
import { Tuple } from './tuple.js'

/** What {@link RowRewrite.make} says of a column: its value was written. */
export const VALUE = 0

/** It is the column of the same index, as it came. */
export const SAME = 1

/** The rows of a table with some columns made anew; the others keep their bytes. */
export interface RowRewrite {
  /** What the rows are of afterwards. */
  readonly table: Table
  /** Of each of its columns the index of the one it is in the rows that come; -1: it is made. */
  readonly from: readonly number[]
  /**
   * Writes a column in text form, or gives {@link NULL_COLUMN}, {@link UNCHANGED_COLUMN} or {@link SAME}; throws what keeps it
   * from that.
   * Asked of old rows, too, of which all but the key may be NULL.
   */
  readonly make: (column: number, row: Tuple, writer: ByteWriter, record: number, isOld: boolean) => number
}

/** Whether a record is rewritten; a table's other records keep their description. Undefined: all are. */
export type Applies = (index: number) => boolean
/** What a record failed with that is left out then; throws to end it all. */
export type Failed = (index: number, error: unknown) => void

/** The batch with its rows rewritten, `rewrites` by index of its tables. */
export function rewriteRows(
  rows: RowBatch,
  rewrites: readonly (RowRewrite | undefined)[],
  applies: Applies | undefined,
  failed: Failed,
): Processed {
  return new Rewriter(rows, rewrites, applies, failed).run()
}

class Rewriter {
  readonly #rows: RowBatch
  readonly #rewrites: readonly (RowRewrite | undefined)[]
  readonly #applies: Applies | undefined
  readonly #failed: Failed
  readonly #tables: Table[]
  /** By index of a table, where its new description is. */
  readonly #described: readonly number[]
  readonly #heads: Int32Array
  readonly #tape: Tape
  readonly #buffers: Uint8Array[]
  readonly #writer = new ByteWriter()
  readonly #tuple = new Tuple()
  /** What comes of the buffer that is `#of` becomes the one at `#open`. */
  #of = -1
  #open = -1
  #base = 0

  constructor(
    rows: RowBatch,
    rewrites: readonly (RowRewrite | undefined)[],
    applies: Applies | undefined,
    failed: Failed,
  ) {
    this.#rows = rows
    this.#rewrites = rewrites
    this.#applies = applies
    this.#failed = failed
    this.#tables = [...rows.tables]
    this.#described = rewrites.map((rewrite, index) => {
      if (rewrite === undefined) return index
      if (applies !== undefined) return this.#tables.push(rewrite.table) - 1
      this.#tables[index] = rewrite.table
      return index
    })
    this.#heads = rows.heads.slice(0, rows.count * HEAD)
    const { values, length } = rows.tape
    this.#tape = new Tape(2 * length)
    this.#tape.values.set(values.subarray(0, length))
    this.#tape.length = length
    this.#buffers = [...rows.buffers]
  }

  run(): Processed {
    const { count } = this.#rows
    const heads = this.#heads
    const kept = new Int32Array(count)
    let written = 0
    for (let index = 0; index < count; index++) {
      if (!this.#record(index, written * HEAD)) continue
      kept[written++] = index
    }
    this.#close()
    const rows = this.#rows.derive({
      heads: written === count ? heads : heads.slice(0, written * HEAD),
      count: written,
      tape: this.#tape,
      tables: this.#tables,
      buffers: this.#buffers,
    })
    return { rows, kept: written === count ? undefined : kept.subarray(0, written) }
  }

  /** Puts the record at `to`, which lies at or before it; false: it is left out. */
  #record(index: number, to: number): boolean {
    const heads = this.#heads
    const head = index * HEAD
    if (to !== head) heads.copyWithin(to, head, head + HEAD)
    const tableIndex = heads[to + HEAD_TABLE]!
    const rewrite = tableIndex < 0 ? undefined : this.#rewrites[tableIndex]
    if (rewrite === undefined) return true
    if (heads[to + HEAD_OPERATION]! > DELETE) {
      heads[to + HEAD_TABLE] = this.#described[tableIndex]!
      return true
    }
    const tapeLength = this.#tape.length
    try {
      if (this.#applies?.(index) === false) return true
      this.#enter(heads[to + HEAD_BUFFER]!)
      this.#tuples(index, to, rewrite, this.#rows.tables[tableIndex]!)
      heads[to + HEAD_BUFFER] = this.#open
      heads[to + HEAD_TABLE] = this.#described[tableIndex]!
      return true
    } catch (error) {
      this.#failed(index, error)
      this.#tape.length = tapeLength
      return false
    }
  }

  #tuples(index: number, to: number, rewrite: RowRewrite, table: Table): void {
    const heads = this.#heads
    const newAt = heads[to + HEAD_NEW]!
    const old = heads[to + HEAD_OLD]!
    const isSnapshot = heads[to + HEAD_OPERATION] === SNAPSHOT
    if ((old & 3) !== NO_OLD) {
      heads[to + HEAD_OLD] = (this.#tupleAt(old >> 2, rewrite, index, true) << 2) | (old & 3)
    }
    if (newAt < 0) return
    heads[to + HEAD_NEW] = this.#tupleAt(newAt, rewrite, index, false)
    // Where a row without a key lies stands behind its columns.
    if (isSnapshot && table.key.length === 0) this.#pair(newAt + 2 * table.columns.length)
  }

  #tupleAt(at: number, { from, make }: RowRewrite, record: number, isOld: boolean): number {
    const tape = this.#tape
    const placed = tape.length
    tape.reserve(2 * from.length)
    this.#tuple.tape = tape.values
    this.#tuple.at = at
    for (let column = 0; column < from.length; column++) {
      const source = from[column]!
      if (source >= 0) {
        this.#pair(at + 2 * source)
        continue
      }
      const start = this.#writer.size
      const state = make(column, this.#tuple, this.#writer, record, isOld)
      if (state === SAME) {
        this.#pair(at + 2 * column)
        continue
      }
      tape.values[tape.length++] = state === VALUE ? this.#base + start : state
      tape.values[tape.length++] = state === VALUE ? this.#base + this.#writer.size : state
    }
    return placed
  }

  #pair(at: number): void {
    const tape = this.#tape
    tape.reserve(2)
    const { values } = tape
    values[tape.length++] = values[at]!
    values[tape.length++] = values[at + 1]!
  }

  /** What is made stands behind the bytes that the record has already, in a copy of them: so all else stays where it is. */
  #enter(buffer: number): void {
    if (buffer === this.#of) return
    this.#close()
    const bytes = this.#rows.buffers[buffer]!
    this.#of = buffer
    this.#open = this.#buffers.push(bytes) - 1
    this.#base = bytes.length
    this.#tuple.bytes = bytes
  }

  #close(): void {
    if (this.#of < 0) return
    if (this.#writer.size > 0) {
      this.#buffers[this.#open] = Buffer.concat([this.#buffers[this.#open]!, ...this.#writer.take()])
      this.#writer.clear()
    }
    this.#of = -1
  }
}

/** For {@link RowRewrite.make}: NULL stays NULL, and unchanged unchanged; undefined: there is a value. */
export function stateOf(row: Tuple, column: number): number | undefined {
  const start = row.tape[row.pair(column)]!
  return start === NULL_COLUMN || start === UNCHANGED_COLUMN ? start : undefined
}
