import { expect, test } from 'vitest'
import { formatTimestamp } from '../../../src/codec/timestampText.js'
import { Random } from '../../chaos/random.js'

const YEAR_2000_MS = 946_684_800_000n

/** By a Date's milliseconds, and the digits behind them. */
function reference(microseconds: bigint): string {
  const rest = ((microseconds % 1000n) + 1000n) % 1000n
  const milliseconds = (microseconds - rest) / 1000n + YEAR_2000_MS
  return `${new Date(Number(milliseconds)).toISOString().slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}

test('times are told to the microsecond, before and behind 2000, whichever was told before', () => {
  const random = new Random(21)
  const second = 1_000_000n
  expect(formatTimestamp(0n)).toBe('2000-01-01T00:00:00.000000Z')
  expect(formatTimestamp(-1n)).toBe('1999-12-31T23:59:59.999999Z')
  for (let round = 0; round < 2000; round++) {
    const near = BigInt(random.integer(-5, 5)) * second
    const far = BigInt(random.integer(-1_000_000_000, 1_000_000_000)) * second * BigInt(random.integer(1, 100))
    const time = random.pick([near, near, near + 848_000_000n * second, far]) + BigInt(random.integer(-3, 999_999))
    expect(formatTimestamp(time)).toBe(reference(time))
  }
})
