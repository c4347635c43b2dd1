import {
  type AvroOptions,
  type AvroRecord,
  type AvroShape,
  type AvroTable,
  avroTable,
  BinaryShape,
} from '../../../codec/avro/index.js'
import { NO_FALLBACK } from '../../../codec/json/row.js'
import { ByteWriter, viewOf } from '../../../core/byteWriter.js'
import type { CopyLines } from '../../../core/rowBatch.js'
import type { Table } from '../../../core/table.js'
import { Tape } from '../../../core/tape.js'
import { BinaryRows, NO_NUMBER, ROW_HEAD } from '../../../postgres/binary/row.js'
import { writeNumberStep, writeStep } from '../../../source/stepText.js'
import type { SchemaReference } from '../schema/schemaService.js'
import { readAtOf, tableMetadata, transactionMetadata } from './metadata.js'
import type { RegisteredSchema } from './payloadFormat.js'
import { checkOf } from './positionCheck.js'
import { OPEN_BYTES, ProtoWriter } from './protoWriter.js'
import { AFTER, KEY, OPERATION, OPERATION_SNAPSHOT, PAYLOAD, POSITION, RAW_DATA, RECORD } from './recordTags.js'
import { schemaMetadata } from './schemaMetadata.js'

/** What the records of some lines have beside the rows. */
export interface LineTask {
  /** When the lines came, in milliseconds. */
  readonly readMs: number
  /** What each position begins with, but for the last one's. */
  readonly beginning: Uint8Array
  /** How many rows were read before. */
  readonly before: number
  /** Of the key, where the table is read in ranges of it. */
  readonly columns: readonly number[] | undefined
  /** The position of the last line. */
  readonly last: string
}

/** Records that stand behind one another, as a `Source.Run.Response` has them. */
export interface LineRecordsMade {
  /** Of so many lines, from the first: the next one's schema is not registered, or it cannot be written. */
  readonly count: number
  /** Where each record ends. */
  readonly ends: Int32Array
  /** `checkOf` of each position. */
  readonly checks: Int32Array
}

/** How rows in binary format are read, and records made of them. */
interface BinaryReading {
  readonly forms: readonly number[]
  readonly rows: BinaryRows
  readonly key: BinaryShape | undefined
  readonly payload: BinaryShape
}

/** What writes rows as Avro. */
type RowRecord = Pick<AvroRecord, 'write'>

/** Records that are being made. */
interface Making extends LineRecordsMade {
  count: number
  readonly writer: ProtoWriter
  readonly task: LineTask
  readonly head: Uint8Array
}

/**
 * Makes records of rows of one table as the server sent them, without anything but lines to begin with: what `RecordWriter` makes of
 * the same rows, byte by byte. All that they have in common is put together once.
 */
export class LineRecords {
  readonly #table: Table
  readonly #shapes: AvroTable
  readonly #references = new Map<string, SchemaReference>()
  readonly #tape = new Tape()
  #binary: BinaryReading | undefined
  readonly #keyText = new ByteWriter(256)
  readonly #keyTape = new Tape()
  #keyRecord: AvroRecord | undefined
  #payloadRecord: AvroRecord | undefined
  #readMs = 0
  /** Metadata of the table, with its schemas. */
  #ofTable: Uint8Array = new Uint8Array(0)
  /** What stands between position and key: metadata, operation, and the key's beginning. */
  #middle: Uint8Array | undefined
  /**
   * All of the last record up to its key: the next one's, but for the end of its position, where that is as long. One copy, since
   * each piece costs a call.
   */
  #prefix: Uint8Array = new Uint8Array(0)
  /** In that: where a position differs from others, and where it ends. */
  #stepStart = 0
  #stepEnd = 0

  constructor(table: Table, avro: AvroOptions) {
    this.#table = table
    this.#shapes = avroTable(table, avro)
  }

  /** Rows that have this schema can be written from now on. */
  learn({ part, schema, reference }: RegisteredSchema): void {
    this.#references.set(nameOf(part, schema), reference)
  }

