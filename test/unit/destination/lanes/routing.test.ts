import { describe, expect, test } from 'vitest'
import { type LaneFacts, type Routed, routeBatch } from '../../../../src/destination/lanes/routing.js'
import type { Target } from '../../../../src/destination/target.js'
import { BatchBuilder, textTable } from '../../../support/rowBatches.js'

const a = textTable('a', ['id', 'n'], [0])
const both = textTable('two', ['y', 'x', 'n'], [1, 0])
const log = textTable('log', ['n'], [])

const ALONE: LaneFacts = { standsAlone: true, writesOthers: false }
const TIED: LaneFacts = { standsAlone: false, writesOthers: false }

function targetOf(table: typeof a, name = table.name): Target {
  return { table, target: name, key: table.key } as unknown as Target
}

function route(
  builder: BatchBuilder,
  { facts = ALONE, lanes = 3, targets = builder.batch.tables.map((table) => targetOf(table)) } = {},
): Routed | undefined {
  return routeBatch(builder.batch, targets, ({ key }) => (key.length === 0 ? TIED : facts), lanes)
}

/** Where rows with these ids come, by themselves. */
function laneOf(id: string, lanes = 3): number {
  const builder = new BatchBuilder([a])
  for (let n = 0; n < 100; n++) builder.create([`filling ${n}`, null])
  return route(builder.create([id, null]), { lanes })!.records.findIndex((of) => of.includes(100))
}

const ids = Array.from({ length: 30 }, (_, n) => String(n))
const [one, same] = [ids[0]!, ids.find((id) => id !== ids[0] && laneOf(id) === laneOf(ids[0]!))!]
const other = ids.find((id) => laneOf(id) !== laneOf(one))!

test('all records of a key come into one lane, in order; every lane has some; what has no key stays with the main one', () => {
  const builder = new BatchBuilder([a, log])
  for (let round = 0; round < 3; round++) {
    for (const id of ids) builder.update([id, String(round)])
    builder.create([String(round)], 1)
  }
  builder.delete(['5', null])
  const { records, routing } = route(builder)!
  expect(routing).toEqual({ lanes: 3, tables: { 'public.a': ['id'] } })
  expect([...records.flat()].sort((x, y) => x - y)).toEqual(Array.from({ length: 94 }, (_, n) => n))
  for (const of of records) expect(of).toEqual([...of].sort((x, y) => x - y))
  expect(records.every((of) => of.length > 15)).toBe(true)
  expect(records[0]).toEqual(expect.arrayContaining([30, 61, 92]))
  const lane = records.find((of) => of.includes(5))
  expect(lane).toEqual(expect.arrayContaining([5, 36, 67, 93]))
})

// By the same arithmetic in Python.
test('where a key comes is for ever: what lies in a target was written by it', () => {
  expect(ids.slice(0, 8).map((id) => laneOf(id, 5))).toEqual([0, 2, 2, 2, 1, 4, 3, 4])
  expect(['', 'é', 'a longer one than those'].map((id) => laneOf(id, 5))).toEqual([3, 3, 1])
})

test('columns of a key count in the order of their names, and do not run into each other', () => {
  const swapped = textTable('swapped', ['y', 'x', 'n'], [0, 1])
  const builder = new BatchBuilder([both, swapped])
  for (const id of ids) builder.create([id, `k${id}`, null], 0).create([id, `k${id}`, null], 1)
  const { records, routing } = route(builder, { targets: [targetOf(both), targetOf(swapped, 'two')] })!
  expect(routing.tables).toEqual({ 'public.two': ['x', 'y'], 'public.swapped': ['x', 'y'] })
  for (let n = 0; n < 2 * ids.length; n += 2) {
    expect(records.findIndex((of) => of.includes(n))).toBe(records.findIndex((of) => of.includes(n + 1)))
  }
})

test('a key that changes within its lane is parted; where one leaves it the table stays with the main lane', () => {
  const filled = () => ids.reduce((builder, id) => builder.create([id, null]), new BatchBuilder([a]))
  expect(route(filled().update([same, 'x'], [one, null]))).toBeDefined()
  expect(route(filled().update([other, 'x'], [one, null]))).toBeUndefined()
  const more = ids.reduce((builder, id) => builder.create([id, id, null], 1), new BatchBuilder([a, both]))
  const { records, routing } = route(more.create([one, null]).update([other, 'x'], [one, null]))!
  expect(routing.tables).toEqual({ 'public.two': ['x', 'y'] })
  expect(records[0]).toEqual(expect.arrayContaining([30, 31]))
  // The whole old row, and the key as it was.
  expect(route(filled().update([one, 'x'], [one, 'w'], 'row'))).toBeDefined()
  // A key that was not sent is the old one's.
  expect(route(filled().update([undefined, 'x'], [one, 'w'], 'row'))).toBeDefined()
})

describe('one piece', () => {
  const filled = (tables = [a, log]) =>
    ids.reduce((builder, id) => builder.create([id, null]), new BatchBuilder(tables))
  test.each<[string, () => Routed | undefined]>([
    ['rows of a snapshot', () => route(filled().snapshot(['x', null]))],
    ['a truncate', () => route(filled().truncate())],
    ['a key that was not told', () => route(filled().delete([null, null]))],
    ['a key that was not sent', () => route(filled().update([undefined, 'x']))],
    ['a table whose changes write others', () => route(filled(), { facts: { ...ALONE, writesOthers: true } })],
    ['nothing of a table that stands alone', () => route(filled(), { facts: TIED })],
    ['one lane', () => route(filled(), { lanes: 1 })],
    [
      'two tables of other keys in one target',
      () => {
        const builder = filled([a, both]).create(['1', '2', null], 1)
        return route(builder, { targets: [targetOf(a), targetOf(both, 'a')] })
      },
    ],
    [
      'two shapes of a table with other keys',
      () => {
        const later = textTable('a', ['n', 'id'], [0])
        return route(filled([a, later]).create(['1', '2'], 1), { targets: [targetOf(a), targetOf(later)] })
      },
    ],
  ])('%s', (_, routed) => expect(routed()).toBeUndefined())

  test('nor do messages and shapes that come between count', () => {
    const builder = filled()
    builder.batch.add(5, 0, 0, 0, 0, -1, -4, 0)
    expect(route(builder)!.records.flat()).toHaveLength(30)
  })
})
