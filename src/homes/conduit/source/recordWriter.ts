import { NO_FALLBACK } from '../../../codec/json/row.js'
import { TABLE_TRUNCATED } from '../../../core/conduitErrors.js'
import type { Transaction } from '../../../core/record.js'
import {
  DELETE,
  HEAD,
  HEAD_OPERATION,
  HEAD_SEQ,
  HEAD_TABLE,
  type RowBatch,
  SNAPSHOT,
  TRUNCATE,
} from '../../../core/rowBatch.js'
import type { Table } from '../../../core/table.js'
import { sqlName } from '../../../postgres/identifier.js'
import { formatLsn } from '../../../postgres/lsn.js'
import type { Batch } from '../../../source/batch.js'
import { PositionText } from '../../../source/positionText.js'
import { readAtOf, tableMetadata, transactionMetadata, writeOperation, writeSeq, writeUnchanged } from './metadata.js'
import { packing } from './packedPosition.js'
import { NO_PART, type PayloadFormat, type TableFormat } from './payloadFormat.js'
import type { ProtoWriter } from './protoWriter.js'
import { RecordParts } from './recordParts.js'
import { AFTER, BEFORE, KEY, OPERATION, OPERATION_SNAPSHOT, PAYLOAD, POSITION, RECORD } from './recordTags.js'

/** `opencdc.v1.Operation` of each of ours that is one. */
const OPERATIONS: readonly number[] = [OPERATION_SNAPSHOT, 1, 2, 3]
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
  readonly #positions = new PositionText(packing)
  readonly #formats = new WeakMap<Table, TableFormat>()
  #lastTable: Table | undefined
  #lastFormat: TableFormat | undefined
  readonly #parts = new RecordParts()
  #readMs = 0
  /** Metadata of the last record: of its table and of its transaction. */
  #shared: Buffer = Buffer.alloc(0)
  #ofTable: Buffer = Buffer.alloc(0)
  #ofTransaction: Buffer = Buffer.alloc(0)
  #sharedTable: Table | undefined
  #sharedOthers: TableFormat['metadata'] = NOTHING
  #sharedTransaction: Transaction | undefined
  #sharedMs = 0
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
    this.#readMs = Date.now()
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
    // At first: whoever wants no more of a record, as for its acknowledgement, passes over nothing.
    const start = writer.open(POSITION)
    if (position === undefined) {
      writer.write(this.#positions.beginningOf(batch, index))
      this.#positions.writeRest(writer, batch, index)
    } else writer.writeText(position)
    writer.close(start)
    this.written.start = start
    this.written.end = writer.length
    const transaction = rows.transactionAt(head)
    writer.write(this.#metadataOf(table, operation, transaction))
    writer.byte(OPERATION)
    writer.byte(OPERATIONS[operation] ?? OPERATION_DELETE)
    if (transaction?.commitTime !== undefined) writeSeq(writer, rows.heads[head + HEAD_SEQ]!)
    if (operation === TRUNCATE) writeOperation(writer, 'truncate')
    else this.#writeRow(writer, table, operation)
    writer.close(record)
    return true
  }

  #tellsTruncate(rows: RowBatch, head: number): boolean {
    const table = rows.tables[rows.heads[head + HEAD_TABLE]!]!
    const { truncate, onTruncateIgnored } = this.#wishes
    if (truncate === 'record') return true
    if (truncate === 'ignore') {
      onTruncateIgnored(table)
      return false
    }
    const { commitLsn } = rows.transactionAt(head)!
    throw TABLE_TRUNCATED({ table: sqlName(table), lsn: formatLsn(commitLsn) })
  }

  /** What records that follow one another have in common: one copy, since each piece costs a call. */
  #metadataOf(table: Table, operation: number, transaction: Transaction | undefined): Buffer {
    const others = operation === TRUNCATE ? NOTHING : this.formatOf(table).metadata
    const isOfTable = table === this.#sharedTable && others === this.#sharedOthers
    const isOfTransaction = transaction === this.#sharedTransaction && this.#readMs === this.#sharedMs
    if (isOfTable && isOfTransaction) return this.#shared
    if (!isOfTable) this.#ofTable = tableMetadata(table, others)
    if (!isOfTransaction) this.#ofTransaction = transactionMetadata(transaction, readAtOf(this.#readMs))
    this.#shared = Buffer.concat([this.#ofTable, this.#ofTransaction])
    this.#sharedTable = table
    this.#sharedOthers = others
    this.#sharedTransaction = transaction
    this.#sharedMs = this.#readMs
    return this.#shared
  }

  /** Finds the parts of the record at `index`, and what they are written with. */
  #choose(batch: Batch, index: number, operation: number): Promise<void> | undefined {
    if (batch === this.#chosenBatch && index === this.#chosenIndex && operation === this.#chosenOperation) {
      return undefined
    }
    this.#chosenBatch = undefined
    const { rows } = batch
    const table = rows.tables[rows.heads[index * HEAD + HEAD_TABLE]!]!
    const parts = this.#parts
    parts.find(rows, index, table, operation)
    const missing = this.formatOf(table).choose(parts)
    if (missing !== undefined) return missing
    this.#chosenBatch = batch
    this.#chosenIndex = index
    this.#chosenOperation = operation
    return undefined
  }

  #writeRow(writer: ProtoWriter, table: Table, operation: number): void {
    const parts = this.#parts
    const format = this.formatOf(table)
    if (parts.keyAt !== NO_PART) {
      const key = writer.open(KEY)
      format.writeKey(writer, parts.tupleAt(parts.keyAt, parts.keyFallback))
      writer.close(key)
    }
    if (parts.afterAt !== NO_PART && operation !== SNAPSHOT && parts.afterFallback === NO_FALLBACK) {
      const unchanged = parts.unchanged(table)
      if (unchanged !== undefined) writeUnchanged(writer, unchanged)
    }
    const payload = writer.open(PAYLOAD)
    if (parts.beforeAt !== NO_PART) {
      const before = writer.open(BEFORE)
      const tuple = parts.tupleAt(parts.beforeAt, NO_FALLBACK)
      if (parts.beforeIsKey) format.writeOldKey(writer, tuple)
      else format.writeRow(writer, tuple)
      writer.close(before)
    }
    if (parts.afterAt !== NO_PART) {
      const after = writer.open(AFTER)
      format.writeRow(writer, parts.tupleAt(parts.afterAt, parts.afterFallback))
      writer.close(after)
    }
    writer.close(payload)
  }

  /** How rows of this shape are written. */
  formatOf(table: Table): TableFormat {
    if (table === this.#lastTable) return this.#lastFormat!
    const format = this.#formats.get(table) ?? this.#wishes.format.compile(table)
    this.#formats.set(table, format)
    this.#lastTable = table
    this.#lastFormat = format
    return format
  }
}

/** Rows that are read before, or beside, the stream. */
export function isSnapshotRow({ rows }: Batch, index: number): boolean {
  return rows.heads[index * HEAD + HEAD_OPERATION] === SNAPSHOT
}
