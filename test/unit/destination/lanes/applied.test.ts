import { expect, test } from 'vitest'
import { type LaneMark, withoutApplied } from '../../../../src/destination/lanes/applied.js'
import { routeBatch } from '../../../../src/destination/lanes/routing.js'
import type { Target } from '../../../../src/destination/target.js'
import { Batch } from '../../../../src/source/batch.js'
import { type Place, StreamPosition } from '../../../../src/source/position.js'
import { Random } from '../../../chaos/random.js'
import { BatchBuilder, textTable } from '../../../support/rowBatches.js'

const a = textTable('a', ['id', 'n'], [0])
const both = textTable('both', ['x', 'y'], [0, 1])
const log = textTable('log', ['n'], [])
const TABLES = [a, both, log]
const TARGETS = TABLES.map((table) => ({ table, target: table.name, key: table.key }) as unknown as Target)
const ORIGIN = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }
const PER_TRANSACTION = 7

function placeOf(record: number, more: Partial<Place> = {}): StreamPosition {
  const last = (record + 1) % PER_TRANSACTION === 0
  const lsn = BigInt(Math.floor(record / PER_TRANSACTION)) * 100n
  return new StreamPosition(ORIGIN, {
    ...{ lsn, seq: record % PER_TRANSACTION, sub: 0, end: last ? lsn + 50n : undefined },
    ...{ fingerprint: record, snapshot: undefined },
    ...more,
  })
}

/** So many changes of few keys, each with its number as its last value. */
function changes(random: Random, count: number): Batch {
  const builder = new BatchBuilder(TABLES)
  for (let n = 0; n < count; n++) {
    const id = String(random.integer(0, 9))
    const drawn = random.integer(0, 4)
    if (drawn === 0) builder.create([String(n)], 2)
    else if (drawn === 1) builder.create([id, String(random.integer(0, 2))], 1)
    else if (drawn === 2) builder.delete([id, null])
    else builder.update([id, String(n)])
  }
  const placedAt = (index: number) => placeOf(index)
  return new Batch(builder.batch, placeOf(count - 1), () => {}, { placedAt })
}

const numbersOf = ({ rows, length }: Batch) =>
  Array.from(
    { length },
    (_, record) => `${rows.heads[record * 9]} ${rows.heads[record * 9 + 6]} ${rows.heads[record * 9 + 7]}`,
  )

test('whatever lanes had of a batch, and however it comes again, each record is written once', () => {
  const random = new Random(7)
  for (let round = 0; round < 60; round++) {
    const count = random.integer(20, 80)
    const all = changes(random, count)
    const from = random.integer(0, 10)
    const to = random.integer(from + 10, count)
    const first = all.part(from, to)
    const lanes = random.integer(2, 4)
    const facts = { standsAlone: true, writesOthers: false }
    const routed = routeBatch(first.rows, TARGETS, ({ key }) => ({ ...facts, standsAlone: key.length > 0 }), lanes)
    if (routed === undefined) continue
    const { routing, records } = routed
    const done = records.flatMap((_, lane) => (lane > 0 && random.chance(0.6) ? [lane] : []))
    const position = StreamPosition.parse(first.position)
    const marks: LaneMark[] = done.map((lane) => {
      return { lane, routing: JSON.parse(JSON.stringify(routing)), position: StreamPosition.parse(String(position)) }
    })
    const written = done.flatMap((lane) => numbersOf(first.pick(records[lane]!)))
    for (let at = from; at < count; ) {
      const next = random.integer(at + 1, count)
      const part = all.part(at, next)
      const rest = withoutApplied(part, StreamPosition.parse(part.position), marks)
      expect(String(rest.position)).toBe(String(part.position))
      written.push(...numbersOf(rest))
      // Once more, as after an error: nothing else is left out.
      expect(withoutApplied(rest, StreamPosition.parse(rest.position), marks).length).toBe(rest.length)
      at = next
    }
    expect(written.sort()).toEqual(numbersOf(all.part(from, count)).sort())
  }
})

const MARK: LaneMark = { lane: 1, position: placeOf(20), routing: { lanes: 2, tables: { 'public.a': ['id'] } } }
const rest = (batch: Batch, mark: LaneMark, end = StreamPosition.parse(batch.position)) =>
  withoutApplied(batch, end, [mark]).length

test('of another history, or another way of reading, all is written', () => {
  const batch = changes(new Random(1), 15)
  expect(rest(batch, MARK)).toBeLessThan(15)
  expect(rest(batch, MARK, new StreamPosition({ ...ORIGIN, epoch: 2 }, placeOf(14).place))).toBe(15)
  const polling = { count: 1 } as unknown as NonNullable<Place['polling']>
  expect(rest(batch, MARK, placeOf(14, { polling }))).toBe(15)
})

test('a row that is read once more is written, whichever lane its key is of', () => {
  const builder = new BatchBuilder(TABLES)
  for (let n = 0; n < 15; n++) builder.snapshot([String(n), null])
  const placedAt = (index: number) => placeOf(index)
  expect(rest(new Batch(builder.batch, placeOf(14), () => {}, { placedAt }), MARK)).toBe(15)
})

test('a transaction that comes with other rows is not parted by guess', () => {
  const batch = changes(new Random(1), 30)
  const changed = expect.objectContaining({ code: 'REDELIVERY_CHANGED' })
  // In the middle of a transaction: what was counted before it is not the same.
  const { place } = placeOf(16)
  const position = new StreamPosition(ORIGIN, { ...place, fingerprint: 99 })
  expect(() => rest(batch, { ...MARK, position })).toThrow(changed)
  // A key whose columns are not there.
  expect(() => rest(batch, { ...MARK, routing: { lanes: 2, tables: { 'public.a': ['gone'] } } })).toThrow(changed)
})
