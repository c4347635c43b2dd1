import {
  HEAD,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  MESSAGE,
  SCHEMA,
  TRUNCATE,
  UPDATE,
} from '../../core/rowBatch.js'
import { laneOfKey, laneOfRecord } from '../../destination/lanes/routing.js'
import type { Batch } from '../../source/batch.js'

/** Of a record that concerns more than one queue. */
export const SEVERAL = -1

/**
 * The queue of each record, by its key: one of so many, or {@link SEVERAL}, of a truncate, a new shape, and a key that changes. Logical
 * messages, and rows without a key, have one queue each.
 */
export function queuesOf({ rows }: Batch, queues: number): Int8Array {
  const found = new Int8Array(rows.count)
  if (queues === 1) return found
  const { heads, tables } = rows
  for (let index = 0; index < found.length; index++) {
    const operation = heads[index * HEAD + HEAD_OPERATION]!
    if (operation === MESSAGE) continue
    if (operation === TRUNCATE || operation === SCHEMA) found[index] = SEVERAL
    else found[index] = laneOfRecord(rows, index, tables[heads[index * HEAD + HEAD_TABLE]!]!.key, queues) ?? SEVERAL
  }
  return found
}

/** The queues that such a record concerns: those of the key before and behind it, or all. */
export function concerned({ rows }: Batch, index: number, queues: number): readonly number[] {
  const { heads, tables } = rows
  const head = index * HEAD
  if (heads[head + HEAD_OPERATION] === UPDATE) {
    const { key } = tables[heads[head + HEAD_TABLE]!]!
    const oldAt = heads[head + HEAD_OLD]! >> 2
    const before = laneOfKey(rows, index, key, oldAt, -1, queues)
    const behind = laneOfKey(rows, index, key, heads[head + HEAD_NEW]!, oldAt, queues)
    if (before !== undefined && behind !== undefined) return [...new Set([behind, before])]
  }
  return Array.from({ length: queues }, (_, queue) => queue)
}
