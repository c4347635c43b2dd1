import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatSeen, knownXids, parseSeen, widenXmin } from '../../../../src/source/polling/seen.js'

describe('widenXmin', () => {
  test('is the youngest xid below xmax that ends in the same 32 bits', () => {
    const xmax = fc.integer({ min: 3, max: 2 ** 45 })
    fc.assert(
      fc.property(xmax, fc.integer({ min: 0, max: 2 ** 31 }), (max, age) => {
        const xid = max - age
        fc.pre(xid > 2 && xid % 2 ** 32 > 2)
        expect(widenXmin(xid % 2 ** 32, max)).toBe(xid)
      }),
    )
  })

  test('on either side of a wrap of the 32 bits', () => {
    expect(widenXmin(4_294_967_290, 2 ** 32 + 5)).toBe(4_294_967_290)
    expect(widenXmin(4, 2 ** 32 + 5)).toBe(2 ** 32 + 4)
    expect(widenXmin(4_294_967_290, 3 * 2 ** 32 + 5)).toBe(3 * 2 ** 32 - 6)
  })

  test('a row frozen by an old server is older than anything', () => {
    expect(widenXmin(2, 2 ** 33)).toBe(2)
  })
})

describe('seen, as a position has it', () => {
  test('is read back, in whatever order the xids came', () => {
    const xids = fc.uniqueArray(fc.integer({ min: 0, max: 2 ** 40 }), { maxLength: 50 })
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 2 ** 40 }), xids, (horizon, steps) => {
        const above = steps.map((step) => horizon + step)
        const read = parseSeen(formatSeen({ horizon, xids: above, known: above.length }))!
        expect(read.horizon).toBe(horizon)
        expect(knownXids(read)).toEqual([...above].sort((a, b) => a - b))
      }),
    )
  })

  test('has only those xids that were known then, whatever was added since', () => {
    const xids = [101, 100]
    const seen = { horizon: 100, xids, known: 2 }
    xids.push(103)
    expect(formatSeen(seen)).toBe('100+0.1')
  })

  test.each(['', '1+', '+1', '1+1..2', '1+A', '99999999999999999', '1+zzzzzzzzzzzzz', 'x'])('%j is none', (text) => {
    expect(parseSeen(text)).toBeUndefined()
  })
})
