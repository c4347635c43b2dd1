import type { RowBatch } from '../../core/rowBatch.js'
import { UNCHANGED_COLUMN } from '../../core/tape.js'
import type { KeyText } from './stretches.js'

/** The key's columns of the tuple at `at`; undefined where one is NULL or was not sent: then it is no key. */
export function keyTextAt(
  bytes: Uint8Array,
  tape: Int32Array,
  at: number,
  columns: readonly number[],
): KeyText | undefined {
  const texts: string[] = []
  for (const column of columns) {
    const start = tape[at + 2 * column]!
    if (start < 0) return undefined
    const length = tape[at + 2 * column + 1]! - start
    texts.push(Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString())
  }
  return texts
}

/** Of record `index`, a row of a snapshot. */
export function keyTextOf(rows: RowBatch, index: number, columns: readonly number[]): KeyText {
  return rows.textsAt(index, columns).map((text) => {
    if (text === undefined) throw new Error('a row that was read by its key has none')
    return text
  })
}

/** Whether a column of the tuple at `at` was not sent, since its TOASTed value did not change. */
export function isPartial(tape: Int32Array, at: number, columns: number): boolean {
  for (let column = 0; column < columns; column++) if (tape[at + 2 * column] === UNCHANGED_COLUMN) return true
  return false
}
