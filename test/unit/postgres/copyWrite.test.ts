import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteWriter, viewOf } from '../../../src/core/byteWriter.js'
import { NULL_COLUMN, Tape } from '../../../src/core/tape.js'
import { readCopyRow } from '../../../src/postgres/copy/row.js'
import { writeCopyEnd, writeCopyTab, writeCopyValue } from '../../../src/postgres/copy/write.js'

const value = fc.oneof(
  fc.constant(null),
  fc.string({ unit: fc.constantFrom('\\', '\t', '\n', '\r', 'N', '.', 'a', '\b', 'ü'), maxLength: 80 }),
  fc.string({ unit: 'binary' }),
)

test('what is written reads as what it was', () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 6 }), (values) => {
      const writer = new ByteWriter(16)
      for (const [i, one] of values.entries()) {
        if (i > 0) writeCopyTab(writer)
        const bytes = Buffer.from(one ?? '')
        writeCopyValue(writer, bytes, viewOf(bytes), one === null ? NULL_COLUMN : 0, bytes.length)
      }
      writeCopyEnd(writer)
      const bytes = writer.toBuffer()
      const tape = new Tape()
      readCopyRow(bytes, viewOf(bytes), 0, bytes.length, values.length, tape)
      const read = values.map((_, i) => {
        const start = tape.values[2 * i]!
        return start === NULL_COLUMN ? null : bytes.toString('utf8', start, tape.values[2 * i + 1])
      })
      expect(read).toEqual(values.map((one) => (one === null ? null : Buffer.from(one).toString())))
    }),
  )
})

test('as the server has it', () => {
  const writer = new ByteWriter()
  const bytes = Buffer.from('a\tb\nc\rd\\e\bf\\.')
  writeCopyValue(writer, bytes, viewOf(bytes), 0, bytes.length)
  expect(writer.toBuffer().toString()).toBe('a\\tb\\nc\\rd\\\\e\bf\\\\.')
})
