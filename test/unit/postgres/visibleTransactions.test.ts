import { expect, test } from 'vitest'
import { isIn } from '../../../src/postgres/visibleTransactions.js'

const EPOCH = 2n ** 32n

test.each<[string, number, boolean]>([
  ['10:20:', 9, true],
  ['10:20:', 19, true],
  ['10:20:', 20, false],
  ['10:20:', 21, false],
  ['10:20:10,15', 10, false],
  ['10:20:10,15', 15, false],
  ['10:20:10,15', 14, true],
  // The stream has 32 bits of an xid, the snapshot all.
  [`${EPOCH * 3n + 10n}:${EPOCH * 3n + 20n}:${EPOCH * 3n + 15n}`, 14, true],
  [`${EPOCH * 3n + 10n}:${EPOCH * 3n + 20n}:${EPOCH * 3n + 15n}`, 15, false],
  [`${EPOCH * 3n + 10n}:${EPOCH * 3n + 20n}:`, 20, false],
  // On both sides of a wrap.
  [`${EPOCH * 3n - 9n}:${EPOCH * 3n + 5n}:${EPOCH * 3n - 9n}`, 4294967287, false],
  [`${EPOCH * 3n - 9n}:${EPOCH * 3n + 5n}:${EPOCH * 3n - 9n}`, 4294967288, true],
  [`${EPOCH * 3n - 9n}:${EPOCH * 3n - 5n}:`, 3, false],
])('in snapshot %s transaction %i is visible: %s', (snapshot, xid, visible) => {
  expect(isIn(snapshot, xid)).toBe(visible)
})
