import { ByteWriter, viewOf } from '../core/byteWriter.js'
import { copyShort } from '../core/copyShort.js'
import { ROW_INCOMPLETE } from '../core/destinationErrors.js'
import {
  type CopyLines,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OPERATION,
  type RowBatch,
  SNAPSHOT,
} from '../core/rowBatch.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../core/tape.js'
import { writeCopyEnd, writeCopyTab, writeCopyValue } from '../postgres/copy/write.js'
import type { Effect, Fold } from './fold.js'
import { inKeyOrder } from './keyOrder.js'
import type { Target } from './target.js'

/** What a fold comes to, as COPY's text for the staging tables, and how many rows each has. */
export interface Staged {
  readonly rows: ByteWriter
  /** Whole rows that are to be written over those that the target has. */
  readonly updates: ByteWriter
  readonly gaps: ByteWriter
  readonly keys: ByteWriter
  readonly wholeRows: number
  readonly overwrittenRows: number
  readonly goneKeys: number
  /** Rows with missing columns: those that are filled and written anew, and those updated where they are. */
  readonly movedRows: number
  readonly updatedRows: number
}

const NONE = -1
const TAB = 0x09
const NEWLINE = 0x0a
const ROOM = 1024
/** What is not enough grows. */
const ROOM_OF_A_ROW = 128

/** `overwrites`: rows that should be there are told apart from those that may be. */
export function stageFold(fold: Fold, target: Target, overwrites = false): Staged {
  const room = fold.effects.size * ROOM_OF_A_ROW + ROOM
  const rows = new ByteWriter(overwrites ? ROOM : room)
  const updates = new ByteWriter(overwrites ? room : ROOM)
  const gaps = new ByteWriter(1024)
  const keys = new ByteWriter(1024)
  let wholeRows = 0
  let overwrittenRows = 0
  let goneKeys = 0
  let movedRows = 0
  let updatedRows = 0
  for (const effect of inKeyOrder(fold)) {
    if (effect.isGone) {
      goneKeys++
      writeKey(keys, fold, effect, target)
      writeCopyEnd(keys)
    } else if (effect.missing.length === 0) {
      const isOverwritten = overwrites && effect.wasThere
      if (isOverwritten) overwrittenRows++
      else wholeRows++
      const writer = isOverwritten ? updates : rows
      writeRow(writer, fold, effect, target)
      writeCopyEnd(writer)
    } else {
      const moved = effect.base.id !== effect.id || !target.byBytes || target.replaces
      if (moved) movedRows++
      else updatedRows++
      const missing = effect.missing.map((column) => target.written.indexOf(column))
      gaps.writeAscii(`${moved ? 't' : 'f'}\t{${missing.join(',')}}\t`)
      writeKey(gaps, fold, effect.base, target)
      writeCopyTab(gaps)
      writeRow(gaps, fold, effect, target)
      writeCopyEnd(gaps)
    }
  }
  return { rows, updates, gaps, keys, wholeRows, overwrittenRows, goneKeys, movedRows, updatedRows }
}

function writeKey(writer: ByteWriter, fold: Fold, effect: Effect, { key }: Target): void {
  for (let i = 0; i < key.length; i++) {
    if (i > 0) writeCopyTab(writer)
    const { bytes, view, start, end } = fold.keyOf(effect, key[i]!)
    writeCopyValue(writer, bytes, view, start, end)
  }
}

/** A missing value stands there as NULL. */
function writeRow(writer: ByteWriter, fold: Fold, effect: Effect, { written }: Target): void {
  const bytes = fold.bytesOf(effect)
  const view = fold.viewOf(effect)
  const { values } = fold.batch.tape
  for (let i = 0; i < written.length; i++) {
    if (i > 0) writeCopyTab(writer)
    const pair = effect.rowAt + 2 * written[i]!
    // No object for a value that was sent, which nearly all are.
    if (values[pair] !== UNCHANGED_COLUMN) writeCopyValue(writer, bytes, view, values[pair]!, values[pair + 1]!)
    else {
      const value = fold.valueOf(effect, written[i]!)
      if (value === undefined) writeCopyValue(writer, bytes, view, NULL_COLUMN, NULL_COLUMN)
      else writeCopyValue(writer, value.bytes, value.view, value.start, value.end)
    }
  }
}

/** New rows as they stand, without a fold. */
export function stageRecords(
  batch: RowBatch,
  records: readonly number[],
  { written, target, table }: Target,
): ByteWriter {
  // With room for all: what is received for a row is about what is sent.
  const writer = new ByteWriter(Math.ceil(records.length * (batch.bytes / Math.max(1, batch.count))) + ROOM)
  const { heads, buffers, views, tape } = batch
  const { values } = tape
  const isWhole = written.length > 0 && written.length === table.columns.length
  for (const record of records) {
    const head = record * HEAD
    const bytes = buffers[heads[head + HEAD_BUFFER]!]!
    const view = views[heads[head + HEAD_BUFFER]!]!
    const at = heads[head + HEAD_NEW]!
    if (isWhole && heads[head + HEAD_OPERATION] === SNAPSHOT) {
      const start = values[at]! < 0 ? NONE : values[at]!
      const end = start === NONE ? NONE : endOfLine(bytes, values, at, written.length)
      if (end !== NONE) {
        writer.reserve(end - start + 1)
        writer.bytes.set(bytes.subarray(start, end), writer.length)
        writer.length += end - start
        writer.bytes[writer.length++] = NEWLINE
        continue
      }
    }
    for (let i = 0; i < written.length; i++) {
      if (i > 0) writeCopyTab(writer)
      const pair = at + 2 * written[i]!
      if (values[pair] === UNCHANGED_COLUMN) throw ROW_INCOMPLETE({ table: target, count: 1 })
      writeCopyValue(writer, bytes, view, values[pair]!, values[pair + 1]!)
    }
    writeCopyEnd(writer)
  }
  return writer
}

/** Lines as they came, but for where the rows lay. */
export function stageLines(lines: readonly CopyLines[], { table }: Target): Uint8Array[] {
  return lines.map((one) => (one.columns === table.columns.length ? one.bytes : withoutPlace(one)))
}

/** Its last column has no escapes. */
function withoutPlace({ bytes, ends }: CopyLines): Uint8Array {
  const out = Buffer.allocUnsafeSlow(bytes.length)
  const [view, outView] = [viewOf(bytes), viewOf(out)]
  let length = 0
  let start = 0
  for (const end of ends) {
    let border = end - 1
    while (border > start && bytes[border] !== TAB) border--
    copyShort(bytes, view, start, border, out, outView, length)
    length += border - start
    out[length++] = NEWLINE
    start = end
  }
  return out.subarray(0, length)
}

/**
 * The end of a row's columns in the line of COPY's text in which the source sent it, whose first value is not NULL; NONE
 * where the line is not there any more as it came: where an escape was undone in place, the next column begins too late,
 * or what follows the last one is no border. A NULL has two bytes.
 */
function endOfLine(bytes: Uint8Array, values: Int32Array, at: number, columns: number): number {
  let next = values[at]!
  for (let pair = at; pair < at + 2 * columns; pair += 2) {
    if (pair > at && bytes[next - 1] !== TAB) return NONE
    const start = values[pair]!
    if (start === NULL_COLUMN) next += 3
    else if (start === next) next = values[pair + 1]! + 1
    else return NONE
  }
  // A row of a table without a key is followed by where it lay.
  const border = bytes[next - 1]
  return border === NEWLINE || border === TAB ? next - 1 : NONE
}
