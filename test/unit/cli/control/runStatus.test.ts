import { expect, test } from 'vitest'
import { occupation, StatusKeeper } from '../../../../src/cli/control/runStatus.js'
import { statusAsText } from '../../../../src/cli/signal/resultText.js'
import type { SourceEvent } from '../../../../src/source/events.js'

const since = '2026-01-01T00:00:00.000Z'

function after(...events: readonly SourceEvent[]): StatusKeeper {
  const keeper = new StatusKeeper({ pid: 42, version: '1.2.3', since })
  for (const event of events) keeper.saw(event)
  return keeper
}

const CONNECTED: SourceEvent = { type: 'connected', serverVersion: '18.4', database: 'shop' }
const CAPTURING: SourceEvent = { type: 'capturing', tables: ['public.orders', 'public.customers'] }
const SCANNING: SourceEvent = { type: 'snapshot-progress', table: 'public.orders', rows: 1500, estimatedRows: 9000 }
const STREAMING: SourceEvent = { type: 'streaming', slot: 'nightly', lsn: '0/15' }

test('a run that has just begun knows of itself only', () => {
  const { status } = after()
  expect(status).toMatchObject({ pid: 42, phase: 'starting', tables: null, scanning: [], lsn: null })
  expect(statusAsText(status, new Date('2026-01-01T00:00:42Z'))).toBe(
    'run       pid 42, tailrace 1.2.3, since 42 s\nphase     starting\n',
  )
})

test('a snapshot is told table by table, until its rows are read', () => {
  const scan = { table: 'public.orders', rows: 1500, estimatedRows: 9000 }
  const started: SourceEvent = { type: 'snapshot-started', tables: 2, estimatedRows: 9000 }
  const keeper = after(CONNECTED, CAPTURING, started, SCANNING)
  expect(keeper.status).toMatchObject({ phase: 'snapshot', scanning: [scan] })
  keeper.saw({ type: 'snapshot-table-finished', table: 'public.orders', rows: 9000 })
  expect(keeper.status.scanning).toEqual([])
})

test('a stream is told with its place, its lag, and what is read beside it', () => {
  const progress = { records: 12_345, bytes: 1, lsn: '0/20', lagBytes: 5 * 1024 * 1024, lagSeconds: 3 }
  const { status } = after(CONNECTED, CAPTURING, STREAMING, { type: 'stream-progress', ...progress }, SCANNING)
  expect(status.phase).toBe('streaming')
  expect(statusAsText(status, new Date(since)).split('\n')).toEqual([
    'run       pid 42, tailrace 1.2.3, since 0 s',
    'phase     streaming',
    'database  shop on PostgreSQL 18.4',
    'slot      nightly',
    'tables    public.orders, public.customers',
    'reading   public.orders: 1,500 of about 9,000 rows',
    'position  0/20',
    'lag       5 MB, 3 s',
    'records   12,345',
    '',
  ])
})

test('a snapshot that begins beside the stream does not end it', () => {
  const { status } = after(STREAMING, { type: 'snapshot-started', tables: 1, estimatedRows: 0 })
  expect(status.phase).toBe('streaming')
})

test('what is waited for is told until something else comes', () => {
  const keeper = after({ type: 'waiting-for-transactions', seconds: 3, holders: ['pid 7'] })
  expect(keeper.status.waitingFor).toBe('waiting for running transactions since 3 s: pid 7')
  keeper.saw(STREAMING)
  expect(keeper.status.waitingFor).toBeNull()
})

test('whoever waits is told what is waited for, else what is read', () => {
  const keeper = after(CAPTURING)
  expect(occupation(keeper.status)).toBeNull()
  keeper.saw(SCANNING)
  keeper.saw({ type: 'snapshot-progress', table: 'public.customers', rows: 20, estimatedRows: 0 })
  expect(occupation(keeper.status)).toBe('reading public.orders: 1,500 of about 9,000 rows, public.customers: 20 rows')
  keeper.saw({ type: 'waiting-for-transactions', seconds: 3, holders: ['pid 7'] })
  expect(occupation(keeper.status)).toBe('waiting for running transactions since 3 s: pid 7')
})

test('a table that was dropped, and what a run before had, are captured no more', () => {
  const keeper = after(CAPTURING, SCANNING, { type: 'table-dropped', table: 'public.orders' })
  expect(keeper.status).toMatchObject({ tables: ['public.customers'], scanning: [] })
  keeper.begin()
  expect(keeper.status).toEqual(after().status)
})

test('a name that a terminal would act on is not printed', () => {
  const { status } = after({ type: 'capturing', tables: ['public."\u001b[2J"'] })
  expect(statusAsText(status, new Date(since))).toContain('tables    public."?[2J"\n')
})
