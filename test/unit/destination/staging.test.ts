import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fold } from '../../../src/destination/fold.js'
import { stageFold, stageLines, stageRecords } from '../../../src/destination/staging.js'
import type { Target } from '../../../src/destination/target.js'
import { RowCollector } from '../../../src/source/snapshot/rowCollector.js'
import { BatchBuilder, textTable } from '../../support/rowBatches.js'

const table = textTable('t', ['id', 'n', 'big'], [0])
const target = { table, target: 't', key: [0], written: [0, 1, 2], byBytes: true, replaces: false } as unknown as Target

function staged(builder: BatchBuilder, of: Partial<Target> = {}, overwrites = false) {
  const one = { ...target, ...of }
  const fold = new Fold(builder.batch, one)
  for (let record = 0; record < builder.batch.count; record++) fold.add(record)
  const { rows, updates, gaps, keys, ...counts } = stageFold(fold, one, overwrites)
  return {
    rows: `${rows.toBuffer()}`,
    updates: `${updates.toBuffer()}`,
    gaps: `${gaps.toBuffer()}`,
    keys: `${keys.toBuffer()}`,
    ...counts,
  }
}

test('rows, keys that are gone, and rows that lack values, as the staging tables have them', () => {
  const builder = new BatchBuilder([table])
    .create(['1', 'a\tb', null])
    .update(['2', 'x', undefined])
    .update(['4', 'y', undefined], ['3', null, null])
    .update(['1', 'c', undefined])
  expect(staged(builder)).toEqual({
    rows: '1\tc\t\\N\n',
    updates: '',
    gaps: 'f\t{2}\t2\t2\tx\t\\N\nt\t{2}\t3\t4\ty\t\\N\n',
    keys: '3\n',
    ...{ wholeRows: 1, overwrittenRows: 0, goneKeys: 1, movedRows: 1, updatedRows: 1 },
  })
})

test('rows that should be there, apart from new ones', () => {
  const builder = new BatchBuilder([table])
    .update(['1', 'a', 'x'])
    .create(['2', 'a', 'x'])
    .update(['2', 'b', 'x'])
    .delete(['3', null, null])
    .create(['3', 'c', 'x'])
    .update(['5', 'd', 'x'], ['4', null, null])
    .snapshot(['6', 'e', 'x'])
  expect(staged(builder, {}, true)).toMatchObject({
    rows: '2\tb\tx\n5\td\tx\n6\te\tx\n',
    updates: '1\ta\tx\n3\tc\tx\n',
    keys: '4\n',
    ...{ wholeRows: 3, overwrittenRows: 2 },
  })
})

// A key 1.0 that was moved away and back: the delete of 1.00 takes the row at the target away before it is updated.
test.each<[string, Partial<Target>]>([
  ['the bytes do not tell keys apart', { byBytes: false }],
  ['an UPDATE cannot set all columns', { replaces: true }],
])('a row that lacks values is written anew where %s', (_, of) => {
  const builder = new BatchBuilder([table])
    .update(['1.00', 'x', undefined], ['1.0', null, null])
    .update(['1.0', 'y', undefined], ['1.00', null, null])
  expect(staged(builder)).toMatchObject({ updatedRows: 1, movedRows: 0 })
  expect(staged(builder, of)).toMatchObject({ gaps: 't\t{2}\t1.0\t1.0\ty\t\\N\n', updatedRows: 0, movedRows: 1 })
})

test('new rows as they stand; a value that was not sent is no NULL', () => {
  const builder = new BatchBuilder([table]).snapshot(['1', null, 'x']).create(['2', 'y', undefined])
  expect(`${stageRecords(builder.batch, [0], target).toBuffer()}`).toBe('1\t\\N\tx\n')
  expect(() => stageRecords(builder.batch, [1], target)).toThrow(expect.objectContaining({ code: 'ROW_INCOMPLETE' }))
})

test('lines of COPY are handed on as they were sent, whatever is in them, and without where the row lay', () => {
  const value = fc.option(
    fc.string({ unit: fc.constantFrom('a', 'ü', '\t', '\n', '\r', '\\', 'N', ' '), maxLength: 6 }),
    {
      nil: null,
    },
  )
  const escaped = (one: string | null) =>
    one === null
      ? '\\N'
      : one.replace(/[\\\t\n\r]/g, (byte) => `\\${{ '\\': '\\', '\t': 't', '\n': 'n', '\r': 'r' }[byte]}`)
  fc.assert(
    fc.property(fc.array(fc.tuple(value, value, value)), fc.boolean(), (rows, hasPlace) => {
      const lines = rows.map((row) => row.map(escaped).join('\t'))
      const collector = new RowCollector(table, hasPlace ? 4 : 3, 's')
      for (const line of lines) {
        const bytes = Buffer.from(`d....${line}${hasPlace ? '\t(0,1)' : ''}\nd....`)
        collector.collect(bytes, 5, bytes.length - 5)
      }
      const all = rows.map((_, index) => index)
      const wanted = lines.map((line) => `${line}\n`).join('')
      const batch = collector.take()
      expect(Buffer.concat(stageLines(batch.lines!, target)).toString()).toBe(wanted)
      const staged = stageRecords(batch, all, target).toBuffer().toString()
      expect(staged).toBe(wanted)
    }),
  )
})