  /** Undoes escapes in the lines in place, so that they can be read once. */
  write(writer: ProtoWriter, lines: readonly CopyLines[], task: LineTask): LineRecordsMade {
    const total = lines.reduce((sum, { ends }) => sum + ends.length, 0)
    if (task.readMs !== this.#readMs) {
      this.#readMs = task.readMs
      if (this.#middle !== undefined) this.#middle = this.#makeMiddle()
    }
    const head = bytesOf((begun) => {
      begun.open(RECORD)
      begun.open(POSITION)
      begun.write(task.beginning)
    })
    this.#stepStart = head.length
    this.#stepEnd = 0
    const making: Making = { count: 0, ends: new Int32Array(total), checks: new Int32Array(total), writer, task, head }
    for (const one of lines) {
      const before = making.count
      try {
        if (one.forms === undefined) this.#writeLines(making, one)
        else this.#writeBinary(making, one, this.#readingOf(one.forms))
      } catch {
        // Whoever writes it in its turn meets the same, and tells of it.
        break
      }
      if (making.count < before + one.ends.length) break
    }
    const { count, ends, checks } = making
    return { count, ends, checks }
  }

  #writeLines(making: Making, { bytes, ends, columns, read }: CopyLines): void {
    const view = viewOf(bytes)
    const tape = this.#tape
    let start = 0
    for (let i = 0; i < ends.length; i++) {
      const end = ends[i]!
      tape.length = 0
      read(bytes, view, start, end, columns, tape)
      start = end
      if (!this.#writeLine(making, bytes, view, tape.values)) return
    }
  }

  /** False: the row's schema is not known yet. */
  #writeLine(making: Making, bytes: Uint8Array, view: DataView, values: Int32Array): boolean {
    if (!this.#choose(bytes, values)) return false
    const record = this.#begin(making, NO_NUMBER, bytes, values)
    this.#writeRow(making.writer, bytes, view, values, this.#keyRecord, this.#payloadRecord!)
    end(making, record)
    return true
  }

  #writeBinary(making: Making, { bytes, ends }: CopyLines, { rows, key, payload }: BinaryReading): void {
    const { writer } = making
    const { columns } = making.task
    const only = columns?.length === 1 ? columns[0] : undefined
    const view = viewOf(bytes)
    const tape = this.#tape
    let start = 0
    for (let i = 0; i < ends.length; i++) {
      const from = start + ROW_HEAD
      start = ends[i]!
      tape.length = 0
      rows.read(view, from, start, tape)
      const { values } = tape
      const keyWriter = key?.recordFor(bytes, view, values)
      const payloadWriter = payload.recordFor(bytes, view, values)
      const isSame = keyWriter?.record === this.#keyRecord && payloadWriter.record === this.#payloadRecord
      if (!(isSame && this.#middle !== undefined) && !this.#enter(keyWriter?.record, payloadWriter.record)) return
      const number = only === undefined ? NO_NUMBER : rows.numberOf(only, view, values[2 * only]!)
      if (number === NO_NUMBER) this.#readKey(rows, columns, bytes, view, values)
      const record = this.#begin(making, number, this.#keyText.bytes, this.#keyTape.values)
      this.#writeRow(writer, bytes, view, values, keyWriter, payloadWriter)
      end(making, record)
    }
  }

  /** The key's texts, for the position. */
  #readKey(
    rows: BinaryRows,
    columns: readonly number[] | undefined,
    bytes: Uint8Array,
    view: DataView,
    values: Int32Array,
  ): void {
    if (columns === undefined) return
    const text = this.#keyText
    const tape = this.#keyTape
    text.length = 0
    for (const column of columns) {
      const pair = 2 * column
      tape.values[pair] = text.length
      rows.writeText(text, column, bytes, view, values[pair]!, values[pair + 1]!)
      tape.values[pair + 1] = text.length
    }
  }

  /** All of a record before its key, which is `number`, or has its texts on the tape; gives what `end` wants. */
  #begin(making: Making, number: number, bytes: Uint8Array, tape: Int32Array): number {
    const { writer, task, count, ends, checks } = making
    const record = writer.length + OPEN_BYTES
    const position = record + OPEN_BYTES
    if (count + 1 < ends.length) this.#writePrefix(making, number, bytes, tape)
    else this.#writeLastPrefix(writer, task.last)
    checks[count] = checkOf(writer.view, position, writer.length - this.#middle!.length)
    return record
  }

  #writePrefix(making: Making, number: number, bytes: Uint8Array, tape: Int32Array): void {
    const { writer, head } = making
    const start = writer.length
    const prefix = this.#prefix
    if (this.#stepEnd > 0) {
      writer.reserve(prefix.length)
      const memory = writer.bytes
      memory.set(prefix, start)
      writer.length = start + this.#stepStart
      writeStepOf(making, number, bytes, tape)
      // Where the key took more room, what stands behind it is left in the memory before.
      if (writer.length === start + this.#stepEnd && writer.bytes === memory) {
        writer.length = start + prefix.length
        return
      }
      writer.length = start
    }
    writer.write(head)
    writeStepOf(making, number, bytes, tape)
    writer.close(start + 2 * OPEN_BYTES)
    this.#stepEnd = writer.length - start
    writer.write(this.#middle!)
    this.#prefix = Uint8Array.prototype.slice.call(writer.bytes, start, writer.length)
  }

  #writeLastPrefix(writer: ProtoWriter, position: string): void {
    writer.open(RECORD)
    const start = writer.open(POSITION)
    writer.writeText(position)
    writer.close(start)
    writer.write(this.#middle!)
  }

  #writeRow(
    writer: ProtoWriter,
    bytes: Uint8Array,
    view: DataView,
    tape: Int32Array,
    keyRecord: RowRecord | undefined,
    payloadRecord: RowRecord,
  ): void {
    if (keyRecord !== undefined) {
      const key = writer.length
      keyRecord.write(writer, bytes, view, tape, 0, NO_FALLBACK)
      writer.close(key)
      writer.close(key - OPEN_BYTES)
    }
    // Their lengths are written behind them.
    writer.reserve(3 * OPEN_BYTES)
    const { bytes: out, length } = writer
    out[length] = PAYLOAD
    out[length + OPEN_BYTES] = AFTER
    out[length + 2 * OPEN_BYTES] = RAW_DATA
    const payload = length + 3 * OPEN_BYTES
    writer.length = payload
    payloadRecord.write(writer, bytes, view, tape, 0, NO_FALLBACK)
    writer.close(payload)
    writer.close(payload - OPEN_BYTES)
    writer.close(payload - 2 * OPEN_BYTES)
  }

