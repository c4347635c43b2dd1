import { expect, test } from 'vitest'
import type { Leaf } from '../../../src/postgres/catalog/partitionTrees.js'
import type { Queryable } from '../../../src/postgres/queryable.js'
import {
  horizonsIn,
  type KnownTree,
  newAbove,
  recall,
  treeChanges,
  treesMark,
} from '../../../src/source/partitionChanges.js'
import { whereOf, withBounds } from '../../../src/source/partitionProbe.js'

const ROOT = 10

function leaf(oid: number, more: Partial<Leaf> = {}): Leaf {
  const line = [`${ROOT}:${oid}:${oid + 500}`]
  return { oid, schema: 'public', name: `p${oid}`, line, file: String(oid), isNew: false, touched: false, ...more }
}
const known = (leaves: readonly Leaf[], more: Partial<KnownTree> = {}): KnownTree => ({
  horizon: 1000n,
  next: 1001n,
  leaves,
  lost: false,
  ...more,
})
const oids = (leaves: readonly { readonly oid: number }[]) => leaves.map(({ oid }) => oid)

test('leaves that join, go, move, and have another file are told apart', () => {
  const moved = leaf(3, { line: [`${ROOT}:3:900`], file: '77' })
  const changes = treeChanges(known([leaf(1), leaf(2), leaf(3), leaf(4)]), [
    leaf(1),
    moved,
    leaf(4, { file: '9' }),
    leaf(5),
  ])
  expect(oids(changes.joined)).toEqual([3, 5])
  expect(oids(changes.gone)).toEqual([2, 3])
  expect(oids(changes.refiled)).toEqual([4])
})

test('what is new above a leaf: itself, and partitioned tables between', () => {
  const deep = leaf(7, { line: [`${ROOT}:6:900`, '6:7:901'] })
  expect(newAbove(deep, known([leaf(1)]))).toEqual([6, 7])
  expect(newAbove(deep, known([leaf(8, { line: [`${ROOT}:6:900`, '6:8:899'] })]))).toEqual([7])
})

test('a mark recalls what was known: what is new since, gone, and truncated', () => {
  const mark = treesMark(new Map([[ROOT, known([leaf(1), leaf(2)])]]))
  expect(horizonsIn(mark)).toEqual(new Map([[ROOT, 1000n]]))
  const fresh = leaf(3, { isNew: true })
  expect(recall(mark, ROOT, [leaf(1), leaf(2), fresh])).toMatchObject({ horizon: 1000n, lost: false })
  expect(oids(treeChanges(recall(mark, ROOT, [leaf(2), leaf(1), fresh])!, [leaf(1), leaf(2), fresh]).joined)).toEqual([
    3,
  ])
  expect(recall(mark, ROOT, [leaf(1)])).toMatchObject({ lost: true })
  const now = [leaf(1, { touched: true }), leaf(2, { file: '99', touched: true })]
  expect(oids(treeChanges(recall(mark, ROOT, now)!, now).refiled)).toEqual([1, 2])
  expect(recall(mark, 11, [])).toBeUndefined()
  expect(recall(undefined, ROOT, [])).toBeUndefined()
  expect(recall('not a mark', ROOT, [])).toBeUndefined()
})

test('a leaf that was known, by a transaction not older than the horizon, counts as new for whoever recalls it', () => {
  const young = leaf(3, { line: [`${ROOT}:3:1004`] })
  const mark = treesMark(new Map([[ROOT, known([leaf(1), young], { next: 1005n })]]))
  expect(recall(mark, ROOT, [leaf(1), { ...young, isNew: true }])).toMatchObject({ lost: false })
})

test('xids that wrapped around are older than the horizon', () => {
  const horizon = (7n << 32n) + 5n
  const old = leaf(1, { line: [`${ROOT}:1:4000000000`] })
  const young = leaf(2, { line: [`${ROOT}:2:6`] })
  const tree = known([old, young], { horizon, next: horizon + 3n })
  const mark = treesMark(new Map([[ROOT, tree]]))
  expect(recall(mark, ROOT, [old, { ...young, isNew: true }])).toMatchObject({ lost: false, leaves: [old] })
})

test('that some are gone is not forgotten before it was told', () => {
  const mark = treesMark(new Map([[ROOT, known([leaf(1)], { lost: true })]]))
  expect(recall(mark, ROOT, [leaf(1)])).toMatchObject({ lost: true })
})

test('the rows of attached partitions are found by their bounds of the moment, as long as these are few', async () => {
  const rows = "tableoid = ANY ('{1,2}'::pg_catalog.oid[])"
  expect(whereOf([{ oid: 1 }, { oid: 2 }])).toBe(rows)
  const bounds = new Map([
    [1, 'a = 1'],
    [2, 'a = 2'],
  ])
  const server = { query: async (_: string, [oid]: unknown[] = []) => [{ bound: bounds.get(oid as number) ?? null }] }
  const by = (where: string | undefined) => withBounds(server as unknown as Queryable, where)
  expect(await by(rows)).toBe(`${rows} AND ((a = 1) OR (a = 2))`)
  for (const where of ['n > 5', `(${rows}\n) OR (n > 5\n)`, undefined]) expect(await by(where)).toBe(where)
  const many = whereOf(Array.from({ length: 9 }, () => ({ oid: 1 })))
  expect(await by(many)).toBe(many)
  bounds.delete(2)
  expect(await by(rows)).toBe(rows)
})
