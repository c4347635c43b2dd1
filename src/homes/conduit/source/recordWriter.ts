import { NO_FALLBACK } from '../../../codec/json/row.js'
import { keyChanged, keyFallback } from '../../../codec/key.js'
import { TABLE_TRUNCATED } from '../../../core/conduitErrors.js'
import type { Transaction } from '../../../core/record.js'
import {
  CREATE,
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_SEQ,
  HEAD_TABLE,
  HEAD_TRANSACTION,
  NO_OLD,
  OLD_ROW,
  type RowBatch,
  SNAPSHOT,
  TRUNCATE,
  UPDATE,
} from '../../../core/rowBatch.js'
import type { Table } from '../../../core/table.js'
import { UNCHANGED_COLUMN } from '../../../core/tape.js'
import { sqlName } from '../../../postgres/identifier.js'
import { formatLsn } from '../../../postgres/lsn.js'
import type { Batch } from '../../../source/batch.js'
import { PositionText } from '../../../source/positionText.js'
import { sharedMetadata, writeOperation, writeSeq, writeUnchanged } from './metadata.js'
import { NO_PART, type PayloadFormat, type RowParts, type TableFormat, type Tuple } from './payloadFormat.js'
import type { ProtoWriter } from './protoWriter.js'

/** Source.Run.Response: `repeated Record records = 1`. */
const RECORD = 0x0a
/** Record. */
const POSITION = 0x0a
const OPERATION = 0x10
const KEY = 0x22
const PAYLOAD = 0x2a
/** Change. */
const BEFORE = 0x0a
const AFTER = 0x12

/** `opencdc.v1.Operation` of each of ours that is one. */
const OPERATIONS: readonly number[] = [4, 1, 2, 3]
const OPERATION_DELETE = 3

const NOTHING: TableFormat['metadata'] = {}

export interface RecordWishes {
  readonly format: PayloadFormat
  readonly truncate: 'error' | 'ignore' | 'record'
  /** A truncate that is left out. */
  readonly onTruncateIgnored: (table: Table) => void
}

/** What a record is written with instead of its own. */
export interface Instead {
  readonly position?: string | undefined
  readonly operation?: number | undefined
}

/** Where the position of the record lies that was written last, in the writer. */
export interface Written {
  start: number
  end: number
}

