import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CREATE, NOTHING_OLD, RowBatch } from '../../../src/core/rowBatch.js'
import { ProtoWriter } from '../../../src/homes/conduit/source/protoWriter.js'
import { Batch } from '../../../src/source/batch.js'
import { type Place, StreamPosition } from '../../../src/source/position.js'
import { PositionText } from '../../../src/source/positionText.js'
import { placeText, stepOf, stepText, writeStep } from '../../../src/source/stepText.js'
import { textTable } from '../../support/rowBatches.js'

const INT = { min: -(2 ** 31), max: 2 ** 31 - 1 }
const ORIGIN = { system: '7710974990324191594', timeline: 1, database: 'shop', slot: 'ß "s"', epoch: 5 }

interface Row {
  readonly transaction: number
  readonly seq: number
  readonly sub: number
  readonly fingerprint: number
}

/** Rows of transactions whose commits are 16 bytes apart; the batch ends where `place` says, or at its last row. */
function batchOf(rows: readonly Row[], place: Partial<Place>): Batch {
  const batch = new RowBatch()
  batch.tables.push(textTable('t', ['a'], [0]))
  batch.use(Buffer.from('1'))
  for (let i = 0n; i < 3n; i++) batch.transactions.push({ xid: 1, commitLsn: 0x16b3748n + 16n * i, commitTime: 0n })
  for (const { transaction, seq, sub, fingerprint } of rows) {
    batch.add(CREATE, 0, transaction, seq, sub, 0, NOTHING_OLD, fingerprint)
  }
  const { transaction, seq, sub, fingerprint } = rows.at(-1)!
  const own = { lsn: batch.transactions[transaction]!.commitLsn, seq, sub, fingerprint }
  const end = new StreamPosition(ORIGIN, { end: undefined, snapshot: undefined, ...own, ...place })
  return new Batch(batch, end, () => {})
}

test('each record’s position says what it says itself, wherever the batch ends', () => {
  const row = fc.record({
    transaction: fc.integer({ min: 0, max: 2 }),
    seq: fc.oneof(fc.nat(12), fc.nat(), fc.constant(-2)),
    sub: fc.oneof(fc.constant(0), fc.nat(2000)),
    fingerprint: fc.oneof(fc.integer(INT), fc.constantFrom(0, 9, 10, 99, 100, -1, -10, INT.min, INT.max)),
  })
  const place = fc.constantFrom<Partial<Place>>(
    {},
    { end: 0x16b3800n },
    { lsn: 0x2000000n, seq: -1, sub: 0, end: 0x2000000n },
    { seq: 2 ** 31, sub: 2 ** 40, fingerprint: 7 },
  )
  const texts = new PositionText({ beforeStep: (text) => `${text}^`, beforePlace: (text) => `${text}%` })
  const writer = new ProtoWriter()
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 8 }), place, (rows, at) => {
      const batch = batchOf(rows, at)
      for (let index = 0; index < rows.length; index++) {
        writer.write(texts.beginningOf(batch, index))
        texts.writeRest(writer, batch, index)
        const [beginning, place] = writer.copy().toString().split('%')
        const written = place === undefined ? beginning : beginning! + placeText(place)
        expect(written).toBe(batch.at(index)!.position.toString())
      }
    }),
    { numRuns: 2000 },
  )
})

test('a step says how many were read, and the key, whatever is in it', () => {
  const key = fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(key, fc.nat(), (texts, rows) => {
      const values = texts.map((text) => text.replaceAll('\0', ''))
      const bytes = Buffer.from(values.join(''))
      const ends = values.map((_, i) => Buffer.byteLength(values.slice(0, i + 1).join('')))
      const tape = Int32Array.from(values.flatMap((_, i) => [ends[i - 1] ?? 0, ends[i]!]))
      const writer = new ProtoWriter()
      writeStep(writer, rows, [...values.keys()], bytes, tape, 0)
      const written = writer.copy().toString()
      expect(written).toBe(stepOf(rows, values))
      expect(JSON.parse(`{"a":{"b":{"rows":${stepText(written)}`)).toEqual({ a: { b: { rows, to: values } } })
      writeStep(writer, rows, undefined, bytes, tape, 0)
      expect(JSON.parse(`{"a":{"b":{"rows":${stepText(writer.copy().toString())}`)).toEqual({ a: { b: { rows } } })
    }),
  )
})

test.each(['', 'x', '1,2', '2001,"to":["2001"]}}}', '1"a', '1"a"b', '1a""'])('no step: %s', (text) => {
  expect(stepText(text)).toBeUndefined()
})

test.each(['', '0/1', '0/1,2,3', '0/1,2,3,', '0/1,2,3,4,5', '1,2,3,4', '0/1,2,3,4}'])('no place: %s', (text) => {
  expect(placeText(text)).toBeUndefined()
})
