import { expect, test } from 'vitest'
import { CONNECTION_LOST } from '../../../../../src/core/errors.js'
import type { Lane } from '../../../../../src/homes/pipeline/run/lane.js'
import { PauseSwitch } from '../../../../../src/homes/pipeline/run/pauseSwitch.js'
import { TableCounts } from '../../../../../src/homes/pipeline/run/tableCounts.js'
import { History } from '../../../../../src/homes/pipeline/status/history.js'
import { Latency } from '../../../../../src/homes/pipeline/status/latency.js'
import { PipelineMonitor } from '../../../../../src/homes/pipeline/status/pipelineMonitor.js'
import { RecentErrors } from '../../../../../src/homes/pipeline/status/recentErrors.js'
import { HISTORY_SAMPLES, LATENCY_WRITES, MOST_ERRORS } from '../../../../../src/homes/pipeline/status/status.js'
import { Batch } from '../../../../../src/source/batch.js'
import { StreamPosition } from '../../../../../src/source/position.js'
import { BatchBuilder, textTable } from '../../../../support/rowBatches.js'

const source = { host: 'db', port: 5432, database: null, slot: 's', publication: 'tailrace' }
const lost = CONNECTION_LOST({ to: 'the receiver', problem: 'it is gone' })

function monitored() {
  const pause = new PauseSwitch()
  const sinks = [{ name: 'out', type: 'file', deadLetters: '/letters' }]
  return { pause, monitor: new PipelineMonitor({ name: 'shop', source, sinks }, pause) }
}

function laneOf(records: number, deadLetters = 0): Lane {
  const summary = { name: 'out', type: 'file', records, bytes: records * 10, deadLetters }
  return { name: 'out', isOpen: true, bytes: 7, summary } as unknown as Lane
}

test('its state follows what it hears: reading, streaming, paused, tried again, failed', () => {
  const { pause, monitor } = monitored()
  const seen = [monitor.state]
  const see = () => seen.push(monitor.state)
  monitor.saw({ type: 'connected', serverVersion: '17.2', database: 'shop' })
  monitor.saw({ type: 'snapshot-started', tables: 1, estimatedRows: 10 })
  see()
  monitor.saw({ type: 'snapshot-progress', table: 'public.a', rows: 4, estimatedRows: 10 })
  expect(monitor.status.snapshot).toMatchObject([{ table: 'public.a', rows: 4, done: false }])
  monitor.saw({ type: 'snapshot-table-finished', table: 'public.a', rows: 11 })
  monitor.saw({ type: 'snapshot-finished', rows: 11, seconds: 1 })
  see()
  monitor.saw({ type: 'streaming', slot: 's', lsn: '0/10' })
  see()
  pause.set(true)
  see()
  pause.set(false)
  monitor.saw({ type: 'stream-progress', records: 1, bytes: 1, lsn: '0/20', lagBytes: 5, lagSeconds: 0 })
  expect(monitor.status).toMatchObject({ position: '0/20', lag: { bytes: 5, seconds: 0 } })
  monitor.saw({ type: 'reconnecting', attempt: 1, delayMs: 1000, cause: lost })
  see()
  expect(monitor.status).toMatchObject({
    ...{ source: { connected: false }, lag: { bytes: null, seconds: null } },
    errors: [{ where: 'source', code: 'CONNECTION_LOST', retryAt: expect.any(String) }],
  })
  monitor.saw({ type: 'streaming', slot: 's', lsn: '0/20' })
  expect(monitor.status.errors[0]!.retryAt).toBeNull()
  monitor.told({ type: 'sink-retrying', sink: 'out', attempt: 1, delayMs: 1000, cause: lost })
  see()
  monitor.told({ type: 'sink-recovered', sink: 'out', attempts: 1 })
  see()
  monitor.told({ type: 'sink-failed', sink: 'out', cause: lost })
  monitor.ended(lost)
  see()
  expect(seen).toEqual([
    ...['starting', 'snapshot', 'starting', 'streaming', 'paused', 'retrying', 'retrying', 'streaming', 'failed'],
  ])
  const { errors, sinks, safety } = monitor.status
  // Told once, by the sink that it is of.
  expect(errors.map(({ where, count }) => `${where} ${count}`)).toEqual(['sink out 2', 'source 1'])
  expect(sinks).toMatchObject([{ state: 'failed', retries: 1, lastError: { code: 'CONNECTION_LOST' } }])
  expect(safety.level).toBe('in_trouble')
})

test('what a sink has is added up over all tries of the pipeline, and so are its dead letters', () => {
  const { monitor } = monitored()
  monitor.lanes([laneOf(100, 2)])
  monitor.told({ type: 'sink-dead-letters', sink: 'out', count: 2, problem: 'too long' })
  monitor.tryingAgain(lost)
  expect(monitor.state).toBe('retrying')
  monitor.lanes([laneOf(5, 1)])
  expect(monitor.status.sinks).toMatchObject([
    { writtenRows: 105, writtenBytes: 1050, deadLetters: 3, pendingBytes: 7 },
  ])
  const letters = { sink: 'out', target: '/letters', count: 3, lastProblem: 'too long' }
  expect(monitor.status.deadLetters).toEqual([{ ...letters, waiting: 3 }])
  // Two of an earlier run, and one of this one is dealt with.
  monitor.lettersFound('out', 4)
  expect(monitor.status.deadLetters).toEqual([{ ...letters, waiting: 4 }])
  monitor.lettersFound('out', 0)
  expect(monitor.status.deadLetters).toEqual([{ ...letters, waiting: 0 }])
  expect(monitor.reconnects).toBe(1)
})

