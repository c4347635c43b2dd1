import { expect, test } from 'vitest'
import { COLUMN_NOT_FOUND, TABLE_PATTERN_INVALID } from '../../../src/core/errors.js'
import { parseColumnSelection, resolveColumns } from '../../../src/postgres/columnSelection.js'
import { tableFacts } from '../../support/tableFacts.js'

test.each([
  ['orders:id,total', ['public', 'orders'], ['id', 'total']],
  ['sales.orders : id , "Total, net"', ['sales', 'orders'], ['id', 'Total, net']],
  ['"a:b":"c:d"', ['public', 'a:b'], ['c:d']],
  ['orders:a.b', ['public', 'orders'], ['a.b']],
])('%s', (text, table, columns) => {
  const selection = parseColumnSelection(text)
  expect([selection.table.schema.text, selection.table.name.text]).toEqual(table)
  expect(selection.columns.map((column) => column.text)).toEqual(columns)
})

test.each([
  ['orders', 7],
  ['orders:', 8],
  ['orders:id,', 11],
  ['orders:a:b', 9],
  ['orders,x:id', 7],
  [':id', 1],
  ['inv_*:id', 1],
  ['orders:*', 8],
])('%s is refused at character %i', (text, position) => {
  try {
    parseColumnSelection(text)
    expect.unreachable()
  } catch (error) {
    if (!TABLE_PATTERN_INVALID.is(error)) throw error
    expect(error.details.position).toBe(position)
  }
})

test('columns are found like tables: exactly, else in lower case; each once, in the order written', () => {
  const table = tableFacts({ columns: ['id', 'Total', 'total'] })
  const resolve = (text: string) => resolveColumns(parseColumnSelection(text), table)
  expect(resolve('orders:Total,ID,id')).toEqual(['Total', 'id'])
  expect(resolve('orders:TOTAL')).toEqual(['total'])
})

test('an unknown column is answered with the nearest one', () => {
  const table = tableFacts({ columns: ['id', 'Customer'] })
  try {
    resolveColumns(parseColumnSelection('orders:custmer'), table)
    expect.unreachable()
  } catch (error) {
    if (!COLUMN_NOT_FOUND.is(error)) throw error
    expect(error.message).toBe('table public.orders has no column "custmer"')
    expect(error.hint).toBe('Did you mean "Customer"?')
  }
})
