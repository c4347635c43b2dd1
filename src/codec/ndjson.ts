import { ByteWriter } from '../core/byteWriter.js'
import type { Transaction } from '../core/record.js'
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
  MESSAGE,
  OLD_ROW,
  type RowBatch,
  SCHEMA,
  SNAPSHOT,
  TRUNCATE,
  UPDATE,
} from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import { UNCHANGED_COLUMN } from '../core/tape.js'
import { formatLsn } from '../postgres/lsn.js'
import { CASCADE, RESTART_IDENTITY } from '../postgres/pgoutput/handler.js'
import { NO_FALLBACK, RowLayout } from './json/row.js'
import { keyChanged, keyFallback, writeKeyText } from './key.js'
import { formatTimestamp } from './timestampText.js'

export interface NdjsonOptions {
  /** `ndjson`: the envelope of design section 2; `row`: only the row (of a delete its key), nothing else. */
  readonly format: 'ndjson' | 'row'
  /** How a table's values are written, where that is not as the catalog says. */
  readonly shown?: ((table: Table) => Table) | undefined
}

const NEWLINE = 0x0a
const OPERATION_NAMES = ['snapshot', 'create', 'update', 'delete', 'truncate', 'schema', 'message'] as const

/** What stands the same in every line of a table, as bytes. */
interface TableLines {
  readonly row: RowLayout
  readonly key: RowLayout | undefined
  /** `{"operation":"create","schema":"public","table":"orders"`, by operation; of rows with a key `,"key":` behind it. */
  readonly heads: readonly Uint8Array[]
  /** `/public.orders/`, inside a JSON string. */
  readonly idPrefix: string
  /** The snapshot that `idStart` is of, and `,"id":"0/16B3748/public.orders/`. */
  snapshotId: string
  idStart: Uint8Array
}

const OLD_KEY_FIELD = Buffer.from(',"oldKey":')
const BEFORE = Buffer.from(',"before":')
const AFTER = Buffer.from(',"after":')
const UNCHANGED = Buffer.from(',"unchanged":')

/** Records to lines of JSON, from wire bytes to output bytes. */
export class NdjsonEncoder {
  readonly #bare: boolean
  readonly #shown: (table: Table) => Table
  readonly #tables = new WeakMap<Table, TableLines>()
  /** Of the last row, which is nearly always of the next one's table. */
  #table: Table | undefined
  #lines: TableLines | undefined
  #transaction: Transaction | undefined
  /** Whether that is of rows that long polling found. */
  #polled = false
  /** `,"lsn":"0/16B3748","seq":` and `,"xid":741,"committedAt":"…","id":"0/16B3748/` of `#transaction`. */
  #beforeSeq: Buffer = Buffer.alloc(0)
  #beforeId: Buffer = Buffer.alloc(0)

  constructor(options: NdjsonOptions = { format: 'ndjson' }) {
    this.#bare = options.format === 'row'
    this.#shown = options.shown ?? ((table) => table)
  }

  /** Writes records `from` to `to` (not included) of `batch`, a line each. */
  write(writer: ByteWriter, batch: RowBatch, from = 0, to = batch.count): void {
    for (let index = from; index < to; index++) this.#writeRecord(writer, batch, index * HEAD)
  }

