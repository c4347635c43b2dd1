import { expect, test } from 'vitest'
import { canJoin, joinRows } from '../../../src/core/joinedRows.js'
import {
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  HEAD_TRANSACTION,
  NO_OLD,
  type RowBatch,
  UPDATE,
} from '../../../src/core/rowBatch.js'
import { BatchBuilder, textTable } from '../../support/rowBatches.js'

const [a, b] = [textTable('a', ['id', 'n'], [0]), textTable('b', ['x'], [0])]

/** Everything that a batch says of its records. */
function told({ heads, count, tables, buffers, tape, transactions }: RowBatch): unknown[] {
  const tuple = (record: number, at: number) => {
    const bytes = Buffer.from(buffers[heads[record * HEAD + HEAD_BUFFER]!]!)
    const pairs = tables[heads[record * HEAD + HEAD_TABLE]!]!.columns.map((_, i) => at + 2 * i)
    return pairs.map((pair) =>
      tape.values[pair]! < 0 ? tape.values[pair] : `${bytes.subarray(tape.values[pair], tape.values[pair + 1])}`,
    )
  }
  return Array.from({ length: count }, (_, record) => {
    const head = (field: number) => heads[record * HEAD + field]!
    const [operation, old] = [head(HEAD_OPERATION), head(HEAD_OLD)]
    return {
      operation,
      table: tables[head(HEAD_TABLE)]!.name,
      xid: transactions[head(HEAD_TRANSACTION)]?.xid,
      new: operation > UPDATE ? head(HEAD_NEW) : tuple(record, head(HEAD_NEW)),
      old: (old & 3) === NO_OLD ? undefined : [old & 3, tuple(record, old >> 2)],
    }
  })
}

test('the records of several batches, whatever they are of, are the same in one', () => {
  const batches = [
    new BatchBuilder([a, b]).create(['1', 'x']).create(['y'], 1).update(['2', null], ['1', null]).batch,
    new BatchBuilder([b, a]).truncate(1, 1).delete(['z']).update(['5', undefined], undefined, 'key', 1).batch,
    new BatchBuilder([a]).update(['5', 'u'], ['5', 't'], 'row').batch,
  ]
  batches[1]!.transactions[0] = { xid: 7, commitLsn: 99n, commitTime: 0n }
  batches[2]!.transactions[0] = { xid: 7, commitLsn: 99n, commitTime: 0n }
  const before = batches.flatMap(told)
  const joined = joinRows(batches)
  expect(told(joined)).toEqual(before)
  expect(batches.flatMap(told)).toEqual(before)
  expect(joined).toMatchObject({ count: 7, tables: [a, b] })
  // One that goes on from batch to batch is one: a TRUNCATE of several tables may be parted.
  expect(joined.transactions.map(({ xid }) => xid)).toEqual([1, 7])
})

test('rows of two snapshots are not joined, since their ids name it', () => {
  const of = (snapshotId: string) => Object.assign(new BatchBuilder([a]).snapshot(['1', 'x']).batch, { snapshotId })
  expect(canJoin(of('s1'), of('s2'))).toBe(false)
  expect(canJoin(of('s1'), new BatchBuilder([a]).create(['1', 'x']).batch)).toBe(true)
  expect(joinRows([new BatchBuilder([a]).create(['1', 'x']).batch, of('s1')]).snapshotId).toBe('s1')
})
