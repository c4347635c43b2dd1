import { TapeRow } from '../../codec/rowView.js'
import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  OLD_ROW,
  type RowBatch,
} from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'

export interface RecordRows {
  readonly operation: number
  /** Only where the server sent the whole row. */
  readonly before: TapeRow | undefined
  /** Undefined of a delete. */
  readonly after: TapeRow | undefined
  /** A row that has the key. */
  readonly ofKey: TapeRow
}

/** The rows of a record. */
export function rowsOf(table: Table, { heads, buffers, tape }: RowBatch, index: number): RecordRows {
  const head = index * HEAD
  const operation = heads[head + HEAD_OPERATION]!
  const bytes = buffers[heads[head + HEAD_BUFFER]!]!
  const oldAt = heads[head + HEAD_OLD]! >> 2
  const isWhole = (heads[head + HEAD_OLD]! & 3) === OLD_ROW && table.replicaIdentity === 'full'
  const row = (at: number, fallback?: number) => new TapeRow(table, bytes, tape.values, at, fallback)
  const before = isWhole ? row(oldAt) : undefined
  const after = operation === DELETE ? undefined : row(heads[head + HEAD_NEW]!, isWhole ? oldAt : undefined)
  return { operation, before, after, ofKey: after ?? row(oldAt) }
}
