import type { ByteWriter } from '../../core/byteWriter.js'
import { SERVER_EPOCH_MICROS } from '../../core/calendar.js'
import type { Transaction } from '../../core/record.js'
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
  type LogicalMessage,
  MESSAGE,
  OLD_ROW,
  type RowBatch,
  SCHEMA,
  TRUNCATE,
  UPDATE,
} from '../../core/rowBatch.js'
import { Table } from '../../core/table.js'
import { NO_FALLBACK, RowLayout } from '../json/row.js'
import { keyChanged } from '../key.js'
import { debeziumCodec, unavailable } from './types.js'

// {"before":null,"after":{…},"source":{…,"ts_ms":…,"snapshot":"false","db":…,"sequence":…,"ts_us":…,"ts_ns":…,
//   "schema":…,"table":…,"txId":…,"lsn":…,"xmin":null},"transaction":null,"op":"c","ts_ms":…,"ts_us":…,"ts_ns":…}

const NULL = Buffer.from('null')
const BEFORE = Buffer.from('{"before":')
const AFTER = Buffer.from(',"after":')
/** In place of Debezium's own. */
const VERSION = 'tailrace'
const SOURCE = ',"source":'
const TRANSACTION = Buffer.from(',"transaction":null,')
const NO_ROWS = Buffer.from('{"before":null,"after":null')
const MESSAGE_HEAD = Buffer.from('{"op":"m",')
const NO_TABLE = Buffer.from('"schema":"","table":""')
/** By operation as a batch has it. */
const OPS = ['r', 'c', 'u', 'd', 't'] as const
const SERVER_EPOCH = BigInt(SERVER_EPOCH_MICROS)

interface TableParts {
  readonly row: RowLayout
  /** `"schema":"public","table":"orders"` */
  readonly name: Buffer
}

/** What stands in `source` the same for all rows of a transaction, before and behind what differs. */
interface SourceParts {
  /** `,"source":{"version":…,"sequence":"[\"24023128\",\"`; of rows without a place in the stream up to the table. */
  readonly head: Buffer
  /** `\"]","ts_us":…,"ts_ns":…,`; undefined: no row of it has an index. */
  readonly times: Buffer | undefined
  /** `,"txId":741,"lsn":24023128,"xmin":null}` */
  readonly tail: Buffer
}

/**
 * What consumers of Debezium's PostgreSQL connector read with schemas.enable=false: its envelope, and values in its forms.
 * An update that changes the key is a delete and a create, as there; a line of null behind a delete there is not.
 */
export class DebeziumEncoder {
  readonly #origin: { readonly name: string; readonly database: string }
  readonly #tables = new WeakMap<Table, TableParts>()
  #transaction: Transaction | undefined
  #ofTransaction!: SourceParts
  /** Of the records being written: when, and the ends of their lines by operation. */
  #times = ''
  #ends: readonly Buffer[] = []
  #unplaced!: SourceParts

  constructor(origin: { readonly name: string; readonly database: string }) {
    this.#origin = origin
  }

  write(writer: ByteWriter, batch: RowBatch, from = 0, to = batch.count): void {
    const now = BigInt(Date.now()) * 1000n
    this.#times = timesOf(now)
    this.#ends = OPS.map((op) => Buffer.from(`"op":"${op}",${this.#times}}\n`))
    this.#unplaced = this.#sourceOf(undefined, now)
    for (let index = from; index < to; index++) this.#writeRecord(writer, batch, index * HEAD, now)
  }

