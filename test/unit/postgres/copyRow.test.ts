import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { viewOf } from '../../../src/core/byteWriter.js'
import { NULL_COLUMN, Tape } from '../../../src/core/tape.js'
import { readCopyRow } from '../../../src/postgres/copy/row.js'
import { copyText } from '../../support/copyText.js'

type Column = string | null

/** The row amid other bytes, behind another one on the tape. */
function read(row: string | Buffer, columns: number): Column[] {
  const bytes = Buffer.concat([Buffer.from('before\t\\N\n'), Buffer.from(row), Buffer.from('\tafter\\')])
  const start = 10
  const end = bytes.length - 7
  const tape = new Tape(1)
  tape.reserve(2)
  tape.values.set([77, 78])
  tape.length = 2
  readCopyRow(bytes, viewOf(bytes), start, end, columns, tape)
  expect(tape.length).toBe(2 + 2 * columns)
  expect([...tape.values.subarray(0, 2)]).toEqual([77, 78])
  expect(bytes.toString('latin1', 0, start)).toBe('before\t\\N\n')
  expect(bytes.toString('latin1', end)).toBe('\tafter\\')
  return Array.from({ length: columns }, (_, column) => {
    const from = tape.values[2 + 2 * column]!
    return from === NULL_COLUMN ? null : bytes.toString('utf8', from, tape.values[3 + 2 * column]!)
  })
}

/** Text full of what has a meaning in the format. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom('\\', '\t', '\n', '\r', '\b', '\v', '\f', 'N', 'n', 't', '.', '雪') }),
)
const row = fc.array(fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 4, arbitrary: text }), {
  minLength: 1,
  maxLength: 8,
})

describe('a row reads as what the server wrote', () => {
  test('whatever is in it', () => {
    fc.assert(
      fc.property(row, (columns) => {
        expect(read(copyText(columns), columns.length)).toEqual(columns)
      }),
      { numRuns: 1000 },
    )
  })

  test.each<[string, string, Column[]]>([
    ['NULL is not the text \\N', '\\N\t\\\\N\tN\n', [null, '\\N', 'N']],
    ['empty columns', '\t\t\n', ['', '', '']],
    ['one empty column', '\n', ['']],
    ['every escape', '\\b\\t\\n\\v\\f\\r\\\\\n', ['\b\t\n\v\f\r\\']],
    ['an escape at the end of each column', 'a\\t\tb\\n\tc\\\\\n', ['a\t', 'b\n', 'c\\']],
    ['NULL at the end', 'a\t\\N\n', ['a', null]],
    ['NULL alone', '\\N\n', [null]],
    ['a text that begins like NULL', '\\Nothing\n', ['Nothing']],
    ['a text that ends like NULL', 'x\\N\n', ['xN']],
    ['an escaped letter without meaning', '\\x\\"\n', ['x"']],
    ['the end-of-data mark is a value', '\\.\n', ['.']],
  ])('%s', (_, bytes, columns) => {
    expect(read(bytes, columns.length)).toEqual(columns)
  })

  test('of a table without columns', () => {
    expect(read('\n', 0)).toEqual([])
  })
})

describe('what is no such row stops', () => {
  const refused = (row: string, columns: number) =>
    expect(() => read(row, columns)).toThrow(
      expect.objectContaining({ code: 'MALFORMED_MESSAGE', message: expect.stringContaining('CopyData') }),
    )

  test.each<[string, string, number]>([
    ['nothing', '', 1],
    ['no newline', 'a\tb', 2],
    ['a column less', 'a\tb\n', 3],
    ['a column more', 'a\tb\n', 1],
    ['a column for a table that has none', 'a\n', 0],
    ['a NULL more', 'a\t\\N\n', 1],
    ['an escape more', 'a\t\\\\\n', 1],
    ['two rows', 'a\nb\n', 1],
    ['two rows, the first with an escape', 'a\\tb\nc\n', 1],
    ['half an escape', 'a\\\n', 1],
    ['half an escape behind a NULL', '\\N\t\\\n', 2],
  ])('%s', (_, row, columns) => refused(row, columns))

  test('a row cut anywhere, with the tape as it was', () => {
    fc.assert(
      fc.property(row, (columns) => {
        const bytes = Buffer.from(copyText(columns))
        for (let length = 0; length < bytes.length; length++) {
          const tape = new Tape()
          const cut = Buffer.concat([bytes.subarray(0, length), Buffer.from('\nx\t')])
          expect(() => readCopyRow(cut, viewOf(cut), 0, length, columns.length, tape)).toThrow(/CopyData/)
          expect(tape.length).toBe(0)
        }
      }),
      { numRuns: 100 },
    )
  })
})
