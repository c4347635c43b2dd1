import { describe, expect, test } from 'vitest'
import { copySql, lockSql, type UnitQuery } from '../../../src/source/snapshot/query.js'
import { planUnits, type SnapshotUnit } from '../../../src/source/snapshot/units.js'
import { keyedTable, leaf } from '../../support/tableFacts.js'

const MIB = 1024 * 1024
const PAGES_OF_64_MIB = 8192

function plan(sizes: Record<string, number>, workers: number): SnapshotUnit[] {
  const tables = Object.keys(sizes).map((name) => keyedTable({ name }))
  const bytesOf = (oid: number) => sizes[tables.find((table) => table.oid === oid)!.name]!
  return planUnits(tables, bytesOf, workers)
}

describe('units', () => {
  test('the largest relation comes first', () => {
    const units = plan({ small: MIB, empty: 0, large: 50 * MIB, middle: 2 * MIB }, 2)
    expect(units.map(({ relation }) => relation.name)).toEqual(['large', 'middle', 'small', 'empty'])
  })

  test('one worker reads a relation in one piece', () => {
    expect(plan({ large: 4096 * MIB }, 1)).toMatchObject([{ fromPage: 0, toPage: undefined }])
  })

  test('a relation of no more than a range is one piece', () => {
    expect(plan({ t: 64 * MIB }, 4)).toMatchObject([{ fromPage: 0, toPage: undefined }])
  })

  test.each([
    [64 * MIB + 1, 2],
    [128 * MIB, 2],
    [1000 * MIB, 3],
    [5000 * MIB + 77, 8],
    [100_000 * MIB, 2],
  ])('the ranges of %d bytes for %d workers join without gap or overlap, the last one open', (bytes, workers) => {
    const units = plan({ t: bytes }, workers)
    const pages = Math.ceil(bytes / 8192)
    expect(units[0]!.fromPage).toBe(0)
    for (const [index, unit] of units.entries()) {
      expect(unit.toPage).toBe(units[index + 1]?.fromPage)
      expect(unit.fromPage).toBeLessThan(pages)
      if (unit.toPage !== undefined) expect(unit.toPage - unit.fromPage).toBeGreaterThanOrEqual(PAGES_OF_64_MIB)
    }
    expect(units.length).toBeGreaterThan(1)
    expect(units.length).toBeLessThanOrEqual(4 * workers)
  })

  test('of a partitioned table each leaf is read', () => {
    const root = keyedTable({ name: 'root', kind: 'partitioned', partitions: [leaf('a'), leaf('b')] })
    const [b, a] = planUnits([root], (oid) => (oid === root.partitions[1]!.oid ? 9000 : 10), 2)
    expect([b!.relation.name, a!.relation.name]).toEqual(['b', 'a'])
    expect([b!.table, a!.table]).toEqual([root, root])
  })
})

describe('SQL', () => {
  const query: UnitQuery = {
    columns: ['id', 'Total'],
    read: new Set(['id', 'Total']),
    withPlace: false,
    rowFilter: undefined,
  }
  const table = keyedTable({ schema: 'Odd "one"', name: 'a.b' })
  const whole = { table, relation: table, fromPage: 0, toPage: undefined }
  const name = '"Odd ""one"""."a.b"'

  test.each<[string, Partial<SnapshotUnit>, Partial<UnitQuery>, string]>([
    ['a whole table', {}, {}, `SELECT id, "Total" FROM ONLY ${name}`],
    ['the first pages', { toPage: 5 }, {}, `SELECT id, "Total" FROM ONLY ${name} WHERE ctid < '(5,0)'::tid`],
    [
      'pages in the middle',
      { fromPage: 5, toPage: 9 },
      {},
      `SELECT id, "Total" FROM ONLY ${name} WHERE ctid >= '(5,0)'::tid AND ctid < '(9,0)'::tid`,
    ],
    [
      'some columns, the others at their places',
      {},
      { read: new Set(['Total']) },
      `SELECT NULL, "Total" FROM ONLY ${name}`,
    ],
    ['with the place of a row', {}, { withPlace: true }, `SELECT id, "Total", ctid::text FROM ONLY ${name}`],
    [
      'with a row filter',
      { fromPage: 5 },
      { rowFilter: 'a OR b' },
      `SELECT id, "Total" FROM ONLY ${name} WHERE ctid >= '(5,0)'::tid AND (a OR b)`,
    ],
    ['no columns at all', {}, { columns: [] }, `SELECT  FROM ONLY ${name}`],
  ])('%s', (_, unit, wanted, sql) => {
    expect(copySql({ ...whole, ...unit }, { ...query, ...wanted })).toBe(`COPY (${sql}) TO STDOUT`)
  })

  test('a leaf is read by itself, and tells which one it is', () => {
    const root = keyedTable({ name: 'root', kind: 'partitioned', partitions: [leaf('a')] })
    const unit = { ...whole, table: root, relation: root.partitions[0]! }
    expect(copySql(unit, { ...query, withPlace: true })).toBe(
      'COPY (SELECT id, "Total", tableoid::text || ctid::text FROM ONLY public.a) TO STDOUT',
    )
  })

  test('a lock takes the partitions, and not the children by inheritance', () => {
    const root = keyedTable({ name: 'root', kind: 'partitioned', partitions: [leaf('a')] })
    expect(lockSql([table, root])).toBe(`LOCK TABLE ONLY ${name}, public.root IN ACCESS SHARE MODE`)
  })
})
