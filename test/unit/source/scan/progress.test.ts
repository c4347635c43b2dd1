import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EVERY_KEY } from '../../../../src/source/scan/overtaken.js'
import { mayHaveMore, parseProgress, progressToJson, unreadTable } from '../../../../src/source/scan/progress.js'
import { PASSED } from '../../../../src/source/scan/stretches.js'

const key = fc.array(fc.string(), { minLength: 1, maxLength: 3 })
const reading = fc.record(
  {
    snapshot: fc.constantFrom('100:110:100,105', 'replayed:1/10'),
    until: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    exact: fc.constant(true as const),
  },
  { requiredKeys: ['snapshot', 'until'] },
)
const stretch = fc.record({
  to: fc.option(key, { nil: undefined }),
  read: fc.oneof(fc.constant(undefined), fc.constant(PASSED), reading),
})
const table = fc.record({
  oid: fc.nat(),
  id: fc.string(),
  schema: fc.string(),
  name: fc.string(),
  key: fc.array(fc.string(), { maxLength: 3 }),
  stretches: fc.array(stretch, { minLength: 1, maxLength: 4 }),
  again: fc.boolean(),
  more: fc.option(fc.constant(true as const), { nil: undefined }),
  where: fc.option(fc.string(), { nil: undefined }),
  begun: fc.boolean(),
  overtaken: fc.oneof(
    fc.constant(EVERY_KEY),
    fc.array(fc.record({ key, until: reading.map(({ until }) => until) }), { maxLength: 2 }),
  ),
  apart: fc.array(fc.record({ key, read: reading, found: fc.boolean() }, { requiredKeys: ['key', 'read'] }), {
    maxLength: 2,
  }),
  next: fc.option(
    fc.record({ id: fc.string(), key: fc.array(fc.string()), where: fc.option(fc.string(), { nil: undefined }) }),
    { nil: undefined },
  ),
})
const unproved = fc.record({
  xid: fc.nat(),
  commitLsn: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  tables: fc.array(fc.nat(), { maxLength: 3 }),
})

test('whatever a position says of a snapshot is read again', () => {
  const progress = fc.record({
    id: fc.string(),
    rows: fc.nat(),
    tables: fc.array(table, { maxLength: 3 }),
    unproved: fc.array(unproved, { minLength: 1, maxLength: 3 }),
  })
  fc.assert(
    fc.property(progress, (one) => {
      expect(parseProgress(JSON.parse(JSON.stringify(progressToJson(one))))).toEqual(one)
    }),
  )
})

test('of rows that no position tells of a consumer hears by their key, and of none where they have no key', () => {
  const of = (key: string[]) => unreadTable({ oid: 1, id: '0/1', schema: 'public', name: 't', key })
  expect(mayHaveMore(of(['id']), true)).toMatchObject({ again: false, more: true })
  // What the first run read by then is all that the consumer has of it; what a later one read is not.
  const read = { snapshot: '100:100:', until: 0x1000n }
  const stretches = [{ to: ['5'], read }, ...of(['id']).stretches]
  const half = mayHaveMore({ ...of(['id']), stretches, apart: [{ key: ['2'], read, found: true }] }, true)
  expect(half.stretches).toEqual([
    { to: ['5'], read: { ...read, exact: true } },
    { to: undefined, read: undefined },
  ])
  expect(half.apart).toEqual([{ key: ['2'], read: { ...read, exact: true }, found: true }])
  expect(mayHaveMore({ ...of(['id']), stretches, more: true }, true).stretches).toEqual(stretches)
  // Read whole, by no index: what becomes of a key is not seen.
  expect(mayHaveMore(of([]), true)).toMatchObject({ again: true })
  expect(mayHaveMore(of([]), false)).toEqual(of([]))
})

test('one that cannot be gone on with has no tables', () => {
  expect(parseProgress(JSON.parse(JSON.stringify(progressToJson({ id: '', rows: 3 }))))).toEqual({ id: '', rows: 3 })
})

test.each([
  null,
  'x',
  {},
  { id: 1, rows: 0 },
  { id: '', rows: 0.5 },
  { id: '', rows: 0, tables: [{}] },
  { id: '', rows: 0, tables: [{ ...unreadTable({ oid: 1, id: '', schema: '', name: '', key: [] }), stretches: [] }] },
  {
    id: '',
    rows: 0,
    tables: [{ oid: 1, id: '', schema: '', name: '', key: [], stretches: [{ snapshot: '1:1:', until: 'x' }] }],
  },
  { id: '', rows: 0, unproved: [[1, '0/1']] },
])('%j is refused', (stored) => {
  expect(() => parseProgress(stored)).toThrow(/snapshot/)
})
