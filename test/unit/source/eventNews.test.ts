import { expect, test } from 'vitest'
import { EventLog } from '../../../src/homes/airbyte/read/eventLog.js'
import type { SourceEvent } from '../../../src/source/events.js'

type Retention = Extract<SourceEvent, { type: 'wal-retention' }>

const retention = (level: Retention['level']) =>
  ({ type: 'wal-retention', slot: 's', level, heldBytes: 2, walStatus: 'reserved' }) as Retention

test('a log is told once of each change of what a slot holds, and of progress only as debugging', () => {
  const told: string[] = []
  const log = new EventLog({ log: (level, text) => void told.push(`${level} ${text}`) })
  for (const level of ['ok', 'ok', 'lost', 'lost', 'ok'] as const) log.tell(retention(level))
  expect(told).toEqual(['WARN warning: slot s is lost', 'WARN slot s holds 2 bytes of WAL'])
  told.length = 0
  log.tell({ type: 'large-transaction', xid: 7, bytes: 9_000_000 })
  log.tell({ type: 'snapshot-progress', table: 't', rows: 1, estimatedRows: 2 })
  log.tell({ type: 'streaming', slot: 's', lsn: '0/1' })
  expect(told.map((line) => line.split(' ')[0])).toEqual(['DEBUG', 'DEBUG', 'INFO'])
})
