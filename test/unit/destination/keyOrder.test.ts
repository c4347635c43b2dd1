import { expect, test } from 'vitest'
import { Table } from '../../../src/core/table.js'
import { Fold } from '../../../src/destination/fold.js'
import { inKeyOrder } from '../../../src/destination/keyOrder.js'
import { BatchBuilder, textTable } from '../../support/rowBatches.js'

function ordered(table: Table, rows: readonly (readonly string[])[]): string[] {
  const builder = new BatchBuilder([table])
  for (const row of rows) builder.create(row)
  const written = table.columns.map((_, index) => index)
  const fold = new Fold(builder.batch, { table, target: 't', key: table.key, written })
  for (let record = 0; record < builder.batch.count; record++) fold.add(record)
  return inKeyOrder(fold).map(({ id }) => String(id))
}

test('numbers are in the order of numbers, each key once', () => {
  const text = textTable('t', ['id', 'n'], [0])
  const table = new Table({ ...text, columns: text.columns.map((column) => ({ ...column, typeOid: 20 })) })
  const rows = ['10', '9', '-3', '100', '9', '9007199254740993', '2'].map((id) => [id, 'x'])
  expect(ordered(table, rows)).toEqual(['-3', '2', '9', '10', '100', '9007199254740993'])
  expect(ordered(table, rows.slice(0, 4))).toEqual(['-3', '9', '10', '100'])
})

test('other keys are in the order of their bytes', () => {
  const rows = [
    ['b', '2'],
    ['a', '9'],
    ['b', '10'],
  ]
  expect(ordered(textTable('t', ['k', 'n'], [0, 1]), rows)).toEqual(['a\x009', 'b\x0010', 'b\x002'])
})

test('of keys that are no numbers, as of a payload in JSON, none is lost and none is there twice', () => {
  const text = textTable('t', ['id', 'n'], [0])
  const table = new Table({ ...text, columns: text.columns.map((column) => ({ ...column, typeOid: 23 })) })
  for (const ids of [
    ['1', '1.5'],
    ['abc', '2', '1'],
  ]) {
    const found = ordered(
      table,
      ids.map((id) => [id, 'x']),
    )
    expect(found.sort()).toEqual(ids.sort())
  }
})