test('paused in the middle of a transaction it is as far behind as what the slot has not confirmed', () => {
  const { pause, monitor } = monitored()
  monitor.saw({ type: 'streaming', slot: 's', lsn: '0/10' })
  monitor.saw({ type: 'stream-progress', records: 1, bytes: 1, lsn: '0/20', lagBytes: 5, lagSeconds: 0 })
  const slot = { slot: 's', walStatus: 'reserved', level: 'ok', heldBytes: 3000, limitBytes: undefined } as const
  const growth = { limit: undefined, bytesPerSecond: 0, secondsToLimit: undefined }
  monitor.saw({ type: 'wal-retention', ...slot, ...growth, unconfirmedBytes: 2000 })
  expect(monitor.status.lag).toEqual({ bytes: 5, seconds: 0 })
  pause.set(true)
  expect(monitor.status.lag).toEqual({ bytes: 2000, seconds: expect.any(Number) })
  pause.set(false)
  expect(monitor.status.lag).toEqual({ bytes: 5, seconds: 0 })
})

test('a pause is no stall, and a stall by somebody else is one', () => {
  const { pause, monitor } = monitored()
  monitor.saw({ type: 'streaming', slot: 's', lsn: '0/10' })
  pause.set(true)
  monitor.saw({ type: 'stalled', side: 'consumer', waitingFor: 'consumer', seconds: 300, problem: 'a batch' })
  pause.set(false)
  expect(monitor.status.safety.level).toBe('safe')
  monitor.saw({ type: 'stalled', side: 'server', waitingFor: 'wal', seconds: 300, problem: 'nothing came' })
  expect(monitor.status.safety).toMatchObject({ level: 'at_risk', why: ['Nothing came.'] })
  monitor.saw({ type: 'stall-ended', side: 'server', seconds: 301 })
  expect(monitor.status.safety.level).toBe('safe')
})

test('records and bytes are counted by table and operation, and nothing of them is lost', () => {
  const [a, b] = [textTable('a', ['id'], [0]), textTable('b', ['id'], [0])]
  const { batch } = new BatchBuilder([a, b]).create(['1']).create(['2'])
  batch.add(3, 1, 0, 0, 0, -1, -4, 0)
  batch.bytes = 90
  const origin = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }
  const place = { lsn: 1n, seq: 0, sub: 0, end: undefined, fingerprint: 0, snapshot: undefined }
  const counts = new TableCounts()
  const { monitor } = monitored()
  monitor.counts(counts)
  for (let n = 0; n < 2; n++) {
    const taken = new Batch(batch, new StreamPosition(origin, place), () => {})
    counts.add(taken)
    monitor.took(taken)
  }
  expect([...counts.byTable]).toEqual([
    ['public.a', 4],
    ['public.b', 2],
  ])
  expect(monitor.status.tables).toEqual([
    { table: 'public.a', snapshot: 0, create: 4, update: 0, delete: 0, truncate: 0, schema: 0, bytes: 120 },
    { table: 'public.b', snapshot: 0, create: 0, update: 0, delete: 2, truncate: 0, schema: 0, bytes: 60 },
  ])
})

test('an hour of samples, the last errors and the last writes are kept, and no more', () => {
  const history = new History()
  const known = { lagBytes: 1, lagSeconds: null, retainedBytes: 2 }
  for (let second = 0; second <= 5000; second++)
    history.look(second * 1000, { rows: second * 10, bytes: second }, known)
  expect(history.samples).toHaveLength(HISTORY_SAMPLES)
  expect(history.samples.at(-1)).toEqual({
    ...{ time: '1970-01-01T01:23:20.000Z', rowsPerSecond: 10, bytesPerSecond: 1, ...known },
  })

  const errors = new RecentErrors()
  const facts = { severity: 'error', where: 'source', retryAt: null } as const
  for (let n = 0; n < 100; n++) errors.add(facts, new Error(`problem ${n}`), new Date(n))
  for (let n = 0; n < 1000; n++) errors.add(facts, lost, new Date(n))
  expect(errors.list).toHaveLength(MOST_ERRORS)
  expect(errors.list[0]).toMatchObject({ code: 'CONNECTION_LOST', count: 1000, at: '1970-01-01T00:00:00.999Z' })
  expect(errors.list[1]).toMatchObject({ code: 'INTERNAL', message: 'problem 99', hint: '' })
  expect(errors.add(facts, new Error('x'.repeat(1e6)), new Date()).message.length).toBeLessThan(3000)

  const latency = new Latency()
  expect(latency.status).toEqual({ p50Seconds: null, p99Seconds: null })
  for (let n = 1; n <= 1000 + LATENCY_WRITES; n++) latency.add(n <= 1000 ? 99 : n - 1000)
  expect(latency.status).toEqual({ p50Seconds: LATENCY_WRITES / 2, p99Seconds: Math.ceil(LATENCY_WRITES * 0.99) })
})
