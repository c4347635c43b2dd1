import { viewOf } from './byteWriter.js'
import type { Transaction } from './record.js'
import type { Lease } from './spareMemory.js'
import { SparePool } from './sparePool.js'
import type { Table } from './table.js'
import { Tape } from './tape.js'

// What a record is; the order is part of no format.
export const SNAPSHOT = 0
export const CREATE = 1
export const UPDATE = 2
export const DELETE = 3
export const TRUNCATE = 4
export const SCHEMA = 5
export const MESSAGE = 6

// Which old tuple came with an update or delete.
export const NO_OLD = 0
/** The columns of the replica identity, everything else NULL. */
export const OLD_KEY = 1
/** The whole row. */
export const OLD_ROW = 2

/** Int32 numbers a record has in {@link RowBatch.heads}, and what stands where. */
export const HEAD = 9
export const HEAD_OPERATION = 0
/** Index into `tables`; -1 for a message. */
export const HEAD_TABLE = 1
/** Index into `buffers`. */
export const HEAD_BUFFER = 2
/** Index into `transactions`; -1 for a snapshot row. */
export const HEAD_TRANSACTION = 3
export const HEAD_SEQ = 4
export const HEAD_SUB = 5
/** Where in the tape the new row's columns are, or -1; of a truncate its option bits; of a message its index. */
export const HEAD_NEW = 6
/** Where the old tuple's columns are, or -1, shifted left by two, with its kind in the low bits. */
export const HEAD_OLD = 7
/** Fingerprint of what the transaction counted, this record included. */
export const HEAD_FINGERPRINT = 8

/** Of {@link HEAD_OLD}: no old tuple. */
export const NOTHING_OLD = (-1 << 2) | NO_OLD

/** Rows behind one another, without anything between them. */
export interface CopyText {
  readonly bytes: Uint8Array
  /** Where each of them ends. */
  readonly ends: Int32Array
}

/** Snapshot rows of one table as the lines of COPY's text in which the source sent them, or in its binary format. */
export interface CopyLines {
  /** Index into the batch's tables. */
  readonly table: number
  /** Lines without anything between them, each with its newline; nobody changes them. */
  readonly bytes: Uint8Array
  /** Where each of them ends. */
  readonly ends: Int32Array
  /** How many a line has: those of the table, and one more where it tells where the row lies. */
  readonly columns: number
  /** Leaves start and end of each column of a line on a tape; undoes escapes in place. */
  readonly read: (bytes: Uint8Array, view: DataView, start: number, end: number, columns: number, tape: Tape) => void
  /** They are rows in binary format (`postgres/binary/row.ts`), and no lines: what each column is. */
  readonly forms?: readonly number[] | undefined
  /** Of these: rows `first` to `last` (not included) as lines, needed where anybody is to look into them. */
  readonly toText?: ((first: number, last: number) => CopyText) | undefined
  /** Of these: texts of some columns of one row; undefined: NULL. */
  readonly textsOf?: ((row: number, columns: readonly number[]) => readonly (string | undefined)[]) | undefined
  /** Called when somebody asks for rows that have to be read for it. */
  readonly onRead: () => void
  /** The bytes' memory, where it is for others when nobody looks into them any more. */
  readonly memory?: Lease | undefined
}

/** Where the columns of one row are. */
export interface RowPlace {
  readonly bytes: Uint8Array
  readonly tape: Int32Array
  readonly at: number
}

export interface LogicalMessage {
  readonly transactional: boolean
  readonly prefix: string
  readonly content: Uint8Array
}

/** What differs in a batch that is made of another one. */
export interface DerivedNumbers {
  readonly heads?: Int32Array
  readonly count?: number
  readonly tape?: Tape
  readonly tables?: readonly Table[]
  readonly buffers?: readonly Uint8Array[]
  /** Of `buffers`: memory that is for others when nobody looks into it any more. */
  readonly memory?: readonly Lease[]
  /** What the records take beside the bytes received. */
  readonly ownBytes?: number
}

/** What a batch has room for at its beginning: where rows come one by one many small ones are on their way. */
const LEAST_RECORDS = 8
const LEAST_TAPE = 128
const BYTES_A_NUMBER = 4
const NO_HEADS = new Int32Array(0)

