import { viewOf } from './byteWriter.js'
import type { Transaction } from './record.js'
import { HEAD, RowBatch } from './rowBatch.js'
import type { Table } from './table.js'
import { Tape } from './tape.js'

/** What is told of packed rows beside the memory that they lie in. */
export interface PackedRows {
  readonly count: number
  /** Numbers on the tape. */
  readonly tapeLength: number
  /** Of each of the batch's buffers, which stand behind one another. */
  readonly bufferLengths: readonly number[]
  readonly transactions: readonly Transaction[]
  readonly snapshotId: string
}

/** Bytes that a batch takes when it is packed. */
export function packedLength({ count, tape, buffers }: RowBatch): number {
  return buffers.reduce((sum, { length }) => sum + length, 4 * (count * HEAD + tape.length))
}

/**
 * Copies a batch into one piece of memory, so that it can be given to another thread: buffers are shared by batches, so
 * that none can be given away itself. Tables are told apart; logical messages are left out.
 *
 * ```
 * heads, Int32 … | tape, Int32 … | buffer | buffer …
 * ```
 */
export function packRows(rows: RowBatch, memory: ArrayBuffer): PackedRows {
  const { count, tape, buffers, transactions, snapshotId } = rows
  new Int32Array(memory, 0, count * HEAD).set(rows.heads.subarray(0, count * HEAD))
  let at = 4 * count * HEAD
  new Int32Array(memory, at, tape.length).set(tape.values.subarray(0, tape.length))
  at += 4 * tape.length
  for (const buffer of buffers) {
    new Uint8Array(memory, at, buffer.length).set(buffer)
    at += buffer.length
  }
  const bufferLengths = buffers.map(({ length }) => length)
  return { count, tapeLength: tape.length, bufferLengths, transactions, snapshotId }
}

/** The batch again, over that memory. */
export function unpackRows(packed: PackedRows, memory: ArrayBuffer, tables: readonly Table[]): RowBatch {
  const { count, tapeLength, bufferLengths, transactions, snapshotId } = packed
  const rows = new RowBatch()
  rows.count = count
  let at = 4 * count * HEAD
  const tape = Object.assign(new Tape(0), { values: new Int32Array(memory, at, tapeLength), length: tapeLength })
  rows.replace(new Int32Array(memory, 0, count * HEAD), tape)
  at += 4 * tapeLength
  for (const length of bufferLengths) {
    const buffer = Buffer.from(memory, at, length)
    rows.buffers.push(buffer)
    rows.views.push(viewOf(buffer))
    at += length
  }
  rows.tables.push(...tables)
  rows.transactions.push(...transactions)
  rows.snapshotId = snapshotId
  return rows
}