  #readingOf(forms: readonly number[]): BinaryReading {
    const before = this.#binary
    if (before !== undefined && before.forms.join() === forms.join()) return before
    const rows = new BinaryRows(forms)
    const { key, payload } = this.#shapes
    const of = (shape: AvroShape) => new BinaryShape(shape, forms, rows)
    this.#binary = { forms, rows, key: key && of(key), payload: of(payload) }
    this.#keyTape.reserve(2 * forms.length)
    return this.#binary
  }

  /** False: the row's schema is not known yet. */
  #choose(bytes: Uint8Array, tape: Int32Array): boolean {
    const { key, payload } = this.#shapes
    const keyRecord = key?.recordFor(bytes, tape, 0, NO_FALLBACK)
    const payloadRecord = payload.recordFor(bytes, tape, 0, NO_FALLBACK)
    const isSame = keyRecord === this.#keyRecord && payloadRecord === this.#payloadRecord
    return (isSame && this.#middle !== undefined) || this.#enter(keyRecord, payloadRecord)
  }

  #enter(keyRecord: AvroRecord | undefined, payloadRecord: AvroRecord): boolean {
    const key = keyRecord && this.#references.get(nameOf('key', keyRecord.schema))
    const payload = this.#references.get(nameOf('payload', payloadRecord.schema))
    if (payload === undefined || (keyRecord !== undefined && key === undefined)) return false
    this.#stepEnd = 0
    this.#keyRecord = keyRecord
    this.#payloadRecord = payloadRecord
    this.#ofTable = tableMetadata(this.#table, schemaMetadata(key, payload))
    this.#middle = this.#makeMiddle()
    return true
  }

  #makeMiddle(): Uint8Array {
    return bytesOf((writer) => {
      writer.write(this.#ofTable)
      writer.write(transactionMetadata(undefined, readAtOf(this.#readMs)))
      writer.byte(OPERATION)
      writer.byte(OPERATION_SNAPSHOT)
      if (this.#keyRecord === undefined) return
      writer.open(KEY)
      writer.open(RAW_DATA)
    })
  }
}

function writeStepOf({ writer, task, count }: Making, number: number, bytes: Uint8Array, tape: Int32Array): void {
  const rows = task.before + count + 1
  if (number === NO_NUMBER) writeStep(writer, rows, task.columns, bytes, tape, 0)
  else writeNumberStep(writer, rows, number)
}

/** The record that `#begin` has begun ends. */
function end(making: Making, record: number): void {
  const { writer } = making
  writer.close(record)
  making.ends[making.count++] = writer.length
}

function nameOf(part: RegisteredSchema['part'], schema: string): string {
  return `${part} ${schema}`
}

const shared = new ProtoWriter()

function bytesOf(write: (writer: ProtoWriter) => void): Uint8Array {
  // One that threw may have left something.
  shared.length = 0
  write(shared)
  return shared.copy()
}
