import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HEAD, HEAD_BUFFER, HEAD_NEW, HEAD_OLD } from '../../../src/core/rowBatch.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../../src/core/tape.js'
import { NO_VALUE, TextBatch, UNSENT } from '../../../src/destination/textBatch.js'
import { textTable } from '../../support/rowBatches.js'

const TABLE = textTable('t', ['a', 'b', 'c'], [0])

/** The columns of a tuple: texts, null, undefined where it is unchanged. */
function tuple({ rows }: TextBatch, row: number, at: number): (string | null | undefined)[] {
  const bytes = rows.buffers[rows.heads[row * HEAD + HEAD_BUFFER]!]!
  return TABLE.columns.map((_, column) => {
    const start = rows.tape.values[at + 2 * column]!
    if (start < 0) return start === UNCHANGED_COLUMN ? undefined : null
    return Buffer.from(bytes).toString('utf8', start, rows.tape.values[at + 2 * column + 1])
  })
}

const newOf = (batch: TextBatch, row: number) => tuple(batch, row, batch.rows.heads[row * HEAD + HEAD_NEW]!)
const oldOf = (batch: TextBatch, row: number) => tuple(batch, row, batch.rows.heads[row * HEAD + HEAD_OLD]! >> 2)

test('rows are those that were given, however long, in whatever form', () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }).filter((one) => !one.includes('\0')),
    fc.integer({ min: 0, max: 400_000 }).map((length) => 'é'.repeat(length)),
    fc.constant(null),
  )
  const given = fc.oneof(text, fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
  fc.assert(
    fc.property(fc.array(fc.tuple(given, given, given), { maxLength: 12 }), (rows) => {
      const batch = new TextBatch()
      for (const [i, row] of rows.entries()) {
        for (const value of row) {
          if (value === null) batch.none()
          else if (typeof value !== 'string') batch.integer(value)
          else if (i % 2 === 0) batch.text(value)
          else {
            const source = Buffer.from(`\0${value}\0`)
            batch.bytes(source, 1, source.length - 1)
          }
        }
        batch.add('create', TABLE, [2, 0, 1])
      }
      for (const [i, [a, b, c]] of rows.entries()) {
        expect(newOf(batch, i)).toEqual([c, a, b].map((value) => (value === null ? null : String(value))))
      }
    }),
    { numRuns: 60 },
  )
})

test('columns that were not sent, NULLs, old keys, and texts that are of no row', () => {
  const batch = new TextBatch()
  batch.text('dropped')
  batch.drop()
  for (const text of ['k', 'v', 'old']) batch.text(text)
  expect([batch.given, batch.isSame(0, 2), batch.isSame(1, 1), batch.isNull(0), batch.textOf(2)]).toEqual([
    3,
    false,
    true,
    false,
    'old',
  ])
  batch.add('update', TABLE, [0, UNSENT, NO_VALUE], [2, NO_VALUE, NO_VALUE])
  batch.text('gone')
  batch.delete(TABLE, [0, NO_VALUE, NO_VALUE])
  expect(newOf(batch, 0)).toEqual(['k', undefined, null])
  expect(oldOf(batch, 0)).toEqual(['old', null, null])
  expect(oldOf(batch, 1)).toEqual(['gone', null, null])
  expect(batch.rows.heads[HEAD + HEAD_NEW]).toBe(NULL_COLUMN)
})

test.each(['a\0', `${'x'.repeat(100)}\0`])('a NUL is refused, and leaves the batch as it was', (text) => {
  const batch = new TextBatch()
  expect(() => batch.text(text)).toThrow('NUL')
  const bytes = Buffer.from(text)
  expect(() => batch.bytes(bytes, 0, bytes.length)).toThrow('NUL')
  batch.drop()
  batch.text('fine')
  batch.add('create', TABLE, [0, NO_VALUE, NO_VALUE])
  expect(newOf(batch, 0)).toEqual(['fine', null, null])
})
