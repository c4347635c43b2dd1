import { viewOf } from './byteWriter.js'
import type { Transaction } from './record.js'
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

export interface LogicalMessage {
  readonly transactional: boolean
  readonly prefix: string
  readonly content: Uint8Array
}

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
 */
export class RowBatch {
  heads: Int32Array
  count = 0
  /** Payload bytes of the records, as received. */
  bytes = 0
  readonly tape: Tape
  readonly buffers: Uint8Array[] = []
  /** A view of each of `buffers`. */
  readonly views: DataView[] = []
  readonly tables: Table[] = []
  readonly transactions: Transaction[] = []
  readonly messages: LogicalMessage[] = []
  /** The part of every snapshot row's id that names the snapshot. */
  snapshotId = ''

  /** With room for about as much as `like` has: batches that follow one another are mostly of a size. */
  constructor(like?: RowBatch) {
    this.heads = new Int32Array(roomFor(like?.count ?? 0, 64) * HEAD)
    this.tape = new Tape(roomFor(like?.tape.length ?? 0, 1024))
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
    if (at === this.heads.length) {
      const grown = new Int32Array(at * 2)
      grown.set(this.heads)
      this.heads = grown
    }
    const heads = this.heads
    heads[at++] = operation
    heads[at++] = table
    heads[at++] = this.buffers.length - 1
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
    const { bytes, count, tape, tables, transactions, messages, snapshotId } = this
    // What each record had is not kept: an even share.
    const share = Math.floor((bytes * to) / count) - Math.floor((bytes * from) / count)
    return Object.assign(new RowBatch(), {
      heads: this.heads.slice(from * HEAD, to * HEAD),
      count: to - from,
      bytes: share,
      buffers: [...this.buffers],
      views: [...this.views],
      ...{ tape, tables, transactions, messages, snapshotId },
    })
  }

  /** The records to come lie in `buffer`. */
  use(buffer: Uint8Array): void {
    if (this.buffers[this.buffers.length - 1] === buffer) return
    this.buffers.push(buffer)
    this.views.push(viewOf(buffer))
  }
}

function roomFor(count: number, least: number): number {
  return Math.max(least, count + (count >> 3))
}