  #writeRecord(writer: ByteWriter, batch: RowBatch, head: number): void {
    const heads = batch.heads
    const operation = heads[head + HEAD_OPERATION]!
    if (operation > DELETE) {
      if (!this.#bare) this.#writeOther(writer, batch, head, operation)
      return
    }
    const table = batch.tables[heads[head + HEAD_TABLE]!]!
    const lines = this.#linesOf(table)
    if (this.#bare) return this.#writeBare(writer, batch, head, lines)
    const buffer = heads[head + HEAD_BUFFER]!
    const bytes = batch.buffers[buffer]!
    const view = batch.views[buffer]!
    const tape = batch.tape.values
    const newAt = heads[head + HEAD_NEW]!
    const old = heads[head + HEAD_OLD]!
    const oldAt = old >> 2
    const oldKind = old & 3
    const before = oldKind === OLD_ROW && table.replicaIdentity === 'full'

    writer.write(lines.heads[operation]!)
    if (lines.key !== undefined) {
      if (operation === DELETE) lines.key.write(writer, bytes, view, tape, oldAt, NO_FALLBACK)
      else lines.key.write(writer, bytes, view, tape, newAt, keyFallback(oldAt, oldKind))
      if (operation === UPDATE && keyChanged(table, bytes, tape, newAt, oldAt, oldKind)) {
        writer.write(OLD_KEY_FIELD)
        lines.key.write(writer, bytes, view, tape, oldAt, NO_FALLBACK)
      }
    }
    if (before) {
      writer.write(BEFORE)
      lines.row.write(writer, bytes, view, tape, oldAt, NO_FALLBACK)
    }
    if (operation !== DELETE) {
      writer.write(AFTER)
      lines.row.write(writer, bytes, view, tape, newAt, before ? oldAt : NO_FALLBACK)
      if (operation !== SNAPSHOT && !before) this.#writeUnchanged(writer, table, tape, newAt)
    }
    if (operation === SNAPSHOT) this.#writeSnapshotTail(writer, batch, head, lines)
    else this.#writeTail(writer, batch, head)
  }

  #writeBare(writer: ByteWriter, batch: RowBatch, head: number, lines: TableLines): void {
    const heads = batch.heads
    const bytes = batch.buffers[heads[head + HEAD_BUFFER]!]!
    const view = batch.views[heads[head + HEAD_BUFFER]!]!
    const oldAt = heads[head + HEAD_OLD]! >> 2
    const oldRow = (heads[head + HEAD_OLD]! & 3) === OLD_ROW
    const table = batch.tables[heads[head + HEAD_TABLE]!]!
    const full = oldRow && table.replicaIdentity === 'full'
    if (heads[head + HEAD_OPERATION] === DELETE) {
      const layout = full ? lines.row : (lines.key ?? lines.row)
      layout.write(writer, bytes, view, batch.tape.values, oldAt, NO_FALLBACK)
    } else {
      lines.row.write(writer, bytes, view, batch.tape.values, heads[head + HEAD_NEW]!, full ? oldAt : NO_FALLBACK)
    }
    writer.reserve(1)
    writer.bytes[writer.length++] = NEWLINE
  }