// Numbers of batches that were given up; of small ones they are not kept.
const spareHeads = new SparePool<Int32Array>(({ length }) => length, 64 * HEAD)
const spareTapes = new SparePool<Tape>(({ values }) => values.length, 1024)

/**
 * Records as numbers over the bytes received: a head of {@link HEAD} numbers each, the columns' starts and ends on the
 * tape, and lists of what they refer to. No object is made for a record, nor for a column, until somebody asks.
 *
 * ```
 * heads         [ operation table buffer transaction seq sub new old fingerprint ] [ … ] …
 *                             │     │                          │   │
 * tables      [ Table, … ] ◄──┘     │     tape  [ start end  start end … ] ◄─┘ one pair a column of the table
 * buffers     [ chunk, chunk, … ] ◄─┘                 └──────┴── offsets into the record's buffer
 * ```
 *
 * Rows of a snapshot may be {@link RowBatch.lines} until somebody asks for any of these: who hands them on as they
 * came never does.
 */
export class RowBatch {
  #heads: Int32Array
  count = 0
  /** Payload bytes of the records, as received. */
  bytes = 0
  /** What records take that were made of those, beside them. */
  #ownBytes = 0
  #tape: Tape
  /** They were made for this batch. */
  #ownsHeads = true
  #ownsTape = true
  /** Parts of it have them, too. */
  #isShared = false
  /** One that was made of it has, and may take its place. */
  #isDerived = false
  /** Of the tape that was given up. */
  #tapeLength = 0
  /** Where buffers lie. */
  #memory: readonly Lease[] = []
  /** Given up with this one. */
  #before: RowBatch | undefined
  readonly #buffers: Uint8Array[] = []
  readonly #views: DataView[] = []
  #lines: readonly CopyLines[] | undefined
  /** Others have the bytes of the lines, too. */
  #linesAreShared = false
  readonly tables: Table[] = []
  readonly transactions: Transaction[] = []
  readonly messages: LogicalMessage[] = []
  /** The part of every snapshot row's id that names the snapshot. */
  snapshotId = ''

