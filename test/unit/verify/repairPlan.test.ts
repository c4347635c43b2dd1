import { expect, test } from 'vitest'
import { isWritable, planRepair } from '../../../src/verify/repairPlan.js'
import type { FoundRow, SeenRow } from '../../../src/verify/rowReader.js'
import { pairTables } from '../../../src/verify/tablePair.js'
import { keyedTable } from '../../support/tableFacts.js'

const table = keyedTable({ columns: ['id', 'a', 'b'] })
const pair = pairTables(table, table)
const seen = (...values: string[]): SeenRow => ({ state: `hash of ${values}`, rows: 1, values })

test('only rows that still show what they showed are touched, and of them only the columns that differ', () => {
  const found: FoundRow[] = [
    { id: '1', source: seen('1', 'x', 'y'), target: undefined },
    { id: '2', source: undefined, target: seen('2', 'x', 'y') },
    { id: '3', source: seen('3', 'x', 'y'), target: seen('3', 'x', 'z') },
    { id: 'now equal', source: seen('4', 'x', 'y'), target: undefined },
    { id: 'source moved', source: seen('5', 'x', 'y'), target: seen('5', 'x', 'z') },
    { id: 'target moved', source: seen('6', 'x', 'y'), target: undefined },
  ]
  const source = new Map([
    ['1', seen('1', 'x', 'y')],
    ['3', seen('3', 'x', 'y')],
    ['now equal', seen('4', 'x', 'y')],
    ['source moved', seen('5', 'x', 'later')],
    ['target moved', seen('6', 'x', 'y')],
  ])
  const target = new Map([
    ['2', seen('2', 'x', 'y')],
    ['3', seen('3', 'x', 'z')],
    ['now equal', seen('4', 'x', 'y')],
    ['source moved', seen('5', 'x', 'z')],
    ['target moved', seen('6', 'other', 'z')],
  ])
  const plan = planRepair(pair, found, source, target)
  expect({
    ...plan,
    updates: plan.updates.map(({ id, columns }) => [id, columns.map((one) => [one.column.name, one.value])]),
  }).toEqual({
    inserts: [{ id: '1', values: ['1', 'x', 'y'] }],
    deletes: ['2'],
    updates: [['3', [['b', 'y']]]],
    wanted: new Map([
      ['1', 'hash of 1,x,y'],
      ['2', ''],
      ['3', 'hash of 3,x,y'],
    ]),
    equal: 1,
    left: 2,
  })
})

test('a generated column of the target is never written', () => {
  const generated = {
    ...table,
    columns: table.columns.map((column) => ({
      ...column,
      generated: column.name === 'b' ? ('stored' as const) : undefined,
    })),
  }
  expect(
    pairTables(table, generated)
      .columns.filter(isWritable)
      .map(({ name }) => name),
  ).toEqual(['id', 'a'])
})
