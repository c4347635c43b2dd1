import { NO_FALLBACK } from '../../../codec/json/row.js'
import { keyChanged, keyFallback } from '../../../codec/key.js'
import {
  CREATE,
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  NO_OLD,
  OLD_ROW,
  type RowBatch,
  UPDATE,
} from '../../../core/rowBatch.js'
import type { Table } from '../../../core/table.js'
import { UNCHANGED_COLUMN } from '../../../core/tape.js'
import { NO_PART, type RowParts, type Tuple } from './payloadFormat.js'

/** Where the parts of one record lie: found anew for each, in the same object. */
export class RecordParts implements RowParts {
  bytes: Buffer = Buffer.alloc(0)
  view: DataView = new DataView(new ArrayBuffer(0))
  tape: Int32Array = new Int32Array(0)
  keyAt = NO_PART
  keyFallback = NO_FALLBACK
  beforeAt = NO_PART
  beforeIsKey = false
  afterAt = NO_PART
  afterFallback = NO_FALLBACK
  readonly #tuple: { -readonly [Name in keyof Tuple]: Tuple[Name] } = {
    bytes: this.bytes,
    view: this.view,
    tape: this.tape,
    at: 0,
    fallback: NO_FALLBACK,
  }
  /** Whose `bytes` these are as a Buffer: most are one already. */
  #source: Uint8Array | undefined

  /** Of the record at `index`, which is told as `operation`. */
  find({ heads, buffers, views, tape }: RowBatch, index: number, table: Table, operation: number): void {
    const head = index * HEAD
    const buffer = heads[head + HEAD_BUFFER]!
    // Of a batch these are mostly the same, and to store a reference costs more than to look at it.
    if (views[buffer] !== this.view || tape.values !== this.tape) {
      this.#use(buffers[buffer]!)
      this.view = views[buffer]!
      this.tape = tape.values
      Object.assign(this.#tuple, { bytes: this.bytes, view: this.view, tape: this.tape })
    }
    const newAt = heads[head + HEAD_NEW]!
    const oldAt = heads[head + HEAD_OLD]! >> 2
    const oldKind = heads[head + HEAD_OLD]! & 3
    // The server sent the whole row before, and says so of every partition too.
    const full = oldKind === OLD_ROW && table.replicaIdentity === 'full'
    const keyed = table.key.length > 0
    const isDelete = operation === DELETE
    this.keyAt = !keyed ? NO_PART : isDelete ? oldAt : newAt
    this.keyFallback = isDelete ? NO_FALLBACK : keyFallback(oldAt, oldKind)
    const tellsOld =
      operation !== CREATE &&
      (full || (keyed && oldKind !== NO_OLD && this.#tellsOldKey(operation, table, newAt, oldAt, oldKind)))
    this.beforeAt = tellsOld ? oldAt : NO_PART
    this.beforeIsKey = !full
    this.afterAt = isDelete ? NO_PART : newAt
    this.afterFallback = full ? oldAt : NO_FALLBACK
  }

  /** One of them, to be written at once: the same object each time. */
  tupleAt(at: number, fallback: number): Tuple {
    const tuple = this.#tuple
    tuple.at = at
    tuple.fallback = fallback
    return tuple
  }

  /** Columns that the row after lacks: an update left them as they were, and the server did not send them. */
  unchanged({ selected, columns }: Table): string[] | undefined {
    let names: string[] | undefined
    for (const column of selected) {
      if (this.tape[this.afterAt + 2 * column] !== UNCHANGED_COLUMN) continue
      names ??= []
      names.push(columns[column]!.name)
    }
    return names
  }

  #tellsOldKey(operation: number, table: Table, newAt: number, oldAt: number, oldKind: number): boolean {
    if (operation === DELETE) return true
    return operation === UPDATE && keyChanged(table, this.bytes, this.tape, newAt, oldAt, oldKind)
  }

  #use(bytes: Uint8Array): void {
    if (bytes === this.#source) return
    this.#source = bytes
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
}

/** An update of a key whose new row is whole: it can be told as a delete and a create. */
export function changesKey(rows: RowBatch, index: number): boolean {
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
