import { type AvroOptions, type AvroRecord, type AvroTable, avroTable } from '../../../codec/avro/index.js'
import { NO_FALLBACK } from '../../../codec/json/row.js'
import { viewOf } from '../../../core/byteWriter.js'
import type { CopyLines } from '../../../core/rowBatch.js'
import type { Table } from '../../../core/table.js'
import { Tape } from '../../../core/tape.js'
import { writeStep } from '../../../source/stepText.js'
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

/**
 * Makes records of rows of one table as the server sent them, without anything but lines to begin with: what `RecordWriter` makes of
 * the same rows, byte by byte. All that they have in common is put together once.
 */
export class LineRecords {
  readonly #table: Table
  readonly #shapes: AvroTable
  readonly #references = new Map<string, SchemaReference>()
  readonly #tape = new Tape()
  #keyRecord: AvroRecord | undefined
  #payloadRecord: AvroRecord | undefined
  #readMs = 0
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
    const made = { count: 0, ends: new Int32Array(total), checks: new Int32Array(total) }
    if (task.readMs !== this.#readMs) this.#middle = undefined
    this.#readMs = task.readMs
    const head = bytesOf((begun) => {
      begun.open(RECORD)
      begun.open(POSITION)
      begun.write(task.beginning)
    })
    this.#stepStart = head.length
    this.#stepEnd = 0
    for (const one of lines) {
      const before = made.count
      try {
        this.#writeLines(writer, one, task, head, made)
      } catch {
        // Whoever writes it in its turn meets the same, and tells of it.
        return made
      }
      if (made.count < before + one.ends.length) return made
    }
    return made
  }

  #writeLines(
    writer: ProtoWriter,
    { bytes, ends, columns, read }: CopyLines,
    { before, columns: key, last }: LineTask,
    head: Uint8Array,
    made: { count: number; readonly ends: Int32Array; readonly checks: Int32Array },
  ): void {
    const view = viewOf(bytes)
    const tape = this.#tape
    const total = made.ends.length
    let start = 0
    for (let i = 0; i < ends.length; i++) {
      const end = ends[i]!
      tape.length = 0
      read(bytes, view, start, end, columns, tape)
      start = end
      const { values } = tape
      if (!this.#choose(bytes, values)) return
      const record = writer.length + OPEN_BYTES
      const position = record + OPEN_BYTES
      const count = made.count + 1
      if (count < total) this.#writePrefix(writer, head, before + count, key, bytes, values)
      else this.#writeLastPrefix(writer, last)
      made.checks[count - 1] = checkOf(writer.bytes, position, writer.length - this.#middle!.length)
      this.#writeRow(writer, bytes, view, values)
      writer.close(record)
      made.ends[count - 1] = writer.length
      made.count = count
    }
  }

  #writePrefix(
    writer: ProtoWriter,
    head: Uint8Array,
    rows: number,
    key: readonly number[] | undefined,
    bytes: Uint8Array,
    tape: Int32Array,
  ): void {
    const start = writer.length
    const prefix = this.#prefix
    if (this.#stepEnd > 0) {
      writer.reserve(prefix.length)
      const memory = writer.bytes
      memory.set(prefix, start)
      writer.length = start + this.#stepStart
      writeStep(writer, rows, key, bytes, tape, 0)
      // Where the key took more room, what stands behind it is left in the memory before.
      if (writer.length === start + this.#stepEnd && writer.bytes === memory) {
        writer.length = start + prefix.length
        return
      }
      writer.rewind(start)
    }
    writer.write(head)
    writeStep(writer, rows, key, bytes, tape, 0)
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

  #writeRow(writer: ProtoWriter, bytes: Uint8Array, view: DataView, tape: Int32Array): void {
    if (this.#keyRecord !== undefined) {
      const key = writer.length
      this.#keyRecord.write(writer, bytes, view, tape, 0, NO_FALLBACK)
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
    this.#payloadRecord!.write(writer, bytes, view, tape, 0, NO_FALLBACK)
    writer.close(payload)
    writer.close(payload - OPEN_BYTES)
    writer.close(payload - 2 * OPEN_BYTES)
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
    this.#middle = bytesOf((writer) => {
      writer.write(tableMetadata(this.#table, schemaMetadata(key, payload)))
      writer.write(transactionMetadata(undefined, readAtOf(this.#readMs)))
      writer.byte(OPERATION)
      writer.byte(OPERATION_SNAPSHOT)
      if (keyRecord === undefined) return
      writer.open(KEY)
      writer.open(RAW_DATA)
    })
    return true
  }
}

function nameOf(part: RegisteredSchema['part'], schema: string): string {
  return `${part} ${schema}`
}

function bytesOf(write: (writer: ProtoWriter) => void): Uint8Array {
  const writer = new ProtoWriter()
  write(writer)
  return writer.copy()
}
