import { expect, test } from 'vitest'
import { packedLength, packRows, unpackRows } from '../../../src/core/packedRows.js'
import { type CopyLines, RowBatch } from '../../../src/core/rowBatch.js'
import { readCopyRow } from '../../../src/postgres/copy/row.js'
import { BatchBuilder, textTable } from '../../support/rowBatches.js'

const table = textTable('t', ['a', 'b'], [0])

test('a batch is the same again, over memory of its own, also where there is more of that than it takes', () => {
  const { batch } = new BatchBuilder([table])
    .create(['1', 'one'])
    .update(['1', undefined], ['1', null])
    .delete(['1', null])
  batch.snapshotId = 's'
  for (const more of [0, 100]) {
    const memory = new ArrayBuffer(packedLength(batch) + more)
    const packed = packRows(batch, memory)
    const again = unpackRows(packed, memory, [table], readCopyRow)
    expect(again.count).toBe(batch.count)
    expect([...again.heads]).toEqual([...batch.heads.subarray(0, again.heads.length)])
    expect([...again.tape.values]).toEqual([...batch.tape.values.subarray(0, batch.tape.length)])
    expect(again.buffers.map(String)).toEqual(batch.buffers.map(String))
    expect(again.views.map(({ byteLength }) => byteLength)).toEqual(batch.buffers.map(({ length }) => length))
    expect([again.tables, again.transactions, again.snapshotId]).toEqual([[table], batch.transactions, 's'])
    // What happens to the batch is no matter any more.
    expect([...again.buffers, again.heads, again.tape.values].every(({ buffer }) => buffer === memory)).toBe(true)
  }
})

test('rows that nobody has looked into are the same again, and nobody looks into them meanwhile', () => {
  const onRead = () => {
    throw new Error('looked into')
  }
  const linesOf = (...rows: readonly string[]): CopyLines => {
    const ends: number[] = []
    for (const row of rows) ends.push((ends.at(-1) ?? 0) + row.length)
    return {
      table: 0,
      bytes: Buffer.from(rows.join('')),
      ends: Int32Array.from(ends),
      columns: 2,
      read: readCopyRow,
      onRead,
    }
  }
  const made = () => RowBatch.ofLines([linesOf('1\ta\\tb\n', '22\t\\N\n'), linesOf('3\tc\n')], [table], 's', false)
  const batch = made()
  const memory = new ArrayBuffer(packedLength(batch) + 5)
  const again = unpackRows(packRows(batch, memory), memory, [table], readCopyRow)
  const rows = Array.from({ length: 3 }, (_, index) => {
    const { bytes, tape, at } = again.rowAt(index)
    return [tape[at]!, tape[at + 2]!].map((start, column) => {
      return start < 0 ? null : Buffer.from(bytes).toString('latin1', start, tape[at + 2 * column + 1]!)
    })
  })
  expect([again.count, again.bytes, again.snapshotId]).toEqual([batch.count, batch.bytes, 's'])
  expect(rows).toEqual([
    ['1', 'a\tb'],
    ['22', null],
    ['3', 'c'],
  ])
  expect([...again.heads.subarray(0, 3)]).toEqual([0, 0, 0])
})

test('rows in binary format are packed as they were sent, and for nobody who takes none', () => {
  const binary: CopyLines = {
    table: 0,
    bytes: Buffer.from('rows'),
    ends: Int32Array.of(4),
    columns: 2,
    read: readCopyRow,
    onRead: () => {},
    forms: [0, 0],
    toText: () => ({ bytes: Buffer.from('longer lines\t\n'), ends: Int32Array.of(14) }),
  }
  const batch = RowBatch.ofLines([binary], [table], 's', false)
  const memory = new ArrayBuffer(packedLength(batch))
  expect(() => packRows(batch, memory)).toThrow(/binary format/)
  const again = unpackRows(packRows(batch, memory, true), memory, [table], readCopyRow).linesAsSent!
  expect(again.map(({ bytes, forms }) => [String(bytes), forms])).toEqual([['rows', [0, 0]]])
})
