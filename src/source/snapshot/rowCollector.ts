import { viewOf } from '../../core/byteWriter.js'
import { copyShort } from '../../core/copyShort.js'
import { type CopyLines, NOTHING_OLD, RowBatch, SNAPSHOT } from '../../core/rowBatch.js'
import { type Lease, SpareMemory } from '../../core/spareMemory.js'
import type { Table } from '../../core/table.js'
import { Tape } from '../../core/tape.js'
import { afterBinaryHeader, BinaryRows, isBinaryTrailer, ROW_HEAD, TRAILER } from '../../postgres/binary/row.js'
import { readCopyRow, requireLine } from '../../postgres/copy/row.js'
import { COPY_DATA } from '../../postgres/frames.js'

/** Room for a batch as readers hand it on, and what comes with the chunk that fills it. */
const PART_BYTES = 320 * 1024
/** As much as comes back at a time from whoever writes batches on. */
const MOST_SPARE = 48
/** A row from here on is kept where it came. */
const LONG_ROW = 32 * 1024
const FIRST_ENDS = 1024
const NO_PART = Buffer.allocUnsafeSlow(0)

/** A smaller batch is looked into even by who hands the lines of larger ones on. */
const TELLING_BYTES = 64 * 1024

const spare = new SpareMemory(PART_BYTES, MOST_SPARE)

/** Whether the consumer of a run looks into rows: then they are read where they came, which spares a copy of each. */
export class RowUse {
  areRead = false
}

/**
 * Collects the rows of one COPY into batches, line behind line, so that they can be sent on as they are and no chunk of the
 * socket is kept; nobody looks into a row here, until it is known that somebody will. Synchronous; does no I/O.
 */
export class RowCollector {
  readonly #table: Table
  readonly #columns: number
  readonly #snapshotId: string
  readonly #use: RowUse
  /** Of rows that are read at once. */
  #batch: RowBatch | undefined
  #lines: CopyLines[] = []
  #part: Buffer = NO_PART
  #lease: Lease | undefined
  #partView: DataView = viewOf(this.#part)
  #used = 0
  #ends = new Int32Array(FIRST_ENDS)
  #partCount = 0
  #chunk: Uint8Array | undefined
  #chunkView = this.#partView
  #count = 0
  #bytes = 0
  /** Of a COPY in binary format. */
  readonly #binary: { readonly forms: readonly number[]; readonly rows: BinaryRows } | undefined
  #isBegun = false

  /**
   * `columns`: how many a row has, its place in the table included; `forms`: what they are in binary format, where the COPY is in
   * that.
   */
  constructor(table: Table, columns: number, snapshotId: string, use = new RowUse(), forms?: readonly number[]) {
    this.#table = table
    this.#columns = columns
    this.#snapshotId = snapshotId
    this.#use = use
    this.#binary = forms && { forms, rows: new BinaryRows(forms) }
    this.#begin()
  }

  get count(): number {
    return this.#batch?.count ?? this.#count
  }

  get bytes(): number {
    return this.#batch?.bytes ?? this.#bytes
  }

  /** The payload of one CopyData, which has the head of its frame before it. */
  collect(bytes: Uint8Array, start: number, end: number): void {
    if (this.#batch !== undefined) this.#read(this.#batch, bytes, start, end)
    else if (this.#binary === undefined) {
      requireLine(bytes, start, end)
      this.#append(bytes, start, end)
    } else this.#takeBinary(bytes, start, end)
  }

  /** The header comes with the first row, or, where there is none, with the trailer's frame before it. */
  #takeBinary(bytes: Uint8Array, start: number, end: number): void {
    const from = this.#isBegun ? start : afterBinaryHeader(bytes, start, end)
    this.#isBegun = true
    if (from < end && !isBinaryTrailer(bytes, from, end)) this.#appendFramed(bytes, from, end)
  }

  #read(batch: RowBatch, bytes: Uint8Array, start: number, end: number): void {
    const at = batch.tape.length
    batch.use(bytes)
    readCopyRow(bytes, batch.views[batch.views.length - 1]!, start, end, this.#columns, batch.tape)
    batch.bytes += end - start
    batch.add(SNAPSHOT, 0, -1, 0, 0, at, NOTHING_OLD, 0)
  }

