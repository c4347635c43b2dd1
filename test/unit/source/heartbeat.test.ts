import { describe, expect, test } from 'vitest'
import type { SlotWal } from '../../../src/postgres/slotWal.js'
import { Heartbeat, type HeartbeatOptions } from '../../../src/source/heartbeat.js'
import { slotWal } from '../../support/slotWal.js'

const MIB = 1024 * 1024
const SECOND = 1000

/** When a slot that is looked at every second makes a heartbeat due, in seconds. */
function beats(
  seconds: number,
  slotAt: (second: number) => Partial<SlotWal>,
  { mode = 'auto', settled = true }: { mode?: HeartbeatOptions['mode']; settled?: boolean } = {},
): number[] {
  const heartbeat = new Heartbeat({ mode, intervalMs: 30 * SECOND })
  const found: number[] = []
  for (let second = 0; second <= seconds; second++) {
    const slot = slotWal({ retainedBytes: 64 * MIB, restartLsn: 1n, endLsn: 100n, ...slotAt(second) })
    if (heartbeat.due(slot, second * SECOND, settled)) found.push(second)
  }
  return found
}

describe('a heartbeat is due', () => {
  test('when slot and server stood still for the time, with WAL to free', () => {
    expect(beats(59, () => ({}))).toEqual([30])
  })

  test('not while the server writes: it logs its transactions by itself', () => {
    expect(beats(600, (second) => ({ endLsn: BigInt(second) }))).toEqual([])
  })

  test('not while the slot moves', () => {
    expect(beats(600, (second) => ({ restartLsn: BigInt(second) }))).toEqual([])
  })

  test('not for less than a segment', () => {
    expect(beats(600, () => ({ retainedBytes: 15 * MIB }))).toEqual([])
  })

  test('not while something is still to be acknowledged', () => {
    expect(beats(600, () => ({}), { settled: false })).toEqual([])
  })

  test('at twice the time when the one before mended nothing, at the old one when it did', () => {
    expect(beats(800, () => ({}))).toEqual([30, 90, 210, 450])
    expect(beats(200, (second) => ({ restartLsn: second < 100 ? 1n : 2n }))).toEqual([30, 90, 130, 190])
  })

  test('always, or never, whatever there is', () => {
    const busy = (second: number) => ({ endLsn: BigInt(second), retainedBytes: 0 })
    expect(beats(70, busy, { mode: 'always', settled: false })).toEqual([0, 30, 60])
    expect(beats(70, () => ({}), { mode: 'never' })).toEqual([])
  })
})
