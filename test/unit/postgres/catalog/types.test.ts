import { expect, test } from 'vitest'
import { buildTypes } from '../../../../src/postgres/catalog/types.js'
import type { TypeRow } from '../../../../src/postgres/catalog/typesSql.js'

const row = (oid: string, facts: Partial<TypeRow>): [number, TypeRow] => [
  Number(oid),
  {
    oid,
    schema: 'public',
    name: `t${oid}`,
    typtype: 'b',
    base: '0',
    element: null,
    delimiter: null,
    fields: null,
    json_cast: null,
    is_hstore: false,
    ...facts,
  },
]

test('OIDs from 2^31 on are unsigned', () => {
  const types = buildTypes(
    new Map([
      row('4294967295', { typtype: 'd', base: '3000000000' }),
      row('3000000000', { element: '2147483648', delimiter: ';' }),
      row('2147483648', { typtype: 'e' }),
    ]),
  )
  expect(types.get(4294967295)).toBe(types.get(3000000000))
  expect(types.get(3000000000)).toMatchObject({ kind: 'array', oid: 3000000000, delimiter: 0x3b, vector: false })
})

test('a part without a row of its own is opaque', () => {
  const types = buildTypes(new Map([row('16400', { typtype: 'c', fields: '[["a","16401"],["__proto__","23"]]' })]))
  expect(types.get(16400)).toMatchObject({
    kind: 'composite',
    fields: [
      { name: 'a', type: { kind: 'scalar', oid: 16401, variety: 'unknown' } },
      { name: '__proto__', type: { kind: 'scalar', oid: 23 } },
    ],
  })
})

test('a cycle, which Postgres does not have, ends', () => {
  const types = buildTypes(new Map([row('16400', { typtype: 'd', base: '16401' }), row('16401', { element: '16400' })]))
  expect(types.get(16401)?.kind).toBe('array')
})

test('types nested a thousand levels deep are built', () => {
  const rows = Array.from({ length: 1000 }, (_, i) =>
    row(String(20_000 + i), { typtype: 'c', fields: `[["a","${i === 0 ? 23 : 19_999 + i}"]]` }),
  )
  expect(buildTypes(new Map(rows.reverse())).get(20_999)?.kind).toBe('composite')
})
