import { ByteWriter } from '../core/byteWriter.js'
import { ROW_INCOMPLETE } from '../core/destinationErrors.js'
import { HEAD, HEAD_BUFFER, HEAD_NEW, type RowBatch } from '../core/rowBatch.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../core/tape.js'
import { writeCopyEnd, writeCopyTab, writeCopyValue } from '../postgres/copy/write.js'
import type { Effect, Fold } from './fold.js'
import type { Target } from './target.js'

/** What a fold comes to, as COPY's text for the staging tables, and how many rows each has. */
export interface Staged {
  readonly rows: ByteWriter
  readonly gaps: ByteWriter
  readonly keys: ByteWriter
  readonly wholeRows: number
  readonly goneKeys: number
  /** Rows with missing columns: those that are filled and written anew, and those updated where they are. */
  readonly movedRows: number
  readonly updatedRows: number
}

export function stageFold(fold: Fold, target: Target): Staged {
  const rows = new ByteWriter()
  const gaps = new ByteWriter(1024)
  const keys = new ByteWriter(1024)
  let wholeRows = 0
  let goneKeys = 0
  let movedRows = 0
  let updatedRows = 0
  for (const effect of fold.effects.values()) {
    if (effect.isGone) {
      goneKeys++
      writeKey(keys, fold, effect, target)
      writeCopyEnd(keys)
    } else if (effect.missing.length === 0) {
      wholeRows++
      writeRow(rows, fold, effect, target)
      writeCopyEnd(rows)
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
  return { rows, gaps, keys, wholeRows, goneKeys, movedRows, updatedRows }
}

function writeKey(writer: ByteWriter, fold: Fold, effect: Effect, { key }: Target): void {
  for (let i = 0; i < key.length; i++) {
    if (i > 0) writeCopyTab(writer)
    const { bytes, start, end } = fold.keyOf(effect, key[i]!)
    writeCopyValue(writer, bytes, start, end)
  }
}

/** A missing value stands there as NULL. */
function writeRow(writer: ByteWriter, fold: Fold, effect: Effect, { written }: Target): void {
  const bytes = fold.bytesOf(effect)
  const { values } = fold.batch.tape
  for (let i = 0; i < written.length; i++) {
    if (i > 0) writeCopyTab(writer)
    const pair = effect.rowAt + 2 * written[i]!
    // No object for a value that was sent, which nearly all are.
    if (values[pair] !== UNCHANGED_COLUMN) writeCopyValue(writer, bytes, values[pair]!, values[pair + 1]!)
    else {
      const value = fold.valueOf(effect, written[i]!)
      writeCopyValue(writer, value?.bytes ?? bytes, value?.start ?? NULL_COLUMN, value?.end ?? NULL_COLUMN)
    }
  }
}

/** New rows as they stand, without a fold. */
export function stageRecords(batch: RowBatch, records: readonly number[], { written, target }: Target): ByteWriter {
  const writer = new ByteWriter()
  const { heads, buffers, tape } = batch
  const { values } = tape
  for (const record of records) {
    const bytes = buffers[heads[record * HEAD + HEAD_BUFFER]!]!
    const at = heads[record * HEAD + HEAD_NEW]!
    for (let i = 0; i < written.length; i++) {
      if (i > 0) writeCopyTab(writer)
      const pair = at + 2 * written[i]!
      if (values[pair] === UNCHANGED_COLUMN) throw ROW_INCOMPLETE({ table: target, count: 1 })
      writeCopyValue(writer, bytes, values[pair]!, values[pair + 1]!)
    }
    writeCopyEnd(writer)
  }
  return writer
}
