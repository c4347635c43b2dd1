import { viewOf } from './byteWriter.js'
import type { Transaction } from './record.js'
import { type CopyLines, HEAD, RowBatch } from './rowBatch.js'
import type { Table } from './table.js'
import { Tape } from './tape.js'

/** What is told of packed rows beside the memory that they lie in. */
export type PackedRows = PackedRecords | PackedLines

interface PackedRecords {
  readonly count: number
  /** Numbers on the tape. */
  readonly tapeLength: number
  /** Of each of the batch's buffers, which stand behind one another. */
  readonly bufferLengths: readonly number[]
  readonly transactions: readonly Transaction[]
  readonly snapshotId: string
}

/** Rows that nobody has looked into yet. */
interface PackedLines {
  readonly lines: readonly (Pick<CopyLines, 'table' | 'columns' | 'forms'> & {
    readonly count: number
    readonly length: number
  })[]
  readonly snapshotId: string
}

/** Bytes that a batch takes when it is packed. */
export function packedLength(rows: RowBatch): number {
  if (rows.areLines) return rows.bytes + 4 * rows.count
  const { count, tape, buffers } = rows
  return buffers.reduce((sum, { length }) => sum + length, 4 * (count * HEAD + tape.length))
}

/**
 * Copies a batch into one piece of memory, so that it can be given to another thread: buffers are shared by batches, so
 * that none can be given away itself. Tables are told apart; logical messages are left out. `asSent`: who gets it takes rows in
 * binary format, too; for anybody else they would have to be lines first, which {@link packedLength} is not enough for.
 *
 * ```
 * heads, Int32 … | tape, Int32 … | buffer | buffer …
 * ends of lines, Int32 … | ends … | lines | lines …
 * ```
 */
export function packRows(rows: RowBatch, memory: ArrayBuffer, asSent = false): PackedRows {
  const lines = rows.linesAsSent
  if (lines !== undefined) {
    const isBinary = lines.some(({ forms }) => forms !== undefined)
    if (isBinary && !asSent)
      throw new TypeError('rows in binary format are packed for those alone who take them as sent')
    return packLines(rows, lines, memory)
  }
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

function packLines(rows: RowBatch, lines: readonly CopyLines[], memory: ArrayBuffer): PackedLines {
  let at = 0
  for (const { ends } of lines) {
    new Int32Array(memory, at, ends.length).set(ends)
    at += 4 * ends.length
  }
  for (const { bytes } of lines) {
    new Uint8Array(memory, at, bytes.length).set(bytes)
    at += bytes.length
  }
  const told = lines.map(({ table, columns, forms, bytes, ends }) => {
    return { table, columns, forms, count: ends.length, length: bytes.length }
  })
  return { lines: told, snapshotId: rows.snapshotId }
}

/** The batch again, over that memory; `readLine` is for lines that nobody had looked into. */
export function unpackRows(
  packed: PackedRows,
  memory: ArrayBuffer,
  tables: readonly Table[],
  readLine: CopyLines['read'],
): RowBatch {
  if ('lines' in packed) return unpackLines(packed, memory, tables, readLine)
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

function unpackLines(
  { lines, snapshotId }: PackedLines,
  memory: ArrayBuffer,
  tables: readonly Table[],
  read: CopyLines['read'],
): RowBatch {
  let endsAt = 0
  let at = lines.reduce((sum, { count }) => sum + 4 * count, 0)
  const unpacked = lines.map(({ table, columns, forms, count, length }): CopyLines => {
    const ends = new Int32Array(memory, endsAt, count)
    const bytes = Buffer.from(memory, at, length)
    endsAt += 4 * count
    at += length
    return { table, columns, forms, ends, bytes, read, onRead: () => {} }
  })
  return RowBatch.ofLines(unpacked, tables, snapshotId, false)
}