  #writeRecord(writer: ByteWriter, batch: RowBatch, head: number, now: bigint): void {
    const { heads } = batch
    const operation = heads[head + HEAD_OPERATION]!
    if (operation === SCHEMA) return
    const transaction = batch.transactionAt(head)
    const source = transaction === undefined ? this.#unplaced : this.#enter(transaction, now)
    const seq = heads[head + HEAD_SEQ]!
    if (operation === MESSAGE) {
      this.#writeMessage(writer, batch.messages[heads[head + HEAD_NEW]!]!, source, seq)
      return
    }
    const table = batch.tables[heads[head + HEAD_TABLE]!]!
    const parts = this.#partsOf(table)
    if (operation === TRUNCATE) {
      writer.write(NO_ROWS)
      this.#writeTail(writer, parts.name, source, seq, TRUNCATE)
      return
    }
    const buffer = heads[head + HEAD_BUFFER]!
    const bytes = batch.buffers[buffer]!
    const view = batch.views[buffer]!
    const tape = batch.tape.values
    const newAt = heads[head + HEAD_NEW]!
    const oldAt = heads[head + HEAD_OLD]! >> 2
    const oldKind = heads[head + HEAD_OLD]! & 3
    const isWhole = oldKind === OLD_ROW && table.replicaIdentity === 'full'
    const isMoved = operation === UPDATE && keyChanged(table, bytes, tape, newAt, oldAt, oldKind)
    if (operation === DELETE || isMoved) {
      writer.write(BEFORE)
      parts.row.write(writer, bytes, view, tape, oldAt, NO_FALLBACK)
      writer.write(AFTER)
      writer.write(NULL)
      this.#writeTail(writer, parts.name, source, seq, DELETE)
      if (!isMoved) return
    }
    writer.write(BEFORE)
    if (isWhole && !isMoved) parts.row.write(writer, bytes, view, tape, oldAt, NO_FALLBACK)
    else writer.write(NULL)
    writer.write(AFTER)
    parts.row.write(writer, bytes, view, tape, newAt, isWhole ? oldAt : NO_FALLBACK)
    this.#writeTail(writer, parts.name, source, seq, isMoved ? CREATE : operation)
  }

  #writeTail(writer: ByteWriter, name: Buffer, source: SourceParts, seq: number, operation: number): void {
    this.#writeSource(writer, name, source, seq)
    writer.write(TRANSACTION)
    writer.write(this.#ends[operation]!)
  }

  #writeSource(writer: ByteWriter, name: Buffer, { head, times, tail }: SourceParts, seq: number): void {
    writer.write(head)
    if (times !== undefined) {
      writer.writeAscii(String(seq))
      writer.write(times)
    }
    writer.write(name)
    writer.write(tail)
  }

  #writeMessage(writer: ByteWriter, { prefix, content }: LogicalMessage, source: SourceParts, seq: number): void {
    writer.write(MESSAGE_HEAD)
    writer.writeAscii(this.#times)
    this.#writeSource(writer, NO_TABLE, source, seq)
    const encoded = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('base64')
    writer.write(Buffer.from(`,"message":${JSON.stringify({ prefix, content: encoded })}}\n`))
  }

  #partsOf(table: Table): TableParts {
    const known = this.#tables.get(table)
    if (known !== undefined) return known
    const codecs = table.codecs.map((codec, index) => debeziumCodec(codec, table.columns[index]!.typmod))
    const shown = new Table({ ...table, codecs })
    const name = `"schema":${JSON.stringify(table.schema)},"table":${JSON.stringify(table.name)}`
    const parts = { row: new RowLayout(shown, table.selected, unavailable(table)), name: Buffer.from(name) }
    this.#tables.set(table, parts)
    return parts
  }

  #enter(transaction: Transaction, now: bigint): SourceParts {
    if (transaction !== this.#transaction) {
      this.#transaction = transaction
      this.#ofTransaction = this.#sourceOf(transaction, now)
    }
    return this.#ofTransaction
  }

  /** Of rows that are read, and of those that long polling found, nothing is known of their commit. */
  #sourceOf(transaction: Transaction | undefined, now: bigint): SourceParts {
    const { name, database } = this.#origin
    const { commitTime, commitLsn, xid, polledXid } = transaction ?? {}
    const at = commitTime === undefined ? now : commitTime + SERVER_EPOCH
    const milliseconds = at / 1000n
    const placed = transaction !== undefined && polledXid === undefined
    const described = [
      `${SOURCE}{"version":"${VERSION}","connector":"postgresql","name":${JSON.stringify(name)},"ts_ms":${milliseconds}`,
      `"snapshot":"${transaction === undefined}","db":${JSON.stringify(database)}`,
    ].join(',')
    const times = `"ts_us":${at},"ts_ns":${at}000,`
    const txId = xid === undefined || xid === 0 ? null : xid
    return {
      head: Buffer.from(`${described},"sequence":${placed ? `"[\\"${commitLsn}\\",\\"` : `null,${times}`}`),
      times: placed ? Buffer.from(`\\"]",${times}`) : undefined,
      tail: Buffer.from(`,"txId":${txId},"lsn":${placed ? commitLsn : null},"xmin":null}`),
    }
  }
}

/** When a line was made, behind `op`. */
function timesOf(micros: bigint): string {
  return `"ts_ms":${micros / 1000n},"ts_us":${micros},"ts_ns":${micros}000`
}
