import { NO_FALLBACK, type RowLayout } from '../../../codec/json/row.js'
import { keyChanged, keyFallback } from '../../../codec/key.js'
import { ByteWriter } from '../../../core/byteWriter.js'
import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_SEQ,
  HEAD_SUB,
  HEAD_TABLE,
  OLD_ROW,
  type RowBatch,
  SNAPSHOT,
  TRUNCATE,
  UPDATE,
} from '../../../core/rowBatch.js'
import type { Table } from '../../../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../../core/tape.js'
import type { RecordFormat } from '../recordFormat.js'
import { mayHaveHalf, mendHalves } from './halfPairs.js'
import type { HeldRecords } from './heldRecords.js'
import { isWithin, type PlaceInStream } from './joinPositions.js'
import { DATA_END, type ReadPlace, RecordTails, type ScanMoment } from './recordTails.js'
import type { StreamLines, TableLines } from './streamLines.js'
import type { Unsaid } from './streamReports.js'

export interface RecordWriterOptions {
  readonly format: RecordFormat
  readonly scan: ScanMoment
  readonly streamOf: (table: Table) => StreamLines | undefined
  /** Tables of which the client has more than the position that the source goes on from, by OID. */
  readonly ahead: ReadonlyMap<number, PlaceInStream>
  readonly onUnsaid: (stream: StreamLines, what: Unsaid) => void
}

const META = Buffer.from('},"meta":{"changes":')
const META_END = Buffer.from('}}}\n')
const BEFORE = Buffer.from(',"before":')
const CLOSE = Buffer.from('}')
/** Last bytes of `NaN`, and of `Infinity`, `infinity`. */
const UPPER_N = 0x4e
const LOWER_Y = 0x79

/** Records to RECORD lines, from wire bytes to output bytes. */
export class RecordWriter {
  readonly #options: RecordWriterOptions
  readonly #tails: RecordTails
  readonly #filters: boolean
  /** Of a line that will be held. */
  readonly #aside = new ByteWriter()
  /** Of the last record, which is nearly always of the next one's table. */
  #table: Table | undefined
  #stream: StreamLines | undefined
  #lines: TableLines | undefined

  constructor(options: RecordWriterOptions) {
    this.#options = options
    this.#tails = new RecordTails(options.format, options.scan)
    this.#filters = options.ahead.size > 0
  }

  /** The next batch is behind this place of the stream. */
  readAt(place: ReadPlace): void {
    this.#tails.readAt(place)
  }

  /** Writes records `from` to `to` (not included); gives how many lines of records these were. */
  write(writer: ByteWriter, batch: RowBatch, from: number, to: number, emittedAt: number): number {
    this.#tails.emittedAt(emittedAt)
    let count = 0
    for (let index = from; index < to; index++) count += this.#record(writer, undefined, batch, index * HEAD, emittedAt)
    return count
  }

  /** The same, to be held: of each key the last. */
  hold(held: HeldRecords, batch: RowBatch, emittedAt: number): number {
    this.#tails.emittedAt(emittedAt)
    let count = 0
    for (let head = 0; head < batch.count * HEAD; head += HEAD) {
      count += this.#record(this.#aside, held, batch, head, emittedAt)
    }
    return count
  }

  #record(writer: ByteWriter, held: HeldRecords | undefined, batch: RowBatch, head: number, emittedAt: number): number {
    const tableIndex = batch.heads[head + HEAD_TABLE]!
    if (tableIndex < 0) return 0 // a logical message
    this.#enter(batch.tables[tableIndex]!)
    if (this.#stream === undefined || (this.#filters && this.#isKnown(batch, head))) return 0
    return this.#writeRecord(writer, held, batch, head, emittedAt)
  }

  #enter(table: Table): void {
    if (table === this.#table) return
    this.#table = table
    this.#stream = this.#options.streamOf(table)
    this.#lines = this.#stream?.linesOf(table)
  }

