import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  type RowBatch,
} from '../../../core/rowBatch.js'
import { NULL_COLUMN } from '../../../core/tape.js'
import { OPERATIONS } from '../../../destination/fold.js'
import type { Target } from '../../../destination/target.js'
import { keyText } from './recordKey.js'

/** What errors tell of a row: where it was to be written, what was to be done, and its key (`id=5`). */
export function rowAbout(
  { heads, tables, tape, buffers }: RowBatch,
  targets: readonly Target[],
  row: number,
): { readonly target: Target; readonly operation: string; readonly key: string } {
  const head = row * HEAD
  const index = heads[head + HEAD_TABLE]!
  const { columns, key } = tables[index]!
  const operation = heads[head + HEAD_OPERATION]!
  const at = operation === DELETE ? heads[head + HEAD_OLD]! >> 2 : heads[head + HEAD_NEW]!
  const bytes = buffers[heads[head + HEAD_BUFFER]!]!
  const texts = key.map((column) => {
    const start = tape.values[at + 2 * column] ?? NULL_COLUMN
    if (start < 0 || operation > DELETE) return null
    return Buffer.from(bytes.buffer, bytes.byteOffset + start, tape.values[at + 2 * column + 1]! - start).toString()
  })
  const names = key.map((column) => columns[column]!.name)
  return { target: targets[index]!, operation: OPERATIONS[operation]!, key: keyText(names, texts) }
}