  #writeUnchanged(writer: ByteWriter, table: Table, tape: Int32Array, newAt: number): void {
    let names: string[] | undefined
    for (const column of table.selected) {
      if (tape[newAt + 2 * column] !== UNCHANGED_COLUMN) continue
      names ??= []
      names.push(table.columns[column]!.name)
    }
    if (names === undefined) return
    writer.write(UNCHANGED)
    writer.write(Buffer.from(JSON.stringify(names)))
  }

  #writeSnapshotTail(writer: ByteWriter, batch: RowBatch, head: number, lines: TableLines): void {
    const { heads } = batch
    const table = batch.tables[heads[head + HEAD_TABLE]!]!
    const polled = batch.transactionAt(head)
    if (polled !== undefined) {
      writer.write(Buffer.from(`,"id":"${batch.snapshotId}${polled.polledXid}${lines.idPrefix}`))
    } else {
      if (lines.snapshotId !== batch.snapshotId) {
        lines.snapshotId = batch.snapshotId
        lines.idStart = Buffer.from(`,"id":"${batch.snapshotId}${lines.idPrefix}`)
      }
      writer.write(lines.idStart)
    }
    writeKeyText(writer, table, batch.buffers[heads[head + HEAD_BUFFER]!]!, batch.tape.values, heads[head + HEAD_NEW]!)
    writer.write(END)
  }

  #writeTail(writer: ByteWriter, batch: RowBatch, head: number): void {
    const transaction = batch.transactionAt(head)!
    if (transaction !== this.#transaction) this.#enter(transaction)
    if (this.#polled) return this.#writePolledTail(writer, batch, head)
    const seq = batch.heads[head + HEAD_SEQ]!
    const sub = batch.heads[head + HEAD_SUB]!
    writer.write(this.#beforeSeq)
    // A message outside any transaction has no index in one.
    if (transaction.commitTime !== undefined) writeInteger(writer, seq)
    writer.write(this.#beforeId)
    writeInteger(writer, seq)
    if (sub > 0) {
      writer.write(SLASH)
      writeInteger(writer, sub)
    }
    writer.write(END)
  }

  /** Nothing is known of the commit of a row that long polling found: see docs/long-polling.md. */
  #writePolledTail(writer: ByteWriter, batch: RowBatch, head: number): void {
    const { heads } = batch
    const table = batch.tables[heads[head + HEAD_TABLE]!]!
    writer.write(this.#beforeId)
    writer.write(Buffer.from(this.#linesOf(table).idPrefix))
    writeKeyText(writer, table, batch.buffers[heads[head + HEAD_BUFFER]!]!, batch.tape.values, heads[head + HEAD_NEW]!)
    writer.write(END)
  }

  #enter(transaction: Transaction): void {
    const lsn = formatLsn(transaction.commitLsn)
    const { commitTime, xid, polledXid } = transaction
    this.#transaction = transaction
    this.#polled = polledXid !== undefined
    if (this.#polled) {
      this.#beforeId = Buffer.from(`,"xid":${xid},"id":"${polledXid}`)
      return
    }
    const committed = commitTime === undefined ? '' : `,"xid":${xid},"committedAt":"${formatTimestamp(commitTime)}"`
    this.#beforeSeq = Buffer.from(commitTime === undefined ? `,"lsn":"${lsn}"` : `,"lsn":"${lsn}","seq":`)
    this.#beforeId = Buffer.from(`${committed},"id":"${lsn}/`)
  }

  #writeOther(writer: ByteWriter, batch: RowBatch, head: number, operation: number): void {
    const heads = batch.heads
    if (operation === MESSAGE) {
      const { prefix, content, transactional } = batch.messages[heads[head + HEAD_NEW]!]!
      const encoded = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('base64')
      const fields = JSON.stringify({ operation: 'message', prefix, content: encoded, transactional })
      writer.write(Buffer.from(fields.slice(0, -1)))
    } else {
      const table = batch.tables[heads[head + HEAD_TABLE]!]!
      writer.write(this.#linesOf(table).heads[operation]!)
      if (operation === SCHEMA) writer.write(Buffer.from(`,"columns":${JSON.stringify(describeColumns(table))}`))
      if (operation === TRUNCATE) {
        const options = heads[head + HEAD_NEW]!
        const cascade = (options & CASCADE) !== 0
        const restartIdentity = (options & RESTART_IDENTITY) !== 0
        writer.writeAscii(`,"cascade":${cascade},"restartIdentity":${restartIdentity}`)
      }
    }
    this.#writeTail(writer, batch, head)
  }

  #linesOf(table: Table): TableLines {
    if (table === this.#table) return this.#lines!
    const lines = this.#tables.get(table) ?? compile(this.#shown(table))
    this.#tables.set(table, lines)
    this.#table = table
    this.#lines = lines
    return lines
  }
}

/** A whole batch as lines, with an encoder of its own: for a library's user, not for the hot path. */
export function encodeNdjson(batch: RowBatch, from = 0, to = batch.count): Buffer {
  const writer = new ByteWriter()
  new NdjsonEncoder().write(writer, batch, from, to)
  return writer.toBuffer()
}

const SLASH = Buffer.from('/')
const END = Buffer.from('"}\n')

function compile(table: Table): TableLines {
  const name = `"schema":${JSON.stringify(table.schema)},"table":${JSON.stringify(table.name)}`
  const qualified = JSON.stringify(`/${table.schema}.${table.name}/`)
  return {
    row: new RowLayout(table, table.selected),
    key: table.key.length === 0 ? undefined : new RowLayout(table, table.key),
    heads: OPERATION_NAMES.map((operation, index) => {
      const key = index <= DELETE && table.key.length > 0 ? ',"key":' : ''
      return Buffer.from(`{"operation":"${operation}",${name}${key}`)
    }),
    idPrefix: qualified.slice(1, -1),
    snapshotId: '',
    idStart: Buffer.alloc(0),
  }
}

/** What a `schema` record says of the columns. */
function describeColumns(table: Table): object[] {
  return table.selected.map((column) => {
    const { name, typeName, notNull, generated } = table.columns[column]!
    const key = table.key.indexOf(column)
    return {
      name,
      type: typeName,
      nullable: !notNull,
      ...(key >= 0 && { key: key + 1 }),
      ...(generated && { generated }),
    }
  })
}

/** A whole number of at most ten digits, in decimal. */
function writeInteger(writer: ByteWriter, value: number): void {
  writer.reserve(11)
  const out = writer.bytes
  let at = writer.length
  if (value < 0) {
    out[at++] = 0x2d // -
    value = -value
  }
  let digits = 1
  for (let rest = value; rest >= 10; rest = (rest / 10) | 0) digits++
  writer.length = at + digits
  for (let p = at + digits - 1; p >= at; p--) {
    const rest = (value / 10) | 0
    out[p] = 0x30 + value - rest * 10
    value = rest
  }
}