  /** The client has it: another stream's position made the source begin before. */
  #isKnown(batch: RowBatch, head: number): boolean {
    const place = this.#options.ahead.get(this.#table!.oid)
    const transaction = batch.transactionAt(head)
    if (place === undefined || transaction === undefined) return false
    return isWithin(place, transaction.commitLsn, batch.heads[head + HEAD_SEQ]!, batch.heads[head + HEAD_SUB]!)
  }

  #writeRecord(
    writer: ByteWriter,
    held: HeldRecords | undefined,
    batch: RowBatch,
    head: number,
    emittedAt: number,
  ): number {
    const { heads } = batch
    const stream = this.#stream!
    const table = this.#table!
    const operation = heads[head + HEAD_OPERATION]!
    if (operation > DELETE) {
      if (operation === TRUNCATE) this.#options.onUnsaid(stream, 'truncate')
      return 0
    }
    const oldAt = heads[head + HEAD_OLD]! >> 2
    const oldKind = heads[head + HEAD_OLD]! & 3
    const newAt = heads[head + HEAD_NEW]!
    let count = 1
    if (operation === DELETE) this.#writeLine(writer, held, batch, head, DELETE, oldAt, NO_FALLBACK, emittedAt)
    else {
      const whole = oldKind === OLD_ROW && table.replicaIdentity === 'full'
      if (operation === UPDATE) {
        const bytes = batch.buffers[heads[head + HEAD_BUFFER]!]!
        const debezium = this.#options.format === 'debezium'
        const moved = keyChanged(table, bytes, batch.tape.values, newAt, oldAt, oldKind)
        if (moved && (debezium || this.#lines!.looseKey)) held?.separate()
        // Whoever keeps rows by key has to be told that the old one is gone; without a key the row is its own.
        if (!debezium && (moved || (whole && table.key.length === 0))) {
          this.#writeLine(writer, held, batch, head, DELETE, oldAt, NO_FALLBACK, emittedAt)
          count = 2
        }
      }
      this.#writeLine(writer, held, batch, head, operation, newAt, whole ? oldAt : NO_FALLBACK, emittedAt)
    }
    if (held === undefined) stream.wrote(count, writer)
    return count
  }

  #writeLine(
    writer: ByteWriter,
    held: HeldRecords | undefined,
    batch: RowBatch,
    head: number,
    operation: number,
    at: number,
    fallback: number,
    emittedAt: number,
  ): void {
    const lines = this.#lines!
    const tape = batch.tape.values
    const buffer = batch.heads[head + HEAD_BUFFER]!
    const bytes = batch.buffers[buffer]!
    const view = batch.views[buffer]!
    const debezium = this.#options.format === 'debezium'
    const nulled = this.#nullSpecial(bytes, tape, at, fallback)
    writer.write(this.#stream!.head(emittedAt))
    const begin = writer.size
    const layout = debezium && operation === DELETE && !this.#hasOldRow(batch, head) ? lines.key : lines.row
    this.#writeRow(layout, writer, bytes, view, tape, at, fallback)
    // Without its closing brace; and of a row without columns without the comma that would follow.
    const empty = writer.size - begin === 2
    writer.length--
    const transaction = batch.transactionAt(head)
    const last = !debezium && nulled === undefined
    this.#tails.write(writer, transaction, operation, batch.heads[head + HEAD_SEQ]!, this.#table!, empty, last)
    if (debezium) {
      const old = batch.heads[head + HEAD_OLD]! & 3
      if (operation === UPDATE && old > 0) {
        writer.write(BEFORE)
        const of = this.#hasOldRow(batch, head) ? lines.row : lines.key
        this.#writeRow(of, writer, bytes, view, tape, batch.heads[head + HEAD_OLD]! >> 2, NO_FALLBACK)
      }
      writer.write(CLOSE)
    }
    if (nulled !== undefined) {
      writer.write(META)
      writer.write(Buffer.from(JSON.stringify(this.#restore(tape, nulled))))
      writer.write(META_END)
    } else if (!last) writer.write(DATA_END)
    const mayLack = operation !== SNAPSHOT && operation !== DELETE && fallback === NO_FALLBACK
    const lacks = mayLack && this.#lacksColumns(tape, at)
    if (lacks) this.#options.onUnsaid(this.#stream!, 'unchanged')
    if (held === undefined) return
    const old = batch.heads[head + HEAD_OLD]!
    const key = keyText(
      this.#table!,
      bytes,
      tape,
      at,
      operation === DELETE ? NO_FALLBACK : keyFallback(old >> 2, old & 3),
    )
    held.hold(this.#stream!, key, writer.toBuffer().toString('latin1'), !lacks)
    writer.clear()
  }

  /** Takes a row aside if it may have half a surrogate pair. */
  #writeRow(
    layout: RowLayout,
    writer: ByteWriter,
    bytes: Uint8Array,
    view: DataView,
    tape: Int32Array,
    at: number,
    fallback: number,
  ): void {
    if (this.#lines!.json.length === 0 || !this.#mayHaveHalf(bytes, tape, at, fallback)) {
      return layout.write(writer, bytes, view, tape, at, fallback)
    }
    const aside = new ByteWriter()
    layout.write(aside, bytes, view, tape, at, fallback)
    const row = aside.toBuffer()
    if (mendHalves(row)) this.#options.onUnsaid(this.#stream!, 'half pair')
    writer.write(row)
  }

  #mayHaveHalf(bytes: Uint8Array, tape: Int32Array, at: number, fallback: number): boolean {
    return this.#lines!.json.some((column) => {
      let pair = at + 2 * column
      if (tape[pair] === UNCHANGED_COLUMN && fallback !== NO_FALLBACK) pair = fallback + 2 * column
      return tape[pair]! >= 0 && mayHaveHalf(bytes, tape[pair]!, tape[pair + 1]!)
    })
  }

  #hasOldRow(batch: RowBatch, head: number): boolean {
    return (batch.heads[head + HEAD_OLD]! & 3) === OLD_ROW && this.#table!.replicaIdentity === 'full'
  }

  /** Takes for NULL what has no form; the values are put back by {@link RecordWriter.#restore}. */
  #nullSpecial(bytes: Uint8Array, tape: Int32Array, at: number, fallback: number): Nulled[] | undefined {
    let nulled: Nulled[] | undefined
    for (const column of this.#lines!.special) {
      let pair = at + 2 * column
      if (tape[pair] === UNCHANGED_COLUMN && fallback !== NO_FALLBACK) pair = fallback + 2 * column
      const start = tape[pair]!
      if (start < 0) continue
      const last = bytes[tape[pair + 1]! - 1]
      if (last !== UPPER_N && last !== LOWER_Y) continue
      nulled ??= []
      nulled.push({ pair, start, column })
      tape[pair] = NULL_COLUMN
    }
    return nulled
  }

  #restore(tape: Int32Array, nulled: readonly Nulled[]): object[] {
    return nulled.map(({ pair, start, column }) => {
      tape[pair] = start
      return { field: this.#table!.columns[column]!.name, change: 'NULLED', reason: 'SOURCE_SERIALIZATION_ERROR' }
    })
  }

  #lacksColumns(tape: Int32Array, at: number): boolean {
    for (const column of this.#lines!.columns) if (tape[at + 2 * column] === UNCHANGED_COLUMN) return true
    return false
  }
}

/** The key as a text that no other key has; undefined: the table has none. */
function keyText(table: Table, bytes: Uint8Array, tape: Int32Array, at: number, fallback: number): string | undefined {
  if (table.key.length === 0) return undefined
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  let text = ''
  for (const column of table.key) {
    let pair = at + 2 * column
    if (tape[pair] === UNCHANGED_COLUMN && fallback !== NO_FALLBACK) pair = fallback + 2 * column
    const [start, end] = [tape[pair]!, tape[pair + 1]!]
    text += start < 0 ? '-:' : `${end - start}:${source.toString('latin1', start, end)}`
  }
  return text
}

interface Nulled {
  readonly pair: number
  readonly start: number
  readonly column: number
}
