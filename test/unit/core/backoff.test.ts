import { describe, expect, test } from 'vitest'
import { sleep } from '../../../src/core/abort.js'
import { backoffMs } from '../../../src/core/backoff.js'

const options = { firstMs: 200, maxMs: 10_000 }
const least = (attempt: number) => backoffMs(attempt, { ...options, random: () => 0 })
const most = (attempt: number) => backoffMs(attempt, { ...options, random: () => 0.999999 })

describe('the wait before an attempt', () => {
  test('doubles, with its upper half drawn at random', () => {
    expect([1, 2, 3, 4].map(least)).toEqual([100, 200, 400, 800])
    expect([1, 2, 3, 4].map(most)).toEqual([200, 400, 800, 1600])
  })

  test('is never longer than the limit, however many there were', () => {
    for (const attempt of [7, 30, 1000, 1e9]) {
      expect(most(attempt)).toBe(10_000)
      expect(least(attempt)).toBe(5000)
    }
  })

  test('is drawn anew each time', () => {
    const waits = new Set(Array.from({ length: 50 }, () => backoffMs(20, options)))
    expect(waits.size).toBeGreaterThan(10)
  })
})

describe('sleeping', () => {
  test('ends early with the reason of an abort, also one that came before', async () => {
    const abort = new AbortController()
    const sleeping = sleep(60_000, abort.signal)
    abort.abort(new Error('enough'))
    await expect(sleeping).rejects.toThrow('enough')
    await expect(sleep(60_000, abort.signal)).rejects.toThrow('enough')
  })

  test('takes its time otherwise', async () => {
    const since = performance.now()
    await sleep(20, new AbortController().signal)
    expect(performance.now() - since).toBeGreaterThanOrEqual(19)
  })
})
