import { expect, test } from 'vitest'
import { beyond, startOf } from '../../../../src/homes/pipeline/run/resume.js'
import { Batch } from '../../../../src/source/batch.js'
import { StreamPosition } from '../../../../src/source/position.js'
import { BatchBuilder, textTable } from '../../../support/rowBatches.js'

const ORIGIN = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }

const NONE = { sub: 0, end: undefined, fingerprint: 0, snapshot: undefined }

function positionAt(lsn: bigint, seq = 0, snapshot?: object, epoch = 1, more: object = {}): StreamPosition {
  const place = { ...NONE, lsn, seq, ...(snapshot && { snapshot }), ...more }
  return new StreamPosition({ ...ORIGIN, epoch }, place as ConstructorParameters<typeof StreamPosition>[1])
}

const TABLE = { oid: 1, id: '0/8', schema: 'public', name: 't', key: ['id'], stretches: [], overtaken: [], apart: [] }
const tables = [TABLE]
/** So many rows of a snapshot that began at 0/8. */
const rowsRead = (rows: number, lsn = 8n) => positionAt(lsn, -1, { id: '0/8', rows, tables })

function start(positions: Record<string, StreamPosition | undefined>) {
  return startOf(new Map(Object.entries(positions)), '/p.state')
}

test('the source goes on where the sink stands that is furthest behind', () => {
  const [a, b, c] = [positionAt(16n, 3), positionAt(16n, 2), positionAt(24n)]
  expect(start({ a, b, c })).toEqual({ least: b })
  expect(start({ a })).toEqual({ least: a })
})

test('all begin anew, or none', () => {
  expect(start({ a: undefined, b: undefined })).toEqual({ least: undefined })
  const one = positionAt(8n)
  expect(() => start({ a: one, b: undefined })).toThrow('the sink b has had nothing yet, and a is in the middle')
  expect(() => start({ a: undefined, b: one })).toThrow('the sink a has had nothing yet, and b is in the middle')
})

test('what stands at one place within a snapshot goes on alone where another stands elsewhere, until all can be compared', () => {
  const one = rowsRead(10)
  expect(start({ a: one, b: rowsRead(10) })).toEqual({ least: one })
  expect(start({ a: one, b: rowsRead(20) })).toEqual({ least: one, alone: ['a'] })
  expect(start({ a: rowsRead(20), b: one, c: rowsRead(20) })).toMatchObject({ alone: ['a', 'c'] })
  const others = positionAt(8n, -1, { id: '0/8', rows: 10, tables: [{ ...TABLE, oid: 2 }] })
  expect(start({ a: one, b: others })).toEqual({ least: one, alone: ['a'] })
  expect(start({ a: positionAt(16n), b: one })).toEqual({ least: one, alone: ['b'] })
  expect(start({ a: positionAt(6n), b: one, c: positionAt(7n) })).toEqual({ least: one, alone: ['b'] })
})

test('what begins anew is for those, too, that have nothing yet of what the other had, and of no others', () => {
  const intent = positionAt(8n, -1, { id: '', rows: 0, tables: undefined, intent: true })
  expect(start({ a: rowsRead(0), b: intent })).toEqual({ least: intent, anew: true })
  expect(() => start({ a: rowsRead(1), b: intent })).toThrow('the sinks b and a stopped at different places')
  // Read again with another slot: that repairs whatever they have.
  const again = positionAt(32n, -1, { id: '', rows: 0, tables, intent: true }, 2)
  expect(start({ a: again, b: positionAt(24n) })).toEqual({ least: again, anew: true })
  expect(() => start({ a: again, b: positionAt(40n, 1, { id: '0/20', rows: 3, tables }, 2) })).toThrow(
    'stopped at different places',
  )
})

test('where long polling was nobody knows what is missing', () => {
  const polled = (count: number) => positionAt(8n, -1, undefined, 1, { polling: { count } })
  expect(start({ a: polled(2), b: polled(2) })).toMatchObject({ least: { place: { polling: { count: 2 } } } })
  expect(() => start({ a: polled(2), b: polled(1) })).toThrow('the sinks b and a stopped at different places')
})

test('a sink gets nothing twice though the last record’s position is that of what came behind it', () => {
  const { batch: rows } = new BatchBuilder([textTable('t', ['id'], [0])]).create(['1']).create(['2'])
  // Both in a transaction at 0/1; then an idle server moved on before the batch was taken.
  const batch = new Batch(rows, positionAt(64n, -1, undefined, 1, { end: 64n }), () => {})
  const ahead = (position: StreamPosition) => beyond(batch, { position, sameRun: false })
  expect(ahead(positionAt(32n, -1, undefined, 1, { end: 32n }))).toBeUndefined()
  expect(ahead(positionAt(1n, -1))).toBe(batch)
})
