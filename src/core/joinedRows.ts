import {
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  HEAD_TRANSACTION,
  MESSAGE,
  NO_OLD,
  RowBatch,
  UPDATE,
} from './rowBatch.js'
import { Tape } from './tape.js'

/** Whether the two can be one: ids of snapshot rows are told with one name a batch. */
export function canJoin(a: RowBatch, b: RowBatch): boolean {
  return a.snapshotId === b.snapshotId || a.snapshotId === '' || b.snapshotId === ''
}

/** The records of several batches, in order, as one over the same bytes; those stay as they are. */
export function joinRows(batches: readonly RowBatch[]): RowBatch {
  const joined = new RowBatch()
  const sum = (of: (batch: RowBatch) => number) => batches.reduce((total, batch) => total + of(batch), 0)
  const heads = new Int32Array(sum(({ count }) => count) * HEAD)
  const tape = new Tape(sum((batch) => batch.tape.length))
  const tables = new Map<RowBatch['tables'][number], number>()
  for (const batch of batches) {
    const from = joined.count * HEAD
    const buffersFrom = joined.buffers.length
    const transactionsFrom = joinTransactions(joined, batch)
    const tableIndexes = batch.tables.map((table) => {
      let index = tables.get(table)
      if (index === undefined) {
        index = joined.tables.push(table) - 1
        tables.set(table, index)
      }
      return index
    })
    heads.set(batch.heads.subarray(0, batch.count * HEAD), from)
    for (let head = from; head < from + batch.count * HEAD; head += HEAD) {
      const operation = heads[head + HEAD_OPERATION]!
      if (heads[head + HEAD_TABLE]! >= 0) heads[head + HEAD_TABLE] = tableIndexes[heads[head + HEAD_TABLE]!]!
      heads[head + HEAD_BUFFER]! += buffersFrom
      if (heads[head + HEAD_TRANSACTION]! >= 0) heads[head + HEAD_TRANSACTION]! += transactionsFrom
      if (operation <= UPDATE) heads[head + HEAD_NEW]! += tape.length
      else if (operation === MESSAGE) heads[head + HEAD_NEW]! += joined.messages.length
      if ((heads[head + HEAD_OLD]! & 3) !== NO_OLD) heads[head + HEAD_OLD]! += tape.length << 2
    }
    tape.values.set(batch.tape.values.subarray(0, batch.tape.length), tape.length)
    tape.length += batch.tape.length
    joined.count += batch.count
    joined.bytes += batch.bytes
    joined.buffers.push(...batch.buffers)
    joined.views.push(...batch.views)
    joined.messages.push(...batch.messages)
    joined.snapshotId ||= batch.snapshotId
  }
  return Object.assign(joined, { heads, tape })
}

/** Gives what is added to the indexes of the batch's transactions; one that goes on from the batch before stays one. */
function joinTransactions({ transactions }: RowBatch, batch: RowBatch): number {
  const last = transactions.at(-1)
  const first = batch.transactions[0]
  const goesOn =
    last !== undefined && first !== undefined && last.xid === first.xid && last.commitLsn === first.commitLsn
  const from = transactions.length - (goesOn ? 1 : 0)
  transactions.push(...batch.transactions.slice(goesOn ? 1 : 0))
  return from
}
