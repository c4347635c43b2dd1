import { formatTimestamp } from '../codec/timestampText.js'
import { ByteWriter, viewOf } from '../core/byteWriter.js'
import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TRANSACTION,
  OLD_ROW,
  type RowBatch,
  TRUNCATE,
  UPDATE,
} from '../core/rowBatch.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../core/tape.js'
import { writeCopyEnd, writeCopyTab, writeCopyValue } from '../postgres/copy/write.js'
import { BatchRecord } from '../source/batchRecord.js'
import { OPERATIONS } from './fold.js'
import type { Target } from './target.js'

/**
 * Every record as a row of its own: the columns as they are behind the change (of a delete those that were told of the old
 * row, of a truncate none), then id, operation, time of the commit, the old key of an update that changed it, and the
 * names of columns that an update left as they were and the source did not send, which are NULL.
 */
export function stageHistory(batch: RowBatch, records: readonly number[], { table, written }: Target): ByteWriter {
  const writer = new ByteWriter()
  const { heads, buffers, views, tape } = batch
  const { values } = tape
  const times = new Map<number, string | undefined>()
  for (const index of records) {
    const head = index * HEAD
    const operation = heads[head + HEAD_OPERATION]!
    const bytes = buffers[heads[head + HEAD_BUFFER]!]!
    const view = views[heads[head + HEAD_BUFFER]!]!
    const newAt = heads[head + HEAD_NEW]!
    const oldKind = heads[head + HEAD_OLD]! & 3
    const oldAt = heads[head + HEAD_OLD]! >> 2
    const hasWhole = oldKind === OLD_ROW && table.replicaIdentity === 'full'
    const unchanged: string[] = []
    for (const column of written) {
      let pair = (operation === DELETE ? oldAt : newAt) + 2 * column
      if (operation === TRUNCATE) pair = -1
      else if (values[pair] === UNCHANGED_COLUMN) {
        if (hasWhole || (oldKind !== 0 && table.key.includes(column))) pair = oldAt + 2 * column
        else unchanged.push(table.columns[column]!.name)
      }
      const [start, end] = pair < 0 ? [NULL_COLUMN, NULL_COLUMN] : [values[pair]!, values[pair + 1]!]
      writeCopyValue(writer, bytes, view, start, end)
      writeCopyTab(writer)
    }
    const record = new BatchRecord(batch, index, unasked)
    const transaction = heads[head + HEAD_TRANSACTION]!
    if (!times.has(transaction)) times.set(transaction, timeOf(batch.transactionAt(head)?.commitTime))
    const isMoved = operation === UPDATE && record.oldKey !== undefined
    const oldKey = isMoved ? keyJson(batch, table, bytes, oldAt) : undefined
    const extra = [record.id, OPERATIONS[operation], times.get(transaction), oldKey, arrayText(unchanged)]
    extra.forEach((text, i) => {
      if (i > 0) writeCopyTab(writer)
      writeText(writer, text)
    })
    writeCopyEnd(writer)
  }
  return writer
}

function unasked(): never {
  throw new Error('the position of a record was asked for')
}

function timeOf(commitTime: bigint | undefined): string | undefined {
  return commitTime === undefined ? undefined : formatTimestamp(commitTime)
}

function writeText(writer: ByteWriter, text: string | undefined): void {
  const bytes = Buffer.from(text ?? '')
  writeCopyValue(writer, bytes, viewOf(bytes), text === undefined ? NULL_COLUMN : 0, bytes.length)
}

/** The key's columns in the server's text form. */
function keyJson({ tape }: RowBatch, table: Target['table'], bytes: Uint8Array, at: number): string {
  const entries = table.key.map((column) => {
    const [start, end] = [tape.values[at + 2 * column]!, tape.values[at + 2 * column + 1]!]
    const text = start < 0 ? null : Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString()
    return [table.columns[column]!.name, text]
  })
  return JSON.stringify(Object.fromEntries(entries))
}

function arrayText(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined
  return `{${names.map((name) => `"${name.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`
}
