import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RowBatch } from '../../../src/core/rowBatch.js'
import { ROW_HEAD } from '../../../src/postgres/binary/row.js'
import { FrameReader, frame } from '../../../src/postgres/frames.js'
import { RowCollector } from '../../../src/source/snapshot/rowCollector.js'
import { textTable } from '../../support/rowBatches.js'

const table = textTable('t', ['id', 'note'], [0])
const HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
const TRAILER = Buffer.from([0xff, 0xff])

function value(text: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(Buffer.byteLength(text))
  return Buffer.concat([length, Buffer.from(text)])
}

function rowOf(id: string, note: string | null): Buffer {
  const end = note === null ? Buffer.from([0xff, 0xff, 0xff, 0xff]) : value(note)
  return Buffer.concat([Buffer.from([0, 2]), value(id), end])
}

/** What a server sends of these rows, but for what stands before the first and behind the last of them. */
function sentOf(rows: readonly Buffer[]): Buffer {
  const payloads = rows.map((row, index) => (index === 0 ? Buffer.concat([HEADER, row]) : row))
  return Buffer.concat([...payloads, TRAILER].map((payload) => frame('d', payload)))
}

/** Batches of the rows, which come in chunks of these lengths, in turn; a batch ends behind so many bytes. */
function collected(bytes: Buffer, chunks: readonly number[], batchBytes: number, inBulk: boolean): RowBatch[] {
  const collector = new RowCollector(table, 2, 's', undefined, [0, 0])
  const batches: RowBatch[] = []
  const reader = new FrameReader(
    (_, chunk, start, end) => collector.collect(chunk, start, end),
    inBulk ? (chunk, p) => collector.takeRows(chunk, p) : undefined,
  )
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const to = at + chunks[i % chunks.length]!
    reader.push(Buffer.from(bytes.subarray(at, to)))
    at = to
    if (collector.bytes >= batchBytes) batches.push(collector.take())
  }
  expect(reader.atBorder).toBe(true)
  if (collector.count > 0) batches.push(collector.take())
  return batches
}

/** Each row as the server sent it. */
function rowsOf(batches: readonly RowBatch[]): string[] {
  return batches.flatMap((batch) => {
    const rows = batch.linesAsSent!.flatMap(({ bytes, ends }) =>
      Array.from(ends, (end, i) => Buffer.from(bytes.subarray((ends[i - 1] ?? 0) + ROW_HEAD, end)).toString('hex')),
    )
    expect(rows).toHaveLength(batch.count)
    return rows
  })
}

const drawnRow = fc.oneof(
  { weight: 60, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 2, arbitrary: fc.integer({ min: 32_700, max: 32_790 }) },
  { weight: 1, arbitrary: fc.constant(100_000) },
)

test('rows in binary format are taken in bulk as they are one by one, however they come', () => {
  fc.assert(
    fc.property(
      fc.array(drawnRow, { minLength: 1, maxLength: 60 }),
      fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 200_000 }),
      (lengths, chunks, batchBytes) => {
        const rows = lengths.map((length, i) => rowOf(String(i), length === 0 ? null : 'x'.repeat(length)))
        const bytes = sentOf(rows)
        const batches = collected(bytes, chunks, batchBytes, true)
        expect(rowsOf(batches)).toEqual(rows.map((row) => row.toString('hex')))
        const single = collected(bytes, chunks, batchBytes, false)
        expect(batches.map(({ count, bytes }) => [count, bytes])).toEqual(
          single.map(({ count, bytes }) => [count, bytes]),
        )
      },
    ),
  )
})

test('more rows than there was room for, and more memory than one part has', () => {
  const rows = Array.from({ length: 20_000 }, (_, i) => rowOf(String(i), 'y'.repeat(i % 40)))
  const bytes = sentOf(rows)
  for (const chunk of [bytes.length, 65_536, 1021]) {
    const batches = collected(bytes, [chunk], Number.POSITIVE_INFINITY, true)
    expect(batches).toHaveLength(1)
    expect(batches[0]!.linesAsSent!.length).toBeGreaterThan(1)
    expect(rowsOf(batches)).toEqual(rows.map((row) => row.toString('hex')))
  }
})

test('texts of some columns of a row', () => {
  const long = 'ä\n\\'.repeat(5000)
  const [batch] = collected(
    sentOf([rowOf('1', null), rowOf('2\t', 'n'), rowOf('3', long)]),
    [7],
    Number.POSITIVE_INFINITY,
    true,
  )
  expect(batch!.textsAt(0, [1, 0])).toEqual([undefined, '1'])
  expect(batch!.textsAt(1, [0])).toEqual(['2\t'])
  expect(batch!.textsAt(2, [0, 1])).toEqual(['3', long])
  expect(batch!.linesAsSent![0]!.forms).toEqual([0, 0])
  expect(batch!.tape.length).toBe(12)
  expect(batch!.textsAt(0, [1, 0])).toEqual([undefined, '1'])
  expect(batch!.textsAt(2, [0, 1])).toEqual(['3', long])
})
