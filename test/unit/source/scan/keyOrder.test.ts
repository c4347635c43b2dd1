import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { KeyColumn } from '../../../../src/postgres/catalog/keyColumns.js'
import type { Queryable } from '../../../../src/postgres/queryable.js'
import { KeyOrder, keyId } from '../../../../src/source/scan/keyOrder.js'
import type { Stretch } from '../../../../src/source/scan/stretches.js'

const column = (typeOid: number, byBytes = false): KeyColumn => {
  return { name: 'c', typeOid, typeName: 'type', collate: '', byBytes, operators: 'pg_catalog' }
}
const [INT8, TEXT, UUID, NUMERIC] = [20, 25, 2950, 1700]

const stretchesTo = (...bounds: (readonly string[])[]): Stretch[] => [
  ...bounds.map((to) => ({ to, read: undefined })),
  { to: undefined, read: undefined },
]

/** As a plain look through all bounds says. */
function requireRanks<T>(
  types: KeyColumn[],
  value: fc.Arbitrary<T>,
  text: (value: T) => string[],
  less: (a: T, b: T) => boolean,
) {
  fc.assert(
    fc.property(value, fc.array(value, { maxLength: 20 }), (key, others) => {
      const bounds = others.sort((a, b) => (less(a, b) ? -1 : less(b, a) ? 1 : 0))
      const expected = bounds.filter((bound) => less(bound, key)).length
      expect(new KeyOrder(types).rank(text(key), stretchesTo(...bounds.map(text)))).toBe(expected)
    }),
  )
}

test('whole numbers of all sizes stand in their order', () => {
  const limits = { min: -(2n ** 63n), max: 2n ** 63n - 1n }
  const value = fc.oneof(fc.bigInt(limits), fc.bigInt({ min: -20n, max: 20n }))
  requireRanks(
    [column(INT8)],
    value,
    (one) => [String(one)],
    (a, b) => a < b,
  )
})

test('texts stand in the order of their bytes where the server has that', () => {
  const less = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0
  const value = fc.string({ unit: 'grapheme', maxLength: 3 })
  requireRanks([column(TEXT, true)], value, (one) => [one], less)
  // Where UTF-16 has another order than UTF-8.
  expect(new KeyOrder([column(TEXT, true)]).rank(['\u{1F600}'], stretchesTo(['\uFFFD']))).toBe(1)
})

test('uuids, and keys of several columns', () => {
  requireRanks(
    [column(UUID)],
    fc.uuid(),
    (one) => [one],
    (a, b) => a < b,
  )
  const pair = fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: 8, max: 12 }))
  requireRanks(
    [column(INT8), column(INT8)],
    pair,
    ([a, b]) => [String(a), String(b)],
    (a, b) => (a[0] === b[0] ? a[1] < b[1] : a[0] < b[0]),
  )
})

test('of others the server is asked, once for each as long as the stretches are the same', async () => {
  const order = new KeyOrder([column(NUMERIC)])
  const stretches = stretchesTo(['1.5'], ['7'])
  expect(order.isKnown).toBe(false)
  expect(order.rank(['NaN'], stretchesTo())).toBe(0)
  expect(order.rank(['3'], stretches)).toBeUndefined()
  const asked: unknown[] = []
  const server = {
    query: async (_: string, values: unknown[]) => {
      asked.push(values)
      return [{ rank: 1 }, { rank: 2 }]
    },
  }
  await order.ask(server as unknown as Queryable, [['3'], ['NaN']], stretches)
  expect(asked).toEqual([
    [
      ['3', 'NaN'],
      ['1.5', '7'],
    ],
  ])
  expect([order.rank(['3'], stretches), order.rank(['NaN'], stretches)]).toEqual([1, 2])
  expect(order.rank(['3'], [...stretches])).toBeUndefined()
})

test('keys of several columns do not run into each other', () => {
  expect(keyId(['a', 'bc'])).not.toBe(keyId(['ab', 'c']))
})
