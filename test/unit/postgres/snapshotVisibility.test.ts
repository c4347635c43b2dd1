import { expect, test } from 'vitest'
import { parseTransactionSnapshot, replayedSnapshot, widenXid } from '../../../src/postgres/transactionSnapshot.js'

const WRAP = 2 ** 32

function sees(snapshot: string, xid: number, commitLsn = 1n): boolean {
  return parseTransactionSnapshot(snapshot)!.sees(xid, commitLsn)
}

test('a snapshot shows what had ended before it, and nothing that runs or comes later', () => {
  const snapshot = '90:100:90,95'
  expect([89, 90, 91, 95, 99, 100, 101].filter((xid) => sees(snapshot, xid))).toEqual([89, 91, 99])
  expect(parseTransactionSnapshot('90:100')).toBeUndefined()
})

test('a xid of 32 bits is the nearest one of 64, on either side of a wraparound', () => {
  expect(widenXid(5, 3 * WRAP + 7)).toBe(3 * WRAP + 5)
  expect(widenXid(WRAP - 2, 3 * WRAP + 7)).toBe(3 * WRAP - 2)
  expect(widenXid(3, 4 * WRAP - 10)).toBe(4 * WRAP + 3)
  expect(widenXid(7, 9)).toBe(7)
  const beforeWrap = `${3 * WRAP - 5}:${3 * WRAP + 7}:${3 * WRAP - 3}`
  expect([WRAP - 6, WRAP - 3, WRAP - 2, 6, 7, 8].filter((xid) => sees(beforeWrap, xid))).toEqual([
    WRAP - 6,
    WRAP - 2,
    6,
  ])
})

test('a standby shows what was replayed, in the order of the WAL', () => {
  const snapshot = replayedSnapshot('0/100')
  expect([sees(snapshot, 5, 0xffn), sees(snapshot, 5, 0x100n)]).toEqual([true, false])
})
