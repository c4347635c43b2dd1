import { expect, test } from 'vitest'
import { joinRows } from '../../../src/core/joinedRows.js'
import { HEAD, HEAD_BUFFER, HEAD_NEW, HEAD_TABLE, RowBatch } from '../../../src/core/rowBatch.js'
import { keyTextOf } from '../../../src/source/scan/keyText.js'
import { RowCollector, RowUse } from '../../../src/source/snapshot/rowCollector.js'
import { textTable } from '../../support/rowBatches.js'

const a = textTable('a', ['id', 'note'], [0])
const b = textTable('b', ['id', 'note'], [0])
// What stands behind each is as long again, so that a row that is read in place would show.
const LINES = [
  '1\tx\\ny\n',
  '2\t\\N\n',
  '3\t\\\\N\\t\n',
  `4\t${'long '.repeat(200)}\\n\n`,
  `5\t${'z'.repeat(40_000)}\\t\n`,
]

function collected(table = a, lines: readonly string[] = LINES): RowBatch {
  const collector = new RowCollector(table, 2, 's')
  for (const line of lines) collector.collect(Buffer.from(`d....${line}`), 5, 5 + Buffer.byteLength(line))
  return collector.take()
}

function textOf(rows: RowBatch): string {
  return rows.lines!.map(({ bytes }) => Buffer.from(bytes).toString()).join('')
}

/** Each record as its table and values. */
function valuesOf(rows: RowBatch): unknown[] {
  return Array.from({ length: rows.count }, (_, index) => {
    const head = index * HEAD
    const bytes = rows.buffers[rows.heads[head + HEAD_BUFFER]!]!
    const at = rows.heads[head + HEAD_NEW]!
    const value = (column: number) => {
      const [start, end] = rows.tape.values.subarray(at + 2 * column)
      return start! < 0 ? null : Buffer.from(bytes.subarray(start, end)).toString()
    }
    return [rows.tables[rows.heads[head + HEAD_TABLE]!]!.name, value(0), value(1)]
  })
}

const VALUES = [
  ['1', 'x\ny'],
  ['2', null],
  ['3', '\\N\t'],
  ['4', `${'long '.repeat(200)}\n`],
  ['5', `${'z'.repeat(40_000)}\t`],
]

test('rows are lines until somebody looks into them', () => {
  const rows = collected()
  expect(rows.count).toBe(LINES.length)
  expect(rows.bytes).toBe(Buffer.byteLength(LINES.join('')))
  expect(textOf(rows)).toBe(LINES.join(''))
  expect(valuesOf(rows)).toEqual(VALUES.map((row) => ['a', ...row]))
  expect(rows.lines).toBeUndefined()
})

test('whoever looks into rows leaves the lines alone that another has taken to send them', () => {
  const rows = collected()
  const joined = joinRows([rows, collected(b)])
  const before = textOf(joined)
  const sent = joined.lines!
  expect(valuesOf(rows)).toEqual(VALUES.map((row) => ['a', ...row]))
  expect(valuesOf(joined)).toEqual([...VALUES.map((row) => ['a', ...row]), ...VALUES.map((row) => ['b', ...row])])
  expect(sent.map(({ bytes }) => Buffer.from(bytes).toString()).join('')).toBe(before)
})

test('lines of several batches and tables are joined as lines, those of a batch that was looked into are not', () => {
  const joined = joinRows([
    collected(a, ['1\tx\n']),
    new RowBatch(),
    collected(b, ['2\ty\n']),
    collected(a, ['3\tz\n']),
  ])
  expect(joined.lines!.map(({ table }) => joined.tables[table]!.name)).toEqual(['a', 'b', 'a'])
  expect(joined.snapshotId).toBe('s')
  const looked = collected(a, ['1\tx\n'])
  expect(looked.heads.length).toBeGreaterThan(0)
  const mixed = joinRows([looked, collected(b, ['2\t\\\\\n'])])
  expect(mixed.lines).toBeUndefined()
  expect(valuesOf(mixed)).toEqual([
    ['a', '1', 'x'],
    ['b', '2', '\\'],
  ])
})

test('the key of one row is read alone', () => {
  const rows = collected(a, ['1\ta\n', 'x\\\\y\tb\n'])
  expect(keyTextOf(rows, 1, [0])).toEqual(['x\\y'])
  expect(textOf(rows)).toBe('1\ta\nx\\\\y\tb\n')
})

test('a line that is none is an error at once, one of too many columns whenever somebody looks into it', () => {
  const collector = new RowCollector(a, 2, 's')
  expect(() => collector.collect(Buffer.from('1\tx'), 0, 3)).toThrow(
    expect.objectContaining({ code: 'MALFORMED_MESSAGE' }),
  )
  const rows = collected(a, ['1\\\\\tx\n', '2\tx\ty\n'])
  for (let i = 0; i < 2; i++) {
    expect(() => rows.heads).toThrow(expect.objectContaining({ code: 'MALFORMED_MESSAGE' }))
    expect(rows.count).toBe(2)
  }
})

test('where a consumer looks into rows those that follow are read where they came; a small batch does not tell', () => {
  const use = new RowUse()
  const next = (lines: readonly string[]) => {
    const collector = new RowCollector(a, 2, 's', use)
    for (const line of lines) collector.collect(Buffer.from(line), 0, Buffer.byteLength(line))
    return collector.take()
  }
  expect(valuesOf(next(LINES))).toHaveLength(LINES.length)
  const large = next([...LINES, ...Array.from({ length: 40 }, () => `6\t${'y'.repeat(2000)}\n`)])
  expect(large.lines).toBeDefined()
  expect(valuesOf(large)).toHaveLength(LINES.length + 40)
  const later = next(LINES)
  expect(later.lines).toBeUndefined()
  expect(valuesOf(later)).toEqual(VALUES.map((row) => ['a', ...row]))
  expect([later.count, later.snapshotId]).toEqual([LINES.length, 's'])
})
