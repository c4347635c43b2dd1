import { expect, test } from 'vitest'
import { readDuration } from '../../../src/postgres/replication/walSenderTimeout.js'

test.each([
  ['0', 0],
  ['500ms', 500],
  ['45s', 45_000],
  ['1min', 60_000],
  ['2h', 7_200_000],
  ['24d', 2_073_600_000],
])('%s', (shown, milliseconds) => {
  expect(readDuration(shown)).toBe(milliseconds)
})

test.each(['', '-1', '1 min', '1us', 'on'])('what no server shows is refused: %j', (shown) => {
  expect(() => readDuration(shown)).toThrow(/wal_sender_timeout/)
})
