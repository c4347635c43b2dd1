import fc from 'fast-check'
import { expect, test } from 'vitest'
import { viewOf } from '../../../src/core/byteWriter.js'
import { Tape } from '../../../src/core/tape.js'
import { float4Text, float8Text } from '../../../src/postgres/binary/floatText.js'
import { BINARY_BYTEA, BINARY_TEXT } from '../../../src/postgres/binary/forms.js'
import { BinaryRows, ROW_HEAD } from '../../../src/postgres/binary/row.js'
import { readCopyRow } from '../../../src/postgres/copy/row.js'

test('the text of a float8 is the shortest that leads back to it, ties even', () => {
  // Of 18 digits, the last a 5: two texts of 17 are as near.
  expect(float8Text(1 + 2 ** -17)).toBe('1.0000076293945312')
  expect(float8Text(1 + 3 * 2 ** -17)).toBe('1.0000228881835938')
  expect(float8Text(2 ** 52 + 0)).toBe('4.503599627370496e+15')
  expect(float8Text(123456.75)).toBe('123456.75')
  expect(float8Text(-0.0001)).toBe('-0.0001')
  expect(float8Text(0.00001)).toBe('1e-05')
  fc.assert(
    fc.property(fc.double({ noNaN: true }), (value) => {
      expect(Number(float8Text(value))).toBe(value)
    }),
  )
})

test('the text of a float4 leads back to it', () => {
  expect(float4Text(Math.fround(0.1))).toBe('0.1')
  expect(float4Text(Math.fround(16_777_216))).toBe('1.6777216e+07')
})

test('long values become lines in memory that is not much more than theirs', () => {
  const rows = new BinaryRows([BINARY_TEXT, BINARY_BYTEA, BINARY_TEXT])
  const text = Buffer.from('a\tb\\\n'.repeat(40_000))
  const bytea = Buffer.from(Array.from({ length: 5_000_000 }, (_, i) => (i * 7) & 255))
  const value = (bytes: Buffer) => {
    const length = Buffer.alloc(4)
    length.writeInt32BE(bytes.length)
    return Buffer.concat([length, bytes])
  }
  const row = Buffer.concat([
    Buffer.alloc(ROW_HEAD),
    Buffer.from([0, 3]),
    value(text),
    value(bytea),
    value(Buffer.from('end')),
  ])
  const lines = rows.toLines({ bytes: row, ends: Int32Array.of(row.length) }, 0, 1, new Tape())
  const line = Buffer.from(lines.bytes)
  expect(lines.ends).toEqual(Int32Array.of(line.length))
  expect(lines.bytes.buffer.byteLength).toBeLessThan(line.length + 4096)
  const tape = new Tape()
  readCopyRow(line, viewOf(line), 0, line.length, 3, tape)
  const read = (column: number) => line.subarray(tape.values[2 * column]!, tape.values[2 * column + 1]!)
  expect(read(0).equals(text)).toBe(true)
  expect(read(1).toString('latin1') === `\\x${bytea.toString('hex')}`).toBe(true)
  expect(read(2).toString()).toBe('end')
})
