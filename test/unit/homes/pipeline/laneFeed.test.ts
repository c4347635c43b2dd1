import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Barriers } from '../../../../src/homes/pipeline/run/barriers.js'
import type { Lane } from '../../../../src/homes/pipeline/run/lane.js'
import { LaneFeed } from '../../../../src/homes/pipeline/run/laneFeed.js'
import type { Recorder } from '../../../../src/homes/pipeline/run/recorder.js'
import { Batch } from '../../../../src/source/batch.js'
import { StreamPosition } from '../../../../src/source/position.js'
import { BatchBuilder, textTable } from '../../../support/rowBatches.js'

const table = textTable('t', ['id'], [0])
const origin = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }
const bufferBytes = 100_000

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

function plainAt(lsn: number): StreamPosition {
  const at = BigInt(lsn)
  return new StreamPosition(origin, { lsn: at, seq: 0, sub: 0, end: at, fingerprint: 0, snapshot: undefined })
}

function inSnapshot(rows: number): StreamPosition {
  const snapshot = { id: 'a', rows, tables: [] }
  return new StreamPosition(origin, { lsn: 1n, seq: -1, sub: 0, end: undefined, fingerprint: 0, snapshot })
}

function batchOf(position: StreamPosition, bytes = 100): Batch {
  const { batch } = new BatchBuilder([table]).create(['1'])
  batch.bytes = bytes
  return new Batch(batch, position, () => {})
}

const idleAt = (position: StreamPosition) => new Batch(new BatchBuilder([table]).batch, position, () => {})

/** Sinks that pass nothing by themselves; `given`: what came to the first, in order. */
function feedTo(sinks: readonly Partial<Lane>[], start: StreamPosition | undefined = plainAt(1)) {
  const given: string[] = []
  const heldBy: string[] = []
  const lanes = sinks.map((sink, index) => {
    const lane = {
      name: `${index}`,
      passed: 0,
      held: 0,
      done: false,
      releasesBatches: true,
      give: (batch: Batch, { held = false } = {}) => {
        if (index === 0) given.push(batch.length === 0 ? 'idle' : 'batch')
        if (held) heldBy.push(lane.name)
      },
      giveBarrier: ({ durable, end }: { durable: boolean; end: string | undefined }) => {
        if (index === 0) given.push(end ?? (durable ? 'durable' : 'barrier'))
      },
      dueAt: () => undefined,
      ...sink,
    }
    return lane as unknown as Lane
  })
  const storing = new Set(lanes.filter(({ storesPosition }) => storesPosition).map(({ name }) => name))
  const barriers = new Barriers(
    lanes.map(({ name }) => name),
    storing,
  )
  const recorder = { milliseconds: 0, barriers } as unknown as Recorder
  return { feed: new LaneFeed({ lanes, recorder, bufferBytes, start }), lanes, given, heldBy }
}

test('a batch has its barrier a moment later, with whatever came until then; nothing new has none', () => {
  const { feed, given } = feedTo([{}])
  feed.give(batchOf(plainAt(2)))
  feed.give(batchOf(plainAt(3)))
  vi.advanceTimersByTime(199)
  expect(given).toEqual(['batch', 'batch'])
  vi.advanceTimersByTime(1)
  feed.makeBarrier()
  vi.advanceTimersByTime(1000)
  expect(given).toEqual(['batch', 'batch', 'durable'])
})

test('where much came soon behind the last durable place, one that is not frees the memory, and a durable one follows', () => {
  const { feed, given } = feedTo([{}])
  feed.give(batchOf(plainAt(2)))
  vi.advanceTimersByTime(200)
  feed.give(batchOf(plainAt(3), bufferBytes))
  expect(given.slice(2)).toEqual(['batch', 'barrier'])
  vi.advanceTimersByTime(200)
  expect(given.slice(4)).toEqual(['durable'])
})

test('of positions without rows the last one goes with the next barrier', () => {
  const { feed, given } = feedTo([{}])
  feed.give(idleAt(plainAt(2)))
  feed.give(idleAt(plainAt(3)))
  expect(given).toEqual([])
  feed.end('complete')
  feed.makeBarrier({ always: true })
  expect(given).toEqual(['idle', 'complete'])
})

test('beside others a sink that stores positions gets what cannot be compared in turns, each batch held', () => {
  const { feed, given, heldBy } = feedTo([{}, { storesPosition: true }], inSnapshot(1))
  feed.give(batchOf(inSnapshot(2)))
  feed.give(batchOf(inSnapshot(3)))
  expect([given, heldBy]).toEqual([
    ['batch', 'durable', 'batch', 'durable'],
    ['1', '1'],
  ])
  // The first plain place is still for all; behind it each goes by itself.
  feed.give(batchOf(plainAt(2)))
  feed.give(batchOf(plainAt(3)))
  expect([given.slice(4), heldBy.length]).toEqual([['batch', 'durable', 'batch'], 3])
})

test('there is no room while a sink is a buffer behind', () => {
  const { feed, lanes } = feedTo([{}, {}])
  expect(feed.hasRoom).toBe(true)
  Object.assign(lanes[1]!, { held: bufferBytes })
  expect(feed.hasRoom).toBe(false)
})

test('a sink that is due is flushed though nothing comes', () => {
  const due: Partial<Lane> = { dueAt: () => 0 }
  const { feed, given } = feedTo([{}, due])
  feed.flushIfDue()
  expect(given).toEqual(['durable'])
})