/** Writes records of a batch as those of a `Source.Run.Response`. */
export class RecordWriter {
  readonly #wishes: RecordWishes
  readonly #positions = new PositionText()
  readonly #formats = new WeakMap<Table, TableFormat>()
  #lastTable: Table | undefined
  #lastFormat: TableFormat | undefined
  readonly #parts: { -readonly [Name in keyof RowParts]: RowParts[Name] } = {
    bytes: Buffer.alloc(0),
    view: new DataView(new ArrayBuffer(0)),
    tape: new Int32Array(0),
    keyAt: NO_PART,
    keyFallback: NO_FALLBACK,
    beforeAt: NO_PART,
    beforeIsKey: false,
    afterAt: NO_PART,
    afterFallback: NO_FALLBACK,
  }
  readonly #tuple: { -readonly [Name in keyof Tuple]: Tuple[Name] } = {
    bytes: Buffer.alloc(0),
    view: new DataView(new ArrayBuffer(0)),
    tape: new Int32Array(0),
    at: 0,
    fallback: NO_FALLBACK,
  }
  #bytes: Uint8Array | undefined
  #buffer: Buffer = Buffer.alloc(0)
  #readAt = 0n
  #shared: Buffer = Buffer.alloc(0)
  #sharedTable: Table | undefined
  #sharedTransaction: Transaction | undefined
  #sharedOthers: TableFormat['metadata'] = NOTHING
  /** What the parts are of that are known. */
  #chosenBatch: Batch | undefined
  #chosenIndex = 0
  #chosenOperation = 0
  readonly written: Written = { start: 0, end: 0 }

  constructor(wishes: RecordWishes) {
    this.#wishes = wishes
  }

  /** To be called before records of a batch are written. */
  begin(): void {
    this.#readAt = BigInt(Date.now()) * 1_000_000n
    this.#sharedTable = undefined
    this.#chosenBatch = undefined
  }

  /** What is to be awaited, and asked again, before the record at `index` can be written; see `write` for `operation`. */
  missing(batch: Batch, index: number, operation?: number): Promise<void> | undefined {
    const as = operation ?? batch.rows.heads[index * HEAD + HEAD_OPERATION]!
    return as > DELETE ? undefined : this.#choose(batch, index, as)
  }

  /**
   * Writes the record at `index`; false: it is none for Conduit, and nothing was written. `position`, `operation`: instead
   * of its own; an update that changes the key can be written as a delete, and as a create. Nothing may be `missing`.
   * Throws `TABLE_TRUNCATED`.
   */
  write(writer: ProtoWriter, batch: Batch, index: number, { position, operation: as }: Instead): boolean {
    const { rows } = batch
    const head = index * HEAD
    const operation = as ?? rows.heads[head + HEAD_OPERATION]!
    if (operation > DELETE && (operation !== TRUNCATE || !this.#tellsTruncate(rows, head))) return false
    const table = rows.tables[rows.heads[head + HEAD_TABLE]!]!
    if (operation !== TRUNCATE && this.#choose(batch, index, operation) !== undefined) {
      throw new Error(`a record of ${sqlName(table)} is written before its schema is registered`)
    }
    const record = writer.open(RECORD)
    const start = writer.open(POSITION)
    if (position === undefined) this.#positions.write(writer, batch, index)
    else writer.write(Buffer.from(position))
    writer.close(start)
    this.written.start = start
    this.written.end = writer.length
    writer.byte(OPERATION)
    writer.byte(OPERATIONS[operation] ?? OPERATION_DELETE)
    this.#writeMetadata(writer, rows, head, table, operation)
    if (operation === TRUNCATE) writeOperation(writer, 'truncate')
    else this.#writeRow(writer, table, operation)
    writer.close(record)
    return true
  }

  /** An update of a key whose new row is whole: it can be told as a delete and a create. */
  changesKey({ rows }: Batch, index: number): boolean {
    const head = index * HEAD
    if (rows.heads[head + HEAD_OPERATION] !== UPDATE) return false
    const table = rows.tables[rows.heads[head + HEAD_TABLE]!]!
    const bytes = rows.buffers[rows.heads[head + HEAD_BUFFER]!]!
    const old = rows.heads[head + HEAD_OLD]!
    const newAt = rows.heads[head + HEAD_NEW]!
    const tape = rows.tape.values
    if (!keyChanged(table, bytes, tape, newAt, old >> 2, old & 3)) return false
    if ((old & 3) === OLD_ROW && table.replicaIdentity === 'full') return true
    return table.selected.every((column) => tape[newAt + 2 * column] !== UNCHANGED_COLUMN)
  }

  #tellsTruncate(rows: RowBatch, head: number): boolean {
    const table = rows.tables[rows.heads[head + HEAD_TABLE]!]!
    const { truncate, onTruncateIgnored } = this.#wishes
    if (truncate === 'record') return true
    if (truncate === 'ignore') {
      onTruncateIgnored(table)
      return false
    }
    const { commitLsn } = rows.transactions[rows.heads[head + HEAD_TRANSACTION]!]!
    throw TABLE_TRUNCATED({ table: sqlName(table), lsn: formatLsn(commitLsn) })
  }

  #writeMetadata(writer: ProtoWriter, rows: RowBatch, head: number, table: Table, operation: number): void {
    const transaction = rows.transactions[rows.heads[head + HEAD_TRANSACTION]!]
    const others = operation === TRUNCATE ? NOTHING : this.#formatOf(table).metadata
    if (table !== this.#sharedTable || transaction !== this.#sharedTransaction || others !== this.#sharedOthers) {
      this.#sharedTable = table
      this.#sharedTransaction = transaction
      this.#sharedOthers = others
      this.#shared = sharedMetadata(table, transaction, this.#readAt, others)
    }
    writer.write(this.#shared)
    if (transaction?.commitTime !== undefined) writeSeq(writer, rows.heads[head + HEAD_SEQ]!)
  }

  /** Finds the parts of the record at `index`, and what they are written with. */
  #choose(batch: Batch, index: number, operation: number): Promise<void> | undefined {
    if (batch === this.#chosenBatch && index === this.#chosenIndex && operation === this.#chosenOperation) {
      return undefined
    }
    this.#chosenBatch = undefined
    const { rows } = batch
    const { heads } = rows
    const head = index * HEAD
    const table = rows.tables[heads[head + HEAD_TABLE]!]!
    const parts = this.#parts
    parts.bytes = this.#bufferOf(rows.buffers[heads[head + HEAD_BUFFER]!]!)
    parts.view = rows.views[heads[head + HEAD_BUFFER]!]!
    parts.tape = rows.tape.values
    const newAt = heads[head + HEAD_NEW]!
    const oldAt = heads[head + HEAD_OLD]! >> 2
    const oldKind = heads[head + HEAD_OLD]! & 3
    // The server sent the whole row before, and says so of every partition too.
    const full = oldKind === OLD_ROW && table.replicaIdentity === 'full'
    const keyed = table.key.length > 0
    const isDelete = operation === DELETE
    parts.keyAt = !keyed ? NO_PART : isDelete ? oldAt : newAt
    parts.keyFallback = isDelete ? NO_FALLBACK : keyFallback(oldAt, oldKind)
    const tellsOld =
      operation !== CREATE &&
      (full || (keyed && oldKind !== NO_OLD && this.#tellsOldKey(operation, table, newAt, oldAt, oldKind)))
    parts.beforeAt = tellsOld ? oldAt : NO_PART
    parts.beforeIsKey = !full
    parts.afterAt = isDelete ? NO_PART : newAt
    parts.afterFallback = full ? oldAt : NO_FALLBACK
    const missing = this.#formatOf(table).choose(parts)
    if (missing !== undefined) return missing
    this.#chosenBatch = batch
    this.#chosenIndex = index
    this.#chosenOperation = operation
    return undefined
  }

  #writeRow(writer: ProtoWriter, table: Table, operation: number): void {
    const parts = this.#parts
    const format = this.#formatOf(table)
    if (parts.keyAt !== NO_PART) {
      const key = writer.open(KEY)
      format.writeKey(writer, this.#tupleAt(parts.keyAt, parts.keyFallback))
      writer.close(key)
    }
    if (parts.afterAt !== NO_PART && operation !== SNAPSHOT && parts.afterFallback === NO_FALLBACK) {
      this.#writeUnchanged(writer, table, parts.afterAt)
    }
    const payload = writer.open(PAYLOAD)
    if (parts.beforeAt !== NO_PART) {
      const before = writer.open(BEFORE)
      const tuple = this.#tupleAt(parts.beforeAt, NO_FALLBACK)
      if (parts.beforeIsKey) format.writeOldKey(writer, tuple)
      else format.writeRow(writer, tuple)
      writer.close(before)
    }
    if (parts.afterAt !== NO_PART) {
      const after = writer.open(AFTER)
      format.writeRow(writer, this.#tupleAt(parts.afterAt, parts.afterFallback))
      writer.close(after)
    }
    writer.close(payload)
  }

  #tupleAt(at: number, fallback: number): Tuple {
    const tuple = this.#tuple
    tuple.bytes = this.#parts.bytes
    tuple.view = this.#parts.view
    tuple.tape = this.#parts.tape
    tuple.at = at
    tuple.fallback = fallback
    return tuple
  }

  #formatOf(table: Table): TableFormat {
    if (table === this.#lastTable) return this.#lastFormat!
    const format = this.#formats.get(table) ?? this.#wishes.format.compile(table)
    this.#formats.set(table, format)
    this.#lastTable = table
    this.#lastFormat = format
    return format
  }

  /** The same bytes, as a Buffer: most are one already. */
  #bufferOf(bytes: Uint8Array): Buffer {
    if (bytes === this.#bytes) return this.#buffer
    this.#bytes = bytes
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return this.#buffer
  }

  #tellsOldKey(operation: number, table: Table, newAt: number, oldAt: number, oldKind: number): boolean {
    if (operation === DELETE) return true
    const { bytes, tape } = this.#parts
    return operation === UPDATE && keyChanged(table, bytes, tape, newAt, oldAt, oldKind)
  }

  #writeUnchanged(writer: ProtoWriter, table: Table, newAt: number): void {
    const { tape } = this.#parts
    let names: string[] | undefined
    for (const column of table.selected) {
      if (tape[newAt + 2 * column] !== UNCHANGED_COLUMN) continue
      names ??= []
      names.push(table.columns[column]!.name)
    }
    if (names !== undefined) writeUnchanged(writer, names)
  }
}

/** Rows that are read before, or beside, the stream. */
export function isSnapshotRow({ rows }: Batch, index: number): boolean {
  return rows.heads[index * HEAD + HEAD_OPERATION] === SNAPSHOT
}
