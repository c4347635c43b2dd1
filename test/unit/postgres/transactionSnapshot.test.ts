import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTransactionSnapshot, replayedSnapshot, widenXid } from '../../../src/postgres/transactionSnapshot.js'

const WRAP = 2 ** 32

describe('widenXid', () => {
  test.each([
    [700, 1000, 700],
    [5, WRAP + 10, WRAP + 5],
    // Begun before the wraparound, and behind it.
    [WRAP - 3, WRAP + 10, WRAP - 3],
    [3, 2 * WRAP - 10, 2 * WRAP + 3],
    [WRAP - 1, 2 * WRAP, 2 * WRAP - 1],
    // There is nothing before the first epoch.
    [WRAP - 1, 3, WRAP - 1],
  ])('%i near %i is %i', (xid, near, wide) => {
    expect(widenXid(xid, near)).toBe(wide)
  })

  test('gives back any xid that is less than half a wraparound away', () => {
    const near = fc.integer({ min: WRAP / 2, max: 2 ** 50 })
    const away = fc.integer({ min: -(WRAP / 2) + 1, max: WRAP / 2 - 1 })
    fc.assert(fc.property(near, away, (xmax, by) => widenXid((xmax + by) % WRAP, xmax) === xmax + by))
  })
})

describe('a snapshot', () => {
  const sees = (text: string, xid: number) => parseTransactionSnapshot(text)!.sees(xid, 0n)

  test('shows what had ended when it was taken', () => {
    const text = '100:110:100,105'
    expect([99, 100, 101, 105, 109, 110, 111].map((xid) => sees(text, xid))).toEqual([
      true,
      false,
      true,
      false,
      true,
      false,
      false,
    ])
  })

  test('is the same on either side of a wraparound', () => {
    const text = `${WRAP - 4}:${WRAP + 4}:${WRAP - 4},${WRAP + 1}`
    expect([WRAP - 5, WRAP - 4, WRAP - 1, 0, 1, 3, 4].map((xid) => sees(text, xid))).toEqual([
      true,
      false,
      true,
      true,
      false,
      true,
      false,
    ])
  })

  test('of a standby shows what was replayed', () => {
    const { text, sees } = parseTransactionSnapshot(replayedSnapshot('1/10'))!
    expect(parseTransactionSnapshot(text)).toBeDefined()
    expect([0x10000000fn, 0x100000010n].map((lsn) => sees(7, lsn))).toEqual([true, false])
  })

  test.each(['', '1:2', '1:2:3,', 'replayed:', 'replayed:x', '1:2:x', ' 1:2:'])('is not read from %j', (text) => {
    expect(parseTransactionSnapshot(text)).toBeUndefined()
  })
})
