import { expect, test } from 'vitest'
import { isBehind } from '../../../src/sinks/postgres/isBehind.js'
import { type Origin, StreamPosition } from '../../../src/source/position.js'

const ORIGIN: Origin = { system: '7', timeline: 1, database: 'shop', slot: 'copy', epoch: 1 }

function at(lsn: bigint, seq: number, origin: Partial<Origin> = {}): StreamPosition {
  const place = { lsn, seq, sub: 0, end: undefined, fingerprint: 0, snapshot: undefined }
  return new StreamPosition({ ...ORIGIN, ...origin }, place)
}

test('positions are compared within one history only', () => {
  const known = at(20n, 3)
  expect([at(10n, 9), at(20n, 2), at(20n, 3), at(20n, 4), at(30n, 0)].map((one) => isBehind(one, known))).toEqual([
    ...[true, true, false, false, false],
  ])
  const others: Partial<Origin>[] = [{ system: '8' }, { timeline: 2 }, { database: 'x' }, { slot: null }, { epoch: 2 }]
  for (const other of others) expect(isBehind(at(10n, 0, other), known)).toBe(false)
})
