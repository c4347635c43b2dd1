import { expect, test } from 'vitest'
import { ByteWriter } from '../../../../src/core/byteWriter.js'
import type { Transaction } from '../../../../src/core/record.js'
import { CREATE, DELETE, SNAPSHOT, UPDATE } from '../../../../src/core/rowBatch.js'
import { RecordTails } from '../../../../src/homes/airbyte/read/recordTails.js'
import { textTable } from '../../../support/rowBatches.js'

const table = textTable('t', ['id'], [0])
const tailsOf = (lsn: bigint) => new RecordTails('airbyte', { lsn, time: 0 })

function tailOf(tails: RecordTails, transaction?: Transaction, operation = SNAPSHOT, seq = 0, of = table): string {
  const writer = new ByteWriter()
  tails.write(writer, transaction, operation, seq, of, false, false)
  return writer.toBuffer().toString()
}

const cursor = (tail: string) => tail.match(/"_ab_cdc_lsn":([\d.]+)/)![1]!

test('rows that are read are newer than all of earlier runs and than the changes before them, older than those behind', () => {
  const tails = tailsOf(1007n)
  const read = (place: { lsn: bigint; seq: number; end: bigint | undefined }) => {
    tails.readAt(place)
    return cursor(tailOf(tails))
  }
  // The stream is behind what earlier runs may have written.
  expect(read({ lsn: 800n, seq: 3, end: 840n })).toBe('1007')
  // Behind a whole transaction, in the middle of one, and where the stream is idle.
  expect(read({ lsn: 2000n, seq: 3, end: 2040n })).toBe('2001')
  expect(read({ lsn: 2000n, seq: 3, end: undefined })).toBe('2000.0000035')
  expect(read({ lsn: 2000n, seq: 0, end: undefined })).toBe('2000.0000005')
  expect(read({ lsn: 1000n, seq: 3, end: undefined })).toBe('1007')
  expect(read({ lsn: 2000n, seq: -1, end: 2000n })).toBe('1999')
})

test('changes of one transaction have cursors in their order, however many they are', () => {
  const tails = tailsOf(0n)
  const transaction = { xid: 1, commitLsn: 2000n, commitTime: 0n }
  const cursors = [0, 1, 2, 999_998, 999_999, 1_000_000, 2_000_000_000].map((seq) =>
    cursor(tailOf(tails, transaction, CREATE, seq)),
  )
  expect(cursors.slice(0, 3)).toEqual(['2000', '2000.000001', '2000.000002'])
  expect([...cursors].sort()).toEqual(cursors)
  expect(new Set(cursors).size).toBe(cursors.length)
  expect(cursors.at(-1)! < '2001').toBe(true)
})

test('a tail that ends the line is the same with the end, in every format', () => {
  const transaction = { xid: 7, commitLsn: 800n, commitTime: 0n }
  for (const format of ['airbyte', 'estuary', 'debezium'] as const) {
    const tails = new RecordTails(format, { lsn: 5n, time: 1000 })
    for (const [of, operation, seq] of [
      [undefined, SNAPSHOT, 0],
      [transaction, CREATE, 0],
      [transaction, DELETE, 3],
    ] as const) {
      for (const first of [true, false]) {
        const [open, ended] = [false, true].map((last) => {
          const writer = new ByteWriter()
          tails.write(writer, of, operation, seq, table, first, last)
          return writer.toBuffer().toString()
        })
        expect(ended).toBe(`${open}}}}\n`)
        expect(open!.startsWith(',')).toBe(!first)
      }
    }
  }
})

test('what is kept of a transaction, an operation and a table is used for nothing else', () => {
  const [one, other] = [1n, 2n].map((commitTime) => ({
    xid: Number(commitTime),
    commitLsn: 800n * commitTime,
    commitTime,
  }))
  const tails = new RecordTails('debezium', { lsn: 5n, time: 1000 })
  const others = [table, textTable('"o\\', ['id'], [0])] as const
  const read = '"ts_ms":1000,"schema":"public","table":"t","snapshot":true,"loc":[-1,0,0]}'
  for (let again = 0; again < 2; again++) {
    expect(tailOf(tails)).toBe(`,"_change_lsn":5,"_meta":{"op":"c","source":{${read}`)
    for (const transaction of [one!, other!]) {
      for (const of of others) {
        for (const [operation, op] of [
          [CREATE, 'c'],
          [UPDATE, 'u'],
          [DELETE, 'd'],
        ] as const) {
          const lsn = Number(transaction.commitLsn)
          const [cursor] = [`,"_change_lsn":${lsn}.000012`]
          const meta = {
            ts_ms: 946_684_800_000,
            schema: 'public',
            table: of.name,
            loc: [lsn, 12, lsn],
            txid: transaction.xid,
          }
          const source = JSON.stringify({ op, source: meta }).slice(0, -1)
          expect(tailOf(tails, transaction, operation, 12, of)).toBe(`${cursor},"_meta":${source}`)
        }
      }
    }
  }
})

test("Estuary's records say when they were written, also in a transaction that takes long", () => {
  const transaction = { xid: 1, commitLsn: 800n, commitTime: 0n }
  const tails = new RecordTails('estuary', { lsn: 0n, time: 0 })
  const at = (time: number) => {
    tails.emittedAt(time)
    return [tailOf(tails, transaction, UPDATE, 3), tailOf(tails)].map((tail) => tail.match(/_ingested_at":(\d+)/)![1])
  }
  expect(at(5000)).toEqual(['5', '5'])
  expect(at(5999)).toEqual(['5', '5'])
  expect(at(6000)).toEqual(['6', '6'])
})
