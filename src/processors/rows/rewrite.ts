import { ByteWriter } from '../../core/byteWriter.js'
import { copyShort } from '../../core/copyShort.js'
import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  NO_OLD,
  RowBatch,
  SNAPSHOT,
} from '../../core/rowBatch.js'
import { type Lease, SpareMemory } from '../../core/spareMemory.js'
import type { Table } from '../../core/table.js'
import { NULL_COLUMN, type Tape, UNCHANGED_COLUMN } from '../../core/tape.js'
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

/** Room for what comes of a batch of the usual size: that of one read of the socket. */
const PIECE_BYTES = 96 * 1024
/** With less room than this left another one is begun: a record lies in one. */
const ROOM_BYTES = 16 * 1024
/** What takes less is copied out: of small batches many may be on their way. */
const FEW_BYTES = PIECE_BYTES / 4
/** As many as may be on their way at a time. */
const MOST_SPARE = 64
/** What lies between two columns that are copied together: the server's own bytes about the second one. */
const MOST_BETWEEN = 8

const NOTHING = new Uint8Array(0)

const spare = new SpareMemory(PIECE_BYTES, MOST_SPARE)

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
  /** Where the records lie afterwards. */
  readonly #buffers: Uint8Array[] = []
  readonly #memory: Lease[] = []
  /** By index of a buffer of the rows that come, where it is in `#buffers`: of records that stay as they are. */
  readonly #stays: number[] = []
  readonly #tuple = new Tuple()
  #writer: ByteWriter | undefined
  #lease: Lease | undefined
  /** The piece's index in `#buffers`. */
  #piece = -1
  /** What the records take that were made. */
  #ownBytes = 0
  /** Columns that are to be copied together: where they lie, and how far away they will. */
  #runStart = 0
  #runEnd = 0
  #shift = 0

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
    const { heads, tape, count } = rows
    this.#heads = RowBatch.headsFor(count)
    this.#heads.set(heads.subarray(0, count * HEAD))
    this.#tape = RowBatch.tapeFor(tape.length)
    this.#tuple.tape = tape.values
  }

  run(): Processed {
    const { count } = this.#rows
    /** Undefined: none is left out. */
    let kept: Int32Array | undefined
    let written = 0
    for (let index = 0; index < count; index++) {
      if (this.#record(index, written * HEAD)) {
        if (kept !== undefined) kept[written] = index
        written++
      } else kept ??= Int32Array.from({ length: count }, (_, before) => before)
    }
    this.#closePiece()
    const rows = this.#rows.derive({
      heads: this.#heads,
      count: written,
      tape: this.#tape,
      tables: this.#tables,
      buffers: this.#buffers,
      memory: this.#memory,
      ownBytes: this.#ownBytes,
    })
    return { rows, kept: kept?.subarray(0, written) }
  }

  /** Puts the record at `to`, which lies at or before it; false: it is left out. */
  #record(index: number, to: number): boolean {
    const heads = this.#heads
    const head = index * HEAD
    if (to !== head) for (let i = 0; i < HEAD; i++) heads[to + i] = heads[head + i]!
    const tableIndex = heads[to + HEAD_TABLE]!
    const rewrite = tableIndex < 0 ? undefined : this.#rewrites[tableIndex]
    const tapeLength = this.#tape.length
    try {
      if (heads[to + HEAD_OPERATION]! > DELETE) {
        if (tableIndex >= 0) heads[to + HEAD_TABLE] = this.#described[tableIndex]!
        this.#leave(to)
      } else if (rewrite === undefined || this.#applies?.(index) === false) {
        this.#leave(to)
        this.#tuples(index, to, undefined, this.#rows.tables[tableIndex]!)
      } else {
        this.#enter(heads[to + HEAD_BUFFER]!)
        this.#tuples(index, to, rewrite, this.#rows.tables[tableIndex]!)
        heads[to + HEAD_BUFFER] = this.#piece
        heads[to + HEAD_TABLE] = this.#described[tableIndex]!
      }
      return true
    } catch (error) {
      this.#failed(index, error)
      this.#tape.length = tapeLength
      return false
    }
  }

  /** `rewrite` undefined: they stay what they are. */
  #tuples(index: number, to: number, rewrite: RowRewrite | undefined, table: Table): void {
    const heads = this.#heads
    const newAt = heads[to + HEAD_NEW]!
    const old = heads[to + HEAD_OLD]!
    const width = table.columns.length
    if ((old & 3) !== NO_OLD) {
      const at = old >> 2
      const placed = rewrite === undefined ? this.#same(at, width) : this.#made(at, rewrite, index, true)
      heads[to + HEAD_OLD] = (placed << 2) | (old & 3)
    }
    if (newAt < 0) return
    const isPlaced = table.key.length === 0 && this.#wasRead(index, heads[to + HEAD_OPERATION]!)
    if (rewrite === undefined) {
      heads[to + HEAD_NEW] = this.#same(newAt, isPlaced ? width + 1 : width)
      return
    }
    heads[to + HEAD_NEW] = this.#made(newAt, rewrite, index, false)
    if (!isPlaced) return
    this.#tape.reserve(2)
    this.#copied(newAt + 2 * width)
    this.#endRun()
  }

  /** By a snapshot, or by long polling: where a row without a key lies stands behind its columns then. */
  #wasRead(index: number, operation: number): boolean {
    return operation === SNAPSHOT || this.#rows.transactionAt(index * HEAD)?.polledXid !== undefined
  }

  /** A tuple whose bytes stay where they are. */
  #same(at: number, columns: number): number {
    const tape = this.#tape
    const placed = tape.length
    tape.reserve(2 * columns)
    const from = this.#tuple.tape
    for (let i = 0; i < 2 * columns; i++) tape.values[placed + i] = from[at + i]!
    tape.length += 2 * columns
    return placed
  }

  #made(at: number, { from, make }: RowRewrite, record: number, isOld: boolean): number {
    const tape = this.#tape
    const tuple = this.#tuple
    const writer = this.#writer!
    const placed = tape.length
    tape.reserve(2 * from.length)
    tuple.at = at
    for (let column = 0; column < from.length; column++) {
      const source = from[column]!
      if (source >= 0) {
        this.#copied(at + 2 * source)
        continue
      }
      this.#endRun()
      const start = writer.size
      const state = make(column, tuple, writer, record, isOld)
      if (state === SAME) {
        this.#copied(at + 2 * column)
        continue
      }
      tape.values[tape.length++] = state === VALUE ? start : state
      tape.values[tape.length++] = state === VALUE ? writer.size : state
    }
    this.#endRun()
    return placed
  }

  /** The column whose pair stands there, with others that lie beside it. */
  #copied(pair: number): void {
    const tape = this.#tape
    const start = this.#tuple.tape[pair]!
    const end = this.#tuple.tape[pair + 1]!
    if (start < 0) {
      tape.values[tape.length++] = start
      tape.values[tape.length++] = end
      return
    }
    const between = start - this.#runEnd
    if (this.#runEnd === this.#runStart || between < 0 || between > MOST_BETWEEN) {
      this.#endRun()
      this.#runStart = start
      this.#shift = this.#writer!.size - start
    }
    this.#runEnd = end
    tape.values[tape.length++] = start + this.#shift
    tape.values[tape.length++] = end + this.#shift
  }

  #endRun(): void {
    const [start, end] = [this.#runStart, this.#runEnd]
    if (start === end) return
    const writer = this.#writer!
    writer.reserve(end - start)
    copyShort(this.#tuple.bytes, this.#tuple.view, start, end, writer.bytes, writer.view, writer.length)
    writer.length += end - start
    this.#runStart = this.#runEnd = 0
  }

  /** The record stays where it lies. */
  #leave(to: number): void {
    const buffer = this.#heads[to + HEAD_BUFFER]!
    if (buffer < 0) return
    this.#stays[buffer] ??= this.#buffers.push(this.#rows.buffers[buffer]!) - 1
    this.#heads[to + HEAD_BUFFER] = this.#stays[buffer]!
  }

  /** The record comes from that buffer into a piece that has room for it. */
  #enter(buffer: number): void {
    this.#tuple.bytes = this.#rows.buffers[buffer]!
    this.#tuple.view = this.#rows.views[buffer]!
    this.#runStart = this.#runEnd = 0
    if (this.#writer !== undefined && this.#writer.size <= PIECE_BYTES - ROOM_BYTES) return
    this.#closePiece()
    this.#lease = spare.take()
    this.#writer = new ByteWriter(this.#lease.buffer.buffer as ArrayBuffer)
    this.#piece = this.#buffers.push(NOTHING) - 1
  }

  #closePiece(): void {
    const [writer, lease] = [this.#writer, this.#lease]
    if (writer === undefined || lease === undefined) return
    const [first = NOTHING, ...others] = writer.take()
    const isInPiece = others.length === 0 && first.buffer === lease.buffer.buffer && first.length >= FEW_BYTES
    const bytes = isInPiece ? first : writer.toBuffer()
    this.#buffers[this.#piece] = bytes
    this.#ownBytes += isInPiece ? PIECE_BYTES : bytes.length
    if (isInPiece) this.#memory.push(lease)
    else lease.giveBack()
    this.#writer = this.#lease = undefined
  }
}

/** For {@link RowRewrite.make}: NULL stays NULL, and unchanged unchanged; undefined: there is a value. */
export function stateOf(row: Tuple, column: number): number | undefined {
  const start = row.tape[row.pair(column)]!
  return start === NULL_COLUMN || start === UNCHANGED_COLUMN ? start : undefined
}
