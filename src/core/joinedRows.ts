import {
  type CopyLines,
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
import type { Table } from './table.js'

/** Whether the two can be one: ids of snapshot rows are told with one name a batch. */
export function canJoin(a: RowBatch, b: RowBatch): boolean {
  return a.snapshotId === b.snapshotId || a.snapshotId === '' || b.snapshotId === ''
}

/** The records of several batches, in order, as one over the same bytes; those stay as they are. */
export function joinRows(batches: readonly RowBatch[]): RowBatch {
  const lines = joinLines(batches)
  if (lines !== undefined) return lines
  const sum = (of: (batch: RowBatch) => number) => batches.reduce((total, batch) => total + of(batch), 0)
  const joined = RowBatch.withRoom(
    sum(({ count }) => count),
    sum((batch) => batch.tape.length),
  )
  const { heads, tape } = joined
  const tables = new JoinedTables(joined.tables)
  for (const batch of batches) {
    const from = joined.count * HEAD
    const buffersFrom = joined.buffers.length
    const transactionsFrom = joinTransactions(joined, batch)
    const tableIndexes = batch.tables.map((table) => tables.indexOf(table))
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
  return joined
}

/** Where nobody has looked into any of them. */
function joinLines(batches: readonly RowBatch[]): RowBatch | undefined {
  const joined: CopyLines[] = []
  const names: Table[] = []
  const tables = new JoinedTables(names)
  for (const batch of batches) {
    if (batch.count === 0) continue
    const { lines } = batch
    if (lines === undefined) return undefined
    // Their memory is that of the batches.
    for (const one of lines) joined.push({ ...one, table: tables.indexOf(batch.tables[one.table]!), memory: undefined })
  }
  if (joined.length === 0) return undefined
  const snapshotId = batches.find((batch) => batch.snapshotId !== '')?.snapshotId ?? ''
  return RowBatch.ofLines(joined, names, snapshotId, true)
}

class JoinedTables {
  readonly #tables: Table[]
  readonly #indexes = new Map<Table, number>()

  constructor(tables: Table[]) {
    this.#tables = tables
  }

  indexOf(table: Table): number {
    let index = this.#indexes.get(table)
    if (index === undefined) {
      index = this.#tables.push(table) - 1
      this.#indexes.set(table, index)
    }
    return index
  }
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