  /** With room for about as much as `like` has: batches that follow one another are mostly of a size. `null`: with none. */
  constructor(like?: RowBatch | null) {
    if (like === null) [this.#heads, this.#tape] = [NO_HEADS, new Tape(0)]
    else if (like === undefined)
      [this.#heads, this.#tape] = [new Int32Array(LEAST_RECORDS * HEAD), new Tape(LEAST_TAPE)]
    else {
      this.#heads = RowBatch.headsFor(roomFor(like.count, LEAST_RECORDS))
      this.#tape = RowBatch.tapeFor(roomFor(Math.max(like.#tape.length, like.#tapeLength), LEAST_TAPE))
    }
  }

  /** An empty batch with room for so many records, and numbers on the tape. */
  static withRoom(count: number, tapeLength: number): RowBatch {
    const batch = new RowBatch(null)
    batch.#heads = RowBatch.headsFor(count)
    batch.#tape = RowBatch.tapeFor(tapeLength)
    return batch
  }

  /** For {@link RowBatch.derive}: room for the heads of so many records, with whatever stands in it. */
  static headsFor(count: number): Int32Array {
    const numbers = Math.max(1, count) * HEAD
    return spareHeads.take(numbers) ?? new Int32Array(numbers)
  }

  /** The same: an empty tape with room for so many numbers. */
  static tapeFor(length: number): Tape {
    return spareTapes.take(length) ?? new Tape(length)
  }

  /** A batch of nothing but rows of a snapshot, in order; `shared`: other batches have the same bytes. */
  static ofLines(lines: readonly CopyLines[], tables: readonly Table[], snapshotId: string, shared: boolean): RowBatch {
    const batch = new RowBatch(null)
    batch.#lines = lines
    batch.#linesAreShared = shared
    batch.tables.push(...tables)
    batch.snapshotId = snapshotId
    for (const { bytes, ends } of lines) {
      batch.count += ends.length
      batch.bytes += bytes.length
    }
    return batch
  }

  get heads(): Int32Array {
    if (this.#lines !== undefined) this.#readLines()
    return this.#heads
  }

  get tape(): Tape {
    if (this.#lines !== undefined) this.#readLines()
    return this.#tape
  }

  get buffers(): Uint8Array[] {
    if (this.#lines !== undefined) this.#readLines()
    return this.#buffers
  }

  /** A view of each of `buffers`. */
  get views(): DataView[] {
    if (this.#lines !== undefined) this.#readLines()
    return this.#views
  }

  /** All records, as nobody has looked into them yet; undefined: somebody has, or they did not come so. */
  get lines(): readonly CopyLines[] | undefined {
    this.#lines = this.#lines?.map(asText)
    this.#linesAreShared = true
    return this.#lines
  }

  /** The same for whoever reads rows in binary format, too. */
  get linesAsSent(): readonly CopyLines[] | undefined {
    this.#linesAreShared = true
    return this.#lines
  }

  /** Whether {@link RowBatch.lines} has them. */
  get areLines(): boolean {
    return this.#lines !== undefined
  }

  /** Of {@link RowBatch.lines} which tables have how many: whoever asks for no more leaves them whose they are. */
  get lineCounts(): readonly { readonly table: number; readonly count: number }[] | undefined {
    return this.#lines?.map(({ table, ends }) => ({ table, count: ends.length }))
  }

  /**
   * That of the record whose numbers begin at `head`; undefined: it is in none, as rows of a snapshot. (`transactions[-1]` is
   * undefined, too, though at 90 ns: V8 looks for a property of that name.)
   */
  transactionAt(head: number): Transaction | undefined {
    const at = this.heads[head + HEAD_TRANSACTION]!
    return at < 0 ? undefined : this.transactions[at]
  }

  /** Texts of some columns of record `index`, a row of a snapshot; undefined: NULL. */
  textsAt(index: number, columns: readonly number[]): readonly (string | undefined)[] {
    const { lines, row } = this.#lineAt(index) ?? {}
    if (lines?.textsOf !== undefined) return lines.textsOf(row!, columns)
    const { bytes, tape, at } = this.rowAt(index)
    return columns.map((column) => {
      const start = tape[at + 2 * column]!
      const length = tape[at + 2 * column + 1]! - start
      return start < 0 ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString()
    })
  }

  /** The new row of record `index`; of lines that one alone is read. */
  rowAt(index: number): RowPlace {
    if (this.#lines === undefined) {
      const head = index * HEAD
      const bytes = this.#buffers[this.#heads[head + HEAD_BUFFER]!]!
      return { bytes, tape: this.#tape.values, at: this.#heads[head + HEAD_NEW]! }
    }
    const { lines, row } = this.#lineAt(index)!
    const { bytes, ends, columns, read, toText } = lines
    const line = toText?.(row, row + 1).bytes ?? Buffer.from(bytes.subarray(ends[row - 1] ?? 0, ends[row]!))
    const tape = new Tape(2 * columns)
    read(line, viewOf(line), 0, line.length, columns, tape)
    return { bytes: line, tape: tape.values, at: 0 }
  }

  /** Undefined: the rows are no lines any more. */
  #lineAt(index: number): { readonly lines: CopyLines; readonly row: number } | undefined {
    if (this.#lines === undefined) return undefined
    let row = index
    for (const lines of this.#lines) {
      if (row < lines.ends.length) return { lines, row }
      row -= lines.ends.length
    }
    throw new RangeError(`record ${index} of ${this.count}`)
  }

  /** Appends a head, whose numbers the caller has; gives nothing back, so that nothing is allocated. */
  add(
    operation: number,
    table: number,
    transaction: number,
    seq: number,
    sub: number,
    newAt: number,
    old: number,
    fingerprint: number,
  ): void {
    let at = this.count * HEAD
    if (at === this.#heads.length) {
      const grown = new Int32Array(Math.max(LEAST_RECORDS * HEAD, at * 2))
      grown.set(this.#heads)
      this.#heads = grown
    }
    const heads = this.#heads
    heads[at++] = operation
    heads[at++] = table
    heads[at++] = this.#buffers.length - 1
    heads[at++] = transaction
    heads[at++] = seq
    heads[at++] = sub
    heads[at++] = newAt
    heads[at++] = old
    heads[at] = fingerprint
    this.count++
  }

  /**
   * Records `from` to `to` (not included) as a batch of their own, over the same bytes and tape; what is added to its
   * buffers is its own.
   */
  part(from: number, to: number): RowBatch {
    // Read before it is said that they are shared: lines are only read by that.
    const { heads, tape, bytes, count, tables, transactions, messages, snapshotId } = this
    // What each record had is not kept: an even share.
    const share = Math.floor((bytes * to) / count) - Math.floor((bytes * from) / count)
    const part = new RowBatch(null)
    this.#isShared = true
    part.replace(heads.slice(from * HEAD, to * HEAD), tape)
    part.#buffers.push(...this.buffers)
    part.#views.push(...this.views)
    return Object.assign(part, {
      count: to - from,
      bytes: share,
      ...{ tables, transactions, messages, snapshotId },
    })
  }

  /**
   * The same records, to be looked into by who would rather have lines: those to come are not read for that. Of lines nobody may
   * look into this batch afterwards, whose bytes they are.
   */
  unnoticed(): RowBatch {
    const lines = this.#lines?.map((one) => ({ ...one, onRead: () => {} }))
    return lines === undefined ? this : RowBatch.ofLines(lines, this.tables, this.snapshotId, this.#linesAreShared)
  }

  /** The same records as those of other tables, one in place of each; what nobody has looked into stays so. */
  withTables(tables: readonly Table[]): RowBatch {
    const { lines } = this
    if (lines !== undefined) return RowBatch.ofLines(lines, tables, this.snapshotId, true)
    return this.derive({ tables })
  }

  /**
   * Other records that are made of these; what is not given is the same, and shared with this batch. What is given nobody else
   * has: it is given up with the derived batch.
   */
  derive({ heads, tape, memory = [], ...more }: DerivedNumbers): RowBatch {
    const { count = this.count, tables = this.tables, buffers = this.buffers } = more
    const derived = new RowBatch(null)
    derived.replace(heads ?? this.heads, tape ?? this.tape)
    derived.#ownsHeads = heads !== undefined
    derived.#ownsTape = tape !== undefined
    derived.#memory = memory
    this.#isDerived = true
    derived.#buffers.push(...buffers)
    derived.#views.push(...(buffers === this.buffers ? this.views : buffers.map(viewOf)))
    const { transactions, messages, snapshotId } = this
    // Its memory is held as long as one record of it is.
    const bytes = count === 0 ? 0 : this.bytes
    derived.#ownBytes = count === 0 ? 0 : (more.ownBytes ?? 0)
    return Object.assign(derived, { count, bytes, tables: [...tables], transactions, messages, snapshotId })
  }

  /** What is held for it of memory: what was received, what was made of that, and its numbers. */
  get heldBytes(): number {
    return this.bytes + this.#madeBytes
  }

  get #madeBytes(): number {
    let numbers = this.#lines === undefined ? 0 : this.count
    if (this.#ownsHeads) numbers += this.#heads.length
    if (this.#ownsTape) numbers += this.#tape.values.length
    const before = this.#before
    return this.#ownBytes + BYTES_A_NUMBER * numbers + (before === undefined ? 0 : before.#madeBytes)
  }

  /**
   * This batch was made of `before`, and takes its place: what is its own of that is given up with it. `isAsked`: somebody looks into
   * `before` still, as long as this one is not given up; else nobody does, and what this one has not of it is given up at once.
   */
  replaces(before: RowBatch, isAsked: boolean): void {
    if (before === this) return
    if (isAsked) this.#before = before
    else before.#giveUpTo(this)
  }

  /** Some of the records, by their indexes, as {@link part}. */
  pick(records: readonly number[]): RowBatch {
    const heads = new Int32Array(Math.max(1, records.length) * HEAD)
    const own = this.heads
    for (let i = 0; i < records.length; i++) {
      const from = records[i]! * HEAD
      for (let field = 0; field < HEAD; field++) heads[i * HEAD + field] = own[from + field]!
    }
    const picked = this.part(0, 0)
    picked.replace(heads, this.tape)
    return Object.assign(picked, {
      count: records.length,
      bytes: Math.floor((this.bytes * records.length) / Math.max(1, this.count)),
    })
  }

  /** Other heads and another tape, of records that are told by `count`. */
  replace(heads: Int32Array, tape: Tape): void {
    this.#heads = heads
    this.#tape = tape
    this.#ownsHeads = this.#ownsTape = false
  }

  /**
   * Nobody looks into it any more, whatever it counts: its numbers' memory is for a batch to come. Memory outside of V8's
   * heap that is made anew for each batch has a small heap collected all the time: a seventh of a large transaction's
   * processor time.
   */
  giveUp(): void {
    if (!this.#isShared && !this.#isDerived) this.#giveUpNumbers()
  }

  /**
   * The same, and nobody looks into its lines, nor into those of a batch that shares them, nor into whatever else its rows lie in: that
   * memory is for others, too.
   */
  giveUpLines(): void {
    for (const { memory } of this.#lines ?? []) memory?.giveBack()
    if (this.#lines !== undefined) this.#lines = []
    for (const lease of this.#memory) lease.giveBack()
    this.#memory = []
    this.giveUp()
    const before = this.#before
    this.#before = undefined
    if (before !== undefined) before.#giveUpTo(undefined)
  }

  /** The records to come lie in `buffer`. */
  use(buffer: Uint8Array): void {
    if (this.#buffers[this.#buffers.length - 1] === buffer) return
    this.#buffers.push(buffer)
    this.#views.push(viewOf(buffer))
  }

  /** All but what `heir` has, which is the heir's from now on. */
  #giveUpTo(heir: RowBatch | undefined): void {
    this.#isDerived = false
    for (const lease of this.#memory) {
      if (heir?.buffers.some(({ buffer }) => buffer === lease.buffer.buffer)) {
        heir.#memory = [...heir.#memory, lease]
        heir.#ownBytes += lease.buffer.length
      } else lease.giveBack()
    }
    this.#memory = []
    if (!this.#isShared) this.#giveUpNumbers(heir)
  }

  #giveUpNumbers(heir?: RowBatch): void {
    const [heads, tape] = [this.#heads, this.#tape]
    const [ownsHeads, ownsTape] = [this.#ownsHeads, this.#ownsTape]
    this.#ownsHeads = this.#ownsTape = false
    if (ownsHeads) this.#heads = NO_HEADS
    if (ownsTape) this.#tape = new Tape(0)
    if (ownsHeads && heir !== undefined && heir.#heads === heads) heir.#ownsHeads = true
    else if (ownsHeads) spareHeads.keep(heads)
    if (ownsTape && heir !== undefined && heir.#tape === tape) heir.#ownsTape = true
    else if (ownsTape && spareTapes.keep(tape)) {
      this.#tapeLength = tape.length
      tape.length = 0
    }
  }

  /** In place, unless the bytes are on their way elsewhere. */
  #readLines(): void {
    const sent = this.#lines!
    const lines = sent.map(asText)
    const { count } = this
    let columns = 0
    for (const one of lines) columns += one.ends.length * one.columns
    this.replace(RowBatch.headsFor(count), RowBatch.tapeFor(2 * columns))
    this.#ownsHeads = this.#ownsTape = true
    this.count = 0
    try {
      for (const [index, one] of lines.entries()) {
        one.onRead()
        const isOwn = !this.#linesAreShared || one !== sent[index]
        this.use(isOwn ? one.bytes : Buffer.from(one.bytes))
        let start = 0
        for (const end of one.ends) {
          const at = this.#tape.length
          const last = this.#buffers.length - 1
          one.read(this.#buffers[last]!, this.#views[last]!, start, end, one.columns, this.#tape)
          this.add(SNAPSHOT, one.table, -1, 0, 0, at, NOTHING_OLD, 0)
          start = end
        }
      }
      this.#lines = undefined
      if (!this.#linesAreShared) this.#memory = lines.flatMap(({ memory }) => memory ?? [])
    } catch (error) {
      // What was changed in place cannot be read again: whoever comes next hears the same.
      const read = () => {
        throw error
      }
      this.#lines = lines.map((one) => ({ ...one, read }))
      throw error
    } finally {
      this.count = count
    }
  }
}

/** In memory of its own, where it was none; what it lay in is held as long as before. */
function asText(lines: CopyLines): CopyLines {
  const { toText, ends } = lines
  return toText === undefined ? lines : { ...lines, ...toText(0, ends.length), forms: undefined, toText: undefined }
}

function roomFor(count: number, least: number): number {
  return Math.max(least, count + (count >> 3))
}
