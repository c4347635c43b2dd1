import { viewOf } from '../../core/byteWriter.js'
import { HEAD, HEAD_BUFFER, HEAD_NEW, HEAD_OLD, HEAD_TABLE, NO_OLD, type RowBatch } from '../../core/rowBatch.js'
import { NULL_COLUMN } from '../../core/tape.js'
import type { Found, Gap } from './gaps.js'

/** The value of a gap, if there is one. */
export function fillingOf({ found, request, column }: Gap): Found | undefined {
  return found ?? request?.answers?.get(column)
}

/** How long it is. */
export function lengthOf(found: Found | undefined): number {
  return found === undefined ? 0 : found.end - found.start
}

/**
 * Fills the gaps of `batch` that have a value; `first` is the number that `gaps` have for its first record. A row's
 * columns lie in one buffer, so a filled row moves, with its old tuple, into a buffer that all filled rows of the batch
 * share; a value that several rows have stands there once. Gives the bytes that were added.
 */
export function fillGaps(batch: RowBatch, gaps: readonly Gap[], first: number): number {
  const filled = gaps.filter((gap) => fillingOf(gap) !== undefined)
  if (filled.length === 0) return 0
  const records = [...new Set(filled.map(({ record }) => record - first))]
  const spans = records.map((record) => spanOf(batch, record))
  const places = new Map<Found, number>()
  let length = 0
  for (const { from, to } of spans) length += to - from
  for (const gap of filled) {
    const value = fillingOf(gap)!
    if (places.has(value)) continue
    places.set(value, length)
    length += lengthOf(value)
  }
  const buffer = Buffer.allocUnsafeSlow(length)
  for (const [{ bytes, start, end }, place] of places) if (start >= 0) buffer.set(bytes.subarray(start, end), place)
  let place = 0
  for (const [i, record] of records.entries()) {
    const { from, to } = spans[i]!
    buffer.set(batch.buffers[batch.heads[record * HEAD + HEAD_BUFFER]!]!.subarray(from, to), place)
    for (const at of tuplesOf(batch, record)) shift(batch, record, at, place - from)
    batch.heads[record * HEAD + HEAD_BUFFER] = batch.buffers.length
    place += to - from
  }
  let added = 0
  const tape = batch.tape.values
  for (const gap of filled) {
    const value = fillingOf(gap)!
    const pair = batch.heads[(gap.record - first) * HEAD + HEAD_NEW]! + 2 * gap.column
    const start = places.get(value)!
    tape[pair] = value.start < 0 ? NULL_COLUMN : start
    tape[pair + 1] = value.start < 0 ? NULL_COLUMN : start + lengthOf(value)
    added += lengthOf(value)
  }
  batch.buffers.push(buffer)
  batch.views.push(viewOf(buffer))
  batch.bytes += added
  return added
}

/** Where on the tape the record's tuples are. */
function tuplesOf({ heads }: RowBatch, record: number): number[] {
  const old = heads[record * HEAD + HEAD_OLD]!
  const newAt = heads[record * HEAD + HEAD_NEW]!
  return (old & 3) === NO_OLD ? [newAt] : [newAt, old >> 2]
}

function columnsOf({ heads, tables }: RowBatch, record: number): number {
  return tables[heads[record * HEAD + HEAD_TABLE]!]!.columns.length
}

/** Where in its buffer the record's values lie. */
function spanOf(batch: RowBatch, record: number): { readonly from: number; readonly to: number } {
  const tape = batch.tape.values
  let from = Number.MAX_SAFE_INTEGER
  let to = 0
  for (const at of tuplesOf(batch, record)) {
    for (let pair = at, end = at + 2 * columnsOf(batch, record); pair < end; pair += 2) {
      if (tape[pair]! < 0) continue
      from = Math.min(from, tape[pair]!)
      to = Math.max(to, tape[pair + 1]!)
    }
  }
  return from > to ? { from: 0, to: 0 } : { from, to }
}

function shift(batch: RowBatch, record: number, at: number, by: number): void {
  const tape = batch.tape.values
  for (let pair = at, end = at + 2 * columnsOf(batch, record); pair < end; pair += 2) {
    if (tape[pair]! < 0) continue
    tape[pair]! += by
    tape[pair + 1]! += by
  }
}
