import { expect, test } from 'vitest'
import { isWithin, joinPositions } from '../../../../src/homes/airbyte/read/joinPositions.js'
import { type Place, StreamPosition } from '../../../../src/source/position.js'
import { unreadTable } from '../../../../src/source/scan/progress.js'

const origin = { system: '1', timeline: 1, database: 'shop', slot: 's', epoch: 1 }
const place = (lsn: bigint, more: Partial<Place> = {}): Place => ({
  lsn,
  seq: -1,
  sub: 0,
  end: lsn,
  fingerprint: 0,
  snapshot: undefined,
  ...more,
})
const at = (lsn: bigint, captured: readonly number[], more: Partial<Place> = {}) =>
  new StreamPosition({ ...origin, captured }, place(lsn, more))

test('a run begins at the least place, and leaves out what the others have beyond it', () => {
  const joined = joinPositions(
    [
      { oid: 1, position: at(100n, [1]) },
      { oid: 2, position: at(300n, [2]) },
      { oid: 3, position: at(100n, [3]) },
    ],
    [at(200n, [9])],
  )!
  expect(joined.position.place.lsn).toBe(100n)
  expect(joined.position.origin.captured).toEqual([1, 2, 3])
  expect(joined.position.origin.leaving).toEqual([9])
  expect([...joined.ahead.keys()]).toEqual([2])
})

test('what was read of each table is kept', () => {
  const unread = (oid: number) => unreadTable({ oid, id: 'x', schema: 'public', name: `t${oid}`, key: ['id'] })
  const reading = (oid: number) => ({ snapshot: { id: 'x', rows: 5, tables: [unread(oid), unread(7)] } })
  const joined = joinPositions(
    [
      { oid: 1, position: at(100n, [1], reading(1)) },
      { oid: 2, position: at(200n, [2]) },
    ],
    [],
  )!
  expect(joined.position.place.snapshot).toMatchObject({ rows: 5, tables: [{ oid: 1, again: false }] })
})

test('a position of an older slot, or of another table of the name, is none', () => {
  const old = new StreamPosition({ ...origin, epoch: 0, captured: [1] }, place(50n))
  const joined = joinPositions(
    [
      { oid: 1, position: old },
      { oid: 2, position: at(100n, [2]) },
      { oid: 3, position: at(100n, [33]) },
    ],
    [],
  )!
  expect(joined.position.origin.captured).toEqual([2])
  expect(joined.outdated).toEqual([1, 3])
  expect(joinPositions([{ oid: 3, position: at(100n, [33]) }], [])).toBeUndefined()
})

test('a change is within a place up to its end, or up to its index in an unfinished transaction', () => {
  const whole = place(100n, { seq: 4, end: 140n })
  expect([100n, 132n, 140n, 148n].map((lsn) => isWithin(whole, lsn, 9, 0))).toEqual([true, true, false, false])
  const middle = place(100n, { seq: 4, end: undefined })
  expect([3, 4, 5].map((seq) => isWithin(middle, 100n, seq, 0))).toEqual([true, true, false])
  expect(isWithin(middle, 92n, 9, 0)).toBe(true)
  expect(isWithin(place(100n), 100n, 0, 0)).toBe(false)
})
