import type { Transaction } from '../../core/record.js'
import { CREATE, HEAD, HEAD_BUFFER, HEAD_NEW, NO_OLD, RowBatch, SNAPSHOT } from '../../core/rowBatch.js'
import { NULL_COLUMN } from '../../core/tape.js'
import { readCopyRow } from '../../postgres/copy/row.js'
import { extrasOf } from './pollSql.js'
import type { OrderKey } from './pollState.js'
import type { PollTable } from './pollTable.js'
import { widenXmin } from './seen.js'

const NOTHING_OLD = (-1 << 2) | NO_OLD
const XIDS = 2 ** 32

/** A page reads in one snapshot; this is what of it decides about its rows. */
export interface PageSnapshot {
  readonly horizon: number
  readonly xmax: number
}

export interface CollectorOptions {
  readonly table: PollTable
  readonly snapshot: PageSnapshot
  /** Xids at or above the horizon that rows were delivered of: grows with them. Shared by the parts of a page. */
  readonly xids: number[]
  /** No more xids than these are kept: rows of further ones stay unseen, for a later poll. */
  readonly maxXids: number
  /** `snapshot`: never read before. `none`: what is there is seen from now on, and not delivered. */
  readonly deliver: 'snapshot' | 'create' | 'none'
}

/** Collects the rows of one COPY of a page into batches. Synchronous; does no I/O. */
export class PollCollector {
  readonly #options: CollectorOptions
  readonly #known: Set<number>
  readonly #extras: ReturnType<typeof extrasOf>
  #batch: RowBatch
  #transactions = new Map<number, number>()
  /** Rows that came, delivered or not. */
  rows = 0
  /** Rows left for a later poll. */
  heldBack = 0
  /** Of the last row that came. */
  #last: { readonly batch: RowBatch; readonly buffer: number; readonly at: number } | OrderKey | undefined

  constructor(options: CollectorOptions) {
    this.#options = options
    this.#known = new Set(options.xids)
    this.#extras = extrasOf(options.table)
    this.#batch = this.#begin()
  }

  get count(): number {
    return this.#batch.count
  }

  get bytes(): number {
    return this.#batch.bytes
  }

  /** What the last row that came is ordered by. */
  get last(): OrderKey | undefined {
    const last = this.#last
    return last !== undefined && 'batch' in last ? this.#keyAt(last.batch, last.buffer, last.at) : last
  }

  /** The payload of one CopyData. */
  collect(bytes: Uint8Array, start: number, end: number): void {
    const { snapshot, deliver } = this.#options
    const batch = this.#batch
    const { tape } = batch
    const at = tape.length
    batch.use(bytes)
    const buffer = batch.buffers.length - 1
    readCopyRow(bytes, batch.views[buffer]!, start, end, this.#extras.total, tape)
    const xid = widenXmin(readNumber(bytes, tape.values, at + 2 * this.#extras.xmin), snapshot.xmax)
    this.rows++
    if (!this.#keep(xid) || deliver === 'none') {
      this.#last = this.#keyAt(batch, buffer, at)
      tape.length = at
      return
    }
    this.#last = { batch, buffer, at }
    batch.bytes += end - start
    const operation = deliver === 'snapshot' ? SNAPSHOT : CREATE
    // What is counted there for a stream counts here how many xids were known: enough to tell the state behind the row.
    batch.add(operation, 0, this.#transactionOf(xid), 0, 0, at, NOTHING_OLD, this.#options.xids.length)
  }

  take(): RowBatch {
    const batch = this.#batch
    // Whoever has the batch may write over it.
    this.#last = this.last
    this.#batch = this.#begin()
    this.#transactions = new Map()
    return batch
  }

  /** What the record at `index` of a batch is ordered by. */
  keyOf(batch: RowBatch, index: number): OrderKey {
    const head = index * HEAD
    return this.#keyAt(batch, batch.heads[head + HEAD_BUFFER]!, batch.heads[head + HEAD_NEW]!)
  }

  /** Whether the row is read by now for good: below the horizon, or of an xid that is kept. */
  #keep(xid: number): boolean {
    const { snapshot, xids, maxXids } = this.#options
    if (xid < snapshot.horizon || this.#known.has(xid)) return true
    if (xids.length >= maxXids) {
      this.heldBack++
      return false
    }
    this.#known.add(xid)
    xids.push(xid)
    return true
  }

  #transactionOf(xid: number): number {
    let index = this.#transactions.get(xid)
    if (index === undefined) {
      const transaction: Transaction = { xid: xid % XIDS, commitLsn: 0n, commitTime: undefined, polledXid: xid }
      index = this.#batch.transactions.push(transaction) - 1
      this.#transactions.set(xid, index)
    }
    return index
  }

  #keyAt(batch: RowBatch, buffer: number, at: number): OrderKey {
    const { values } = batch.tape
    const bytes = batch.buffers[buffer]!
    return this.#options.table.order.map((_, index) => {
      const pair = at + 2 * (this.#extras.order + index)
      return values[pair] === NULL_COLUMN ? null : textOf(bytes, values[pair]!, values[pair + 1]!)
    })
  }

  #begin(): RowBatch {
    const batch = new RowBatch()
    batch.tables.push(this.#options.table.table)
    // Behind it the row's xid: of two pages with one xmax the later may show the row in another version.
    batch.snapshotId = 'x'
    return batch
  }
}

function readNumber(bytes: Uint8Array, tape: Int32Array, pair: number): number {
  let value = 0
  for (let p = tape[pair]!; p < tape[pair + 1]!; p++) value = value * 10 + bytes[p]! - 0x30
  return value
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8', start, end)
}