  /**
   * Rows in binary format that lie in a chunk from `p` on, as many whole messages as follow one another; gives where it stopped. They are
   * one copy, with the heads of their frames between them, and one loop: a call and a copy of each cost as much as all the rest.
   */
  takeRows(chunk: Buffer, p: number): number {
    if (!this.#isBegun) return p
    let from = p
    for (;;) {
      const room = this.#part.length - this.#used
      const found = findRows(chunk, from, Math.min(chunk.length, from + room), this.#ends, this.#partCount, this.#used)
      if (found > this.#partCount) {
        const to = from + this.#ends[found - 1]! - this.#used
        this.#part.set(chunk.subarray(from, to), this.#used)
        this.#used += to - from
        this.#bytes += to - from
        this.#count += found - this.#partCount
        this.#partCount = found
        from = to
      }
      if (rowLength(chunk, from, chunk.length) === 0) return from
      if (this.#partCount === this.#ends.length) this.#growEnds()
      else this.#beginPart()
    }
  }

  /** A row by itself, with the head of its frame before it. */
  #appendFramed(bytes: Uint8Array, start: number, end: number): void {
    const from = start - ROW_HEAD
    const length = end - from
    this.#count++
    this.#bytes += length
    if (length >= LONG_ROW) {
      this.#endPart()
      this.#add(bytes.subarray(from, end), Int32Array.of(length))
      return
    }
    if (this.#used + length > this.#part.length) this.#beginPart()
    this.#part.set(bytes.subarray(from, end), this.#used)
    this.#used += length
    this.#endRow()
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.#count++
    this.#bytes += length
    if (length >= LONG_ROW) {
      this.#endPart()
      this.#add(bytes.subarray(start, end), Int32Array.of(length))
      return
    }
    if (this.#used + length > this.#part.length) this.#beginPart()
    if (bytes !== this.#chunk) {
      this.#chunk = bytes
      this.#chunkView = viewOf(bytes)
    }
    copyShort(bytes, this.#chunkView, start, end, this.#part, this.#partView, this.#used)
    this.#used += length
    this.#endRow()
  }

  #beginPart(): void {
    this.#endPart()
    this.#lease = spare.take()
    this.#part = this.#lease.buffer
    this.#partView = viewOf(this.#part)
  }

  #endRow(): void {
    if (this.#partCount === this.#ends.length) this.#growEnds()
    this.#ends[this.#partCount++] = this.#used
  }

  #growEnds(): void {
    const grown = new Int32Array(2 * this.#partCount)
    grown.set(this.#ends)
    this.#ends = grown
  }

  take(): RowBatch {
    const batch = this.#batch ?? this.#takeLines()
    this.#begin()
    return batch
  }

  #takeLines(): RowBatch {
    this.#endPart()
    const batch = RowBatch.ofLines(this.#lines, [this.#table], this.#snapshotId, false)
    this.#lines = []
    this.#count = this.#bytes = 0
    this.#chunk = undefined
    return batch
  }

  #begin(): void {
    if (!this.#use.areRead || this.#binary !== undefined) return
    this.#batch = new RowBatch(this.#batch)
    this.#batch.tables.push(this.#table)
    this.#batch.snapshotId = this.#snapshotId
  }

  #endPart(): void {
    if (this.#partCount > 0) {
      const lines = this.#part.subarray(0, this.#used)
      const isFew = this.#used < this.#part.length / 2
      const ends = this.#ends.slice(0, this.#partCount)
      if (isFew) {
        this.#add(Buffer.from(lines), ends)
        this.#lease?.giveBack()
      } else this.#add(lines, ends, this.#lease)
      this.#part = NO_PART
    }
    this.#used = this.#partCount = 0
  }

  #add(bytes: Uint8Array, ends: Int32Array, memory?: Lease): void {
    const onRead = () => {
      this.#use.areRead ||= bytes.length > TELLING_BYTES
    }
    const lines = { table: 0, bytes, ends, columns: this.#columns, read: readCopyRow, onRead, memory }
    if (this.#binary === undefined) {
      this.#lines.push(lines)
      return
    }
    const { forms, rows } = this.#binary
    const sent = { bytes, ends }
    const toText = (first: number, last: number) => rows.toLines(sent, first, last, new Tape())
    const textsOf = (row: number, columns: readonly number[]) => rows.textsOf(sent, row, columns)
    this.#lines.push({ ...lines, forms, toText, textsOf })
  }
}

/** Of the message at `p` with its head, where it is an ordinary row and lies whole before `limit`; else 0. */
function rowLength(chunk: Buffer, p: number, limit: number): number {
  if (limit - p < ROW_HEAD || chunk[p] !== COPY_DATA) return 0
  const length = 1 + ((chunk[p + 1]! << 24) | (chunk[p + 2]! << 16) | (chunk[p + 3]! << 8) | chunk[p + 4]!)
  return length <= ROW_HEAD + TRAILER || length >= LONG_ROW || length > limit - p ? 0 : length
}

/** Leaves where each row ends, in `ends` from `count` on, the first of which begins at `at`; gives their number with those before. */
function findRows(chunk: Buffer, p: number, limit: number, ends: Int32Array, count: number, at: number): number {
  let start = p
  let end = at
  let found = count
  while (found < ends.length) {
    const length = rowLength(chunk, start, limit)
    if (length === 0) break
    start += length
    end += length
    ends[found++] = end
  }
  return found
}
