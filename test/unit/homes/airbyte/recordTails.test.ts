import { expect, test } from 'vitest'
import { CREATE } from '../../../../src/core/rowBatch.js'
import { RecordTails } from '../../../../src/homes/airbyte/read/recordTails.js'

const tailsOf = (lsn: bigint) => new RecordTails('airbyte', { lsn, time: 0 })
const cursor = (tail: string | Buffer) => String(tail).match(/"_ab_cdc_lsn":([\d.]+)/)![1]!

test('rows that are read are newer than all of earlier runs and than the changes before them, older than those behind', () => {
  const tails = tailsOf(1007n)
  const read = (place: { lsn: bigint; seq: number; end: bigint | undefined }) => {
    tails.readAt(place)
    return cursor(tails.scanned('public', 't'))
  }
  // The stream is behind what earlier runs may have written.
  expect(read({ lsn: 800n, seq: 3, end: 840n })).toBe('1007')
  // Behind a whole transaction, in the middle of one, and where the stream is idle.
  expect(read({ lsn: 2000n, seq: 3, end: 2040n })).toBe('2001')
  expect(read({ lsn: 2000n, seq: 3, end: undefined })).toBe('1999')
  expect(read({ lsn: 2000n, seq: -1, end: 2000n })).toBe('1999')
})

test('changes of one transaction have cursors in their order, however many they are', () => {
  const tails = tailsOf(0n)
  const transaction = { xid: 1, commitLsn: 2000n, commitTime: 0n }
  const cursors = [0, 1, 2, 999_998, 999_999, 1_000_000, 2_000_000_000].map((seq) =>
    cursor(tails.changed(transaction, CREATE, seq, 'public', 't')),
  )
  expect(cursors.slice(0, 3)).toEqual(['2000', '2000.000001', '2000.000002'])
  expect([...cursors].sort()).toEqual(cursors)
  expect(new Set(cursors).size).toBe(cursors.length)
  expect(cursors.at(-1)! < '2001').toBe(true)
})
