import { describe, expect, test } from 'vitest'
import { GrowthWindow, judgeRetention, RetentionLevels } from '../../../src/source/walRetention.js'
import { slotWal } from '../../support/slotWal.js'

const MIB = 1024 * 1024
const still = { bytesPerSecond: 0, certain: true }

describe('how near the limit a slot is', () => {
  test.each([
    [10, 'ok'],
    [49, 'ok'],
    [50, 'half'],
    [79, 'half'],
    [80, 'near'],
    [99, 'near'],
    [100, 'reached'],
    [150, 'reached'],
  ])('%i %% of the budget is %s', (percent, level) => {
    const judged = judgeRetention(slotWal({ retainedBytes: percent * MIB }), still, 100 * MIB)
    expect(judged).toMatchObject({ level, limit: 'walBudgetBytes', limitBytes: 100 * MIB, heldBytes: percent * MIB })
  })

  test('the limit with the least left counts, be it the budget or the server’s', () => {
    const wal = slotWal({ retainedBytes: 60 * MIB, safeBytes: 20 * MIB })
    expect(judgeRetention(wal, still, 100 * MIB)).toMatchObject({
      level: 'half',
      limit: 'max_slot_wal_keep_size',
      limitBytes: 80 * MIB,
    })
    expect(judgeRetention(wal, still, 70 * MIB)).toMatchObject({ level: 'near', limit: 'walBudgetBytes' })
  })

  test('without a limit there is none to be near to', () => {
    const judged = judgeRetention(slotWal({ retainedBytes: 1e12 }), { bytesPerSecond: 1e9, certain: true }, undefined)
    expect(judged).toMatchObject({ level: 'ok', limit: undefined, limitBytes: undefined, secondsToLimit: undefined })
  })

  test('a slot that the server may give up is at its limit whatever the numbers say, an invalidated one is lost', () => {
    expect(judgeRetention(slotWal({ walStatus: 'unreserved' }), still, undefined).level).toBe('reached')
    const lost = slotWal({ walStatus: 'lost', invalidation: 'wal_removed', retainedBytes: undefined })
    expect(judgeRetention(lost, still, 100 * MIB)).toMatchObject({ level: 'lost', heldBytes: 0 })
  })

  test('the time that is left makes it near, once it is certain and more than a little is held', () => {
    const growing = { bytesPerSecond: MIB, certain: true }
    const wal = slotWal({ retainedBytes: 100 * MIB })
    expect(judgeRetention(wal, growing, 350 * MIB)).toMatchObject({ level: 'near', secondsToLimit: 250 })
    expect(judgeRetention(wal, { ...growing, certain: false }, 350 * MIB).level).toBe('ok')
    expect(judgeRetention(slotWal({ retainedBytes: 10 * MIB }), growing, 200 * MIB).level).toBe('ok')
  })

  test('what is not confirmed is told apart from what is kept behind it', () => {
    const wal = slotWal({ retainedBytes: 1000, endLsn: 5000n, confirmedFlushLsn: 4900n })
    expect(judgeRetention(wal, still, undefined)).toMatchObject({ heldBytes: 1000, unconfirmedBytes: 100 })
  })
})

describe('growth', () => {
  test('is measured against the time that passed', () => {
    const window = new GrowthWindow()
    for (let at = 0; at <= 120_000; at += 5000) {
      const { bytesPerSecond, certain } = window.add(at, at * 3)
      if (at >= 10_000) expect(bytesPerSecond).toBeCloseTo(3000)
      expect(certain).toBe(at >= 60_000)
    }
  })

  test('of what goes up and down like a saw is none', () => {
    const window = new GrowthWindow()
    for (let at = 0; at <= 300_000; at += 1000) {
      const { bytesPerSecond, certain } = window.add(at, (at % 15_000) * 1000)
      if (certain) expect(bytesPerSecond).toBe(0)
    }
  })

  test('is forgotten when what is held goes down', () => {
    const window = new GrowthWindow()
    for (let at = 0; at <= 60_000; at += 5000) window.add(at, at)
    for (let at = 65_000; at <= 100_000; at += 5000) window.add(at, 0)
    expect(window.add(105_000, 0).bytesPerSecond).toBe(0)
  })
})

test('a level goes up at once, and down when it was lower for a minute', () => {
  const levels = new RetentionLevels()
  expect(levels.add(0, 'ok')).toBe('ok')
  expect(levels.add(5_000, 'near')).toBe('near')
  expect(levels.add(10_000, 'half')).toBe('near')
  expect(levels.add(15_000, 'ok')).toBe('near')
  expect(levels.add(64_000, 'ok')).toBe('near')
  expect(levels.add(66_000, 'ok')).toBe('half')
  expect(levels.add(71_000, 'ok')).toBe('ok')
})
