import { expect, test } from 'vitest'
import { Table } from '../../../src/core/table.js'
import { modeOf } from '../../../src/destination/modes.js'
import { isRead, isSameReading, keyMayWait, readingOf } from '../../../src/destination/pendingKey.js'
import { parseColumnSelection } from '../../../src/postgres/columnSelection.js'
import { type Place, StreamPosition } from '../../../src/source/position.js'
import type { TableProgress } from '../../../src/source/scan/progress.js'
import { PASSED, type Stretch } from '../../../src/source/scan/stretches.js'
import { BatchBuilder, textTable } from '../../support/rowBatches.js'

const plain = textTable('t', ['id', 'n'], [0])
const unique = new Table({ ...plain, keyIsUnique: true })
const mirror = modeOf({ mode: 'mirror', delete: 'hard', deletedColumn: '', historyPrefix: '' })
const history = modeOf({ mode: 'history', delete: 'hard', deletedColumn: '', historyPrefix: '_' })

test('a key waits only where the source itself keeps its rows apart by it', () => {
  expect(keyMayWait(unique, { keys: [], mode: mirror })).toBe(true)
  expect(keyMayWait(unique, { keys: [parseColumnSelection('other:id')], mode: mirror })).toBe(true)
  expect(keyMayWait(plain, { keys: [], mode: mirror })).toBe(false)
  expect(keyMayWait(unique, { keys: [parseColumnSelection('t:n')], mode: mirror })).toBe(false)
  expect(keyMayWait(unique, { keys: [], mode: history })).toBe(false)
  expect(keyMayWait(new Table({ ...unique, key: [] }), { keys: [], mode: mirror })).toBe(false)
})

const place: Place = { lsn: 1n, seq: -1, sub: 0, end: undefined, fingerprint: 0, snapshot: undefined }
const progress = (oid: number, ...stretches: Stretch[]) => ({ oid, stretches }) as unknown as TableProgress
const reading = { relation: 7, snapshot: '0/1' }
const unread = { to: undefined, read: undefined }
const passed = { to: ['5'], read: PASSED } as const
const kept = { to: undefined, read: { snapshot: '1:1:', until: 9n } }

test('a table is read when the snapshot is over, does not name it any more, or has none of its rows to come', () => {
  const at = (...tables: TableProgress[]) => ({ ...place, snapshot: { id: '0/1', rows: 3, tables } })
  expect(isRead(reading, place)).toBe(true)
  expect(isRead(reading, at(progress(8, unread)))).toBe(true)
  expect(isRead(reading, at(progress(7, passed, kept)))).toBe(true)
  expect(isRead(reading, at(progress(8), progress(7, passed, unread)))).toBe(false)
  // What cannot be gone on with does not tell.
  expect(isRead(reading, { ...place, snapshot: { id: '0/1', rows: 3 } })).toBe(false)
  expect(isRead(reading, { ...place, snapshot: { ...at().snapshot, intent: true } })).toBe(false)
})

test('rows are of one reading by the name in their ids, if they cannot come again', () => {
  const { batch } = new BatchBuilder([unique])
  const position = new StreamPosition({ system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }, place)
  const rows = Object.assign(batch, { snapshotId: '0/1' })
  const found = readingOf({ rows, position, range: undefined }, unique)
  expect(found).toEqual({ relation: unique.oid, snapshot: '0/1' })
  const range = { schema: 'public', name: 't', key: ['id'], after: undefined, upTo: undefined, again: false }
  expect(readingOf({ rows, position, range }, unique)).toEqual(found)
  expect(readingOf({ rows, position, range: { ...range, again: true } }, unique)).toBeUndefined()
  const polled = new StreamPosition(position.origin, { ...place, polling: {} as Place['polling'] })
  expect(readingOf({ rows, position: polled, range: undefined }, unique)).toBeUndefined()

  expect(isSameReading(reading, { ...reading })).toBe(true)
  expect(isSameReading(reading, { ...reading, snapshot: '0/2' })).toBe(false)
  expect(isSameReading(reading, { ...reading, relation: 8 })).toBe(false)
  expect(isSameReading(reading, undefined)).toBe(false)
  // Of what was copied before a run that begins anew.
  expect(isSameReading({ ...reading, snapshot: '' }, { ...reading, snapshot: '' })).toBe(false)
})
