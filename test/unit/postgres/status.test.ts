import { afterEach, describe, expect, test, vi } from 'vitest'
import { silenceLimitMs, statusIntervalMs, statusUpdate } from '../../../src/postgres/replication/status.js'

afterEach(() => {
  vi.useRealTimers()
})

test('a status update as the protocol has it', () => {
  vi.useFakeTimers({ now: Date.UTC(2000, 0, 1, 0, 0, 1) })
  const bytes = statusUpdate(0x16_b374_d848n, 0x10n, true)
  expect(bytes.toString('hex')).toBe(
    [
      '64', // CopyData
      '00000026',
      '72', // 'r'
      '00000016b374d848', // written
      '0000000000000010', // flushed
      '0000000000000010', // applied
      '00000000000f4240', // a second behind PostgreSQL's beginning of time
      '01', // a reply is wanted
    ].join(''),
  )
  expect(statusUpdate(1n, 1n, false).at(-1)).toBe(0)
  expect(statusUpdate(2n ** 64n - 1n, 0n, false).readBigUInt64BE(6)).toBe(2n ** 64n - 1n)
})

describe('how often', () => {
  test.each([1000, 1500, 3000, 60_000, 600_000])('at least thrice within wal_sender_timeout = %d ms', (timeout) => {
    expect(3 * statusIntervalMs(timeout)).toBeLessThanOrEqual(timeout)
  })

  test('also without a timeout, and never without a pause', () => {
    expect(statusIntervalMs(0)).toBeGreaterThan(0)
    expect(statusIntervalMs(0)).toBeLessThanOrEqual(10_000)
    expect(statusIntervalMs(1)).toBeGreaterThanOrEqual(100)
  })
})

test.each([0, 1000, 60_000, 3_600_000])(
  'silence is not taken for death while a live server may be silent: wal_sender_timeout = %d ms',
  (timeout) => {
    expect(silenceLimitMs(timeout)).toBeGreaterThanOrEqual(Math.max(timeout, 30_000))
  },
)
