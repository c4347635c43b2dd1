import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { comparePlaces, OUTSIDE_TRANSACTION, type Place, StreamPosition } from '../../../src/source/position.js'
import { ORIGIN, place } from '../../support/sourceHistory.js'

const lsn = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const count = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const origin = fc.record({
  system: fc.string(),
  timeline: count,
  database: fc.string({ unit: 'binary' }),
  slot: fc.option(fc.string()),
  epoch: count,
})
const streamed: fc.Arbitrary<Place> = fc
  .record({
    lsn,
    seq: fc.integer({ min: OUTSIDE_TRANSACTION, max: 2 ** 31 - 1 }),
    sub: count,
    end: fc.option(lsn, { nil: undefined }),
    fingerprint: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    snapshot: fc.constant(undefined),
  })
  // Once the end is known there is nothing left to compare.
  .map((drawn) => (drawn.end === undefined ? drawn : { ...drawn, fingerprint: 0 }))
const unfinished: fc.Arbitrary<Place> = fc
  .record({ lsn, id: fc.string(), rows: count })
  .map(({ lsn, id, rows }) => place({ lsn, snapshot: { id, rows } }))

test('what is stored is read again as it was, from an object, text or nested JSON', () => {
  fc.assert(
    fc.property(origin, fc.oneof(streamed, unfinished), (from, where) => {
      const position = new StreamPosition(from, where)
      for (const stored of [
        position.toJSON(),
        position.toString(),
        JSON.parse(JSON.stringify({ position })).position,
      ]) {
        expect(StreamPosition.parse(stored)).toEqual(position)
      }
      expect(StreamPosition.parse(position)).toBe(position)
    }),
  )
})

test('the form that is stored stays as it is', () => {
  const stored = (fields: Parameters<typeof place>[0]) => new StreamPosition(ORIGIN, place(fields)).toString()
  const origin = '"version":1,"system":"1","timeline":1,"database":"shop","slot":"s","epoch":1'
  expect(stored({ lsn: 0x16b3748n, seq: 2, fingerprint: -7 })).toBe(
    `{${origin},"lsn":"0/16B3748","seq":2,"sub":0,"fingerprint":-7}`,
  )
  expect(stored({ lsn: 0x1_0000_0010n, seq: 2, sub: 3, end: 0x1_0000_0040n })).toBe(
    `{${origin},"lsn":"1/10","seq":2,"sub":3,"end":"1/40"}`,
  )
  expect(stored({ lsn: 16n, snapshot: { id: '0/10', rows: 5 } })).toBe(
    `{${origin},"lsn":"0/10","seq":-1,"sub":0,"snapshot":{"id":"0/10","rows":5}}`,
  )
})

describe('what cannot be read is refused, and says why', () => {
  const good = new StreamPosition(ORIGIN, place({ lsn: 16n, seq: 2, fingerprint: 7 })).toJSON()

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'no JSON object'],
    ['null', null, 'no JSON object'],
    ['a number', 7, 'no JSON object'],
    ['an empty text', '', 'no JSON'],
    ['half of it', JSON.stringify(good).slice(0, 40), 'no JSON'],
    ['a list', [], 'its version is undefined'],
    ['a newer version', { ...good, version: 2 }, 'its version is 2, not 1'],
    ['an LSN alone', '"0/16B3748"', 'no JSON object'],
    ['no system', { ...good, system: undefined }, 'its "system" is no string'],
    ['a slot that is no name', { ...good, slot: 7 }, 'its "slot" is no string'],
    ['an LSN that is none', { ...good, lsn: '0/16B374811' }, 'its "lsn" is no LSN'],
    ['an LSN as a number', { ...good, lsn: 16 }, 'its "lsn" is no string'],
    ['half an index', { ...good, seq: 0.5 }, 'its "seq" is no whole number'],
    ['an end that is none', { ...good, end: 'x' }, 'its "end" is no LSN'],
    ['a fingerprint that is none', { ...good, fingerprint: '7' }, 'its "fingerprint" is no whole number'],
    ['a snapshot that is none', { ...good, snapshot: null }, 'its snapshot\'s "snapshot" cannot be read'],
    ['a snapshot without its rows', { ...good, snapshot: { id: 'x' } }, 'its snapshot\'s "rows" cannot be read'],
  ])('%s', (_, stored, problem) => {
    expect(() => StreamPosition.parse(stored)).toThrow(
      expect.objectContaining({ code: 'POSITION_INVALID', message: expect.stringContaining(problem) }),
    )
  })
})

describe('the order of places', () => {
  const LSN = 0x1100n
  const inOrder: [string, Place][] = [
    ['the first rows of the snapshot', place({ lsn: LSN, snapshot: { id: 'x', rows: 1 } })],
    ['its last rows', place({ lsn: LSN, snapshot: { id: 'x', rows: 7 } })],
    ['the end of the snapshot', place({ lsn: LSN, end: LSN })],
    ['a message outside that ends at the next commit', place({ lsn: 0x1200n, seq: OUTSIDE_TRANSACTION, end: 0x1200n })],
    ['an idle position there', place({ lsn: 0x1200n, end: 0x1200n })],
    ['a message before the first row', place({ lsn: 0x1200n, sub: 2 })],
    ['the first row', place({ lsn: 0x1200n, seq: 0 })],
    ['a message behind it', place({ lsn: 0x1200n, seq: 0, sub: 2 })],
    ['a schema record behind that', place({ lsn: 0x1200n, seq: 0, sub: 3 })],
    ['the second row', place({ lsn: 0x1200n, seq: 1 })],
    ['the second row, known to be the last', place({ lsn: 0x1200n, seq: 1, end: 0x1230n })],
    ['the first row of a commit right behind it', place({ lsn: 0x1230n, seq: 0 })],
    ['the first row of one far behind', place({ lsn: 2n ** 63n, seq: 0 })],
  ]

  test.each(inOrder.map(([name, one], index) => [name, one, index] as const))('%s', (_, one, index) => {
    for (const [at, [, other]] of inOrder.entries())
      expect(Math.sign(comparePlaces(one, other))).toBe(Math.sign(index - at))
  })

  test('is one order', () => {
    fc.assert(
      fc.property(streamed, streamed, streamed, (a, b, c) => {
        expect(Math.sign(comparePlaces(a, b))).toBe(-Math.sign(comparePlaces(b, a)) || 0)
        if (comparePlaces(a, b) <= 0 && comparePlaces(b, c) <= 0) expect(comparePlaces(a, c)).toBeLessThanOrEqual(0)
      }),
    )
  })
})
