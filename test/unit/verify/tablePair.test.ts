import { describe, expect, test } from 'vitest'
import { pairTables } from '../../../src/verify/tablePair.js'
import { keyedTable, primaryKey, tableFacts } from '../../support/tableFacts.js'

const names = (columns: readonly { readonly name: string }[]) => columns.map(({ name }) => name)

describe('the key', () => {
  const columns = ['id', 'a', 'b', 'c']
  const unique = (...of: string[]) => ({ name: of.join('_'), columns: of })

  test('is the primary key, a deferrable one too, else the shortest unique one', () => {
    const table = tableFacts({ columns, primaryKey: primaryKey(['b', 'a'], true), uniqueKeys: [unique('c')] })
    expect(names(pairTables(table, table).key)).toEqual(['b', 'a'])
    const without = tableFacts({ columns, uniqueKeys: [unique('a', 'b'), unique('c')] })
    expect(names(pairTables(without, without).key)).toEqual(['c'])
  })

  test('is the user’s where he names one, and none where there is none', () => {
    const table = keyedTable({ columns })
    expect(names(pairTables(table, table, { key: ['c', 'a'] }).key)).toEqual(['c', 'a'])
    expect(pairTables(tableFacts({ columns }), table).key).toEqual([])
  })
})

describe('the columns', () => {
  test('are paired by name, in the order of the source; the key is always among them', () => {
    const source = keyedTable({ columns: ['id', 'a', 'b'] })
    const target = keyedTable({ columns: ['b', 'more', 'a', 'id'] })
    const pair = pairTables(source, target)
    expect(names(pair.columns)).toEqual(['id', 'a', 'b'])
    expect(pair.notes).toEqual(['only the target has more', 'the columns stand in another order'])
    expect(names(pairTables(source, target, { columns: ['b'] }).columns)).toEqual(['id', 'b'])
    expect(names(pairTables(source, target, { columns: ['b'], key: ['a'] }).columns)).toEqual(['a', 'b'])
  })

  test('of the source must be in the target, unless they are generated or left out', () => {
    const source = keyedTable({ columns: ['id', 'a', 'b'] })
    const target = keyedTable({ columns: ['id', 'a'] })
    expect(() => pairTables(source, target)).toThrow(expect.objectContaining({ code: 'VERIFY_COLUMNS_MISSING' }))
    expect(pairTables(source, target, { columns: ['a'] }).notes).toEqual(['not compared: b'])
    const generated = {
      ...source,
      columns: source.columns.map((one) => (one.name === 'b' ? { ...one, generated: 'stored' as const } : one)),
    }
    expect(pairTables(generated, target).notes).toEqual(['not compared: b'])
    for (const wishes of [{ columns: ['b'] }, { key: ['b'] }]) {
      expect(() => pairTables(generated, target, wishes)).toThrow(
        expect.objectContaining({ code: 'VERIFY_COLUMNS_MISSING' }),
      )
    }
  })

  test('must be some', () => {
    const empty = tableFacts({ columns: [] })
    expect(() => pairTables(empty, empty)).toThrow(expect.objectContaining({ code: 'VERIFY_COLUMNS_NONE' }))
  })
})
