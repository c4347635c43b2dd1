import { expect, test } from 'vitest'
import { codecFor } from '../../../src/codec/codecFor.js'
import { NO_FALLBACK, RowLayout } from '../../../src/codec/json/row.js'
import { ByteWriter, viewOf } from '../../../src/core/byteWriter.js'
import { Table } from '../../../src/core/table.js'
import { type BuiltinName, builtin } from '../../support/codecTypes.js'
import { textTable } from '../../support/rowBatches.js'

const TIMES = [
  '2020-01-01 00:00:00',
  '2020-01-01 00:00:00.5',
  '0044-03-15 00:00:00.123456 BC',
  '10000-01-01 00:00:00',
  '-infinity',
]
const ZONED = [
  ...['2020-01-01 00:00:00+00', '2020-01-01 00:00:00.123456-11', '10000-01-01 00:00:00+00'],
  ...['2020-01-01 05:30:00.1+05:30', '1800-01-01 00:00:00-00:01:15', '0044-03-15 00:00:00+00 BC', 'infinity'],
]

/** Every length around where a value is no short one any more, with what needs an escape at both ends and in the middle. */
const TEXTS = Array.from({ length: 140 }, (_, length) => 'ü2345678'.repeat(20).slice(0, length)).flatMap((text) => {
  const half = text.length >> 1
  return [text, `"${text}`, `${text}\n`, `${text.slice(0, half)}\\${text.slice(half)}`, `${text}\u0001"`]
})

/** As `writeJson` of the value's codec writes it, which tests compare with the server's. */
function alone(name: BuiltinName, text: string): string {
  const writer = new ByteWriter(0)
  codecFor(builtin(name)).writeJson(writer, Buffer.from(text), 0, Buffer.byteLength(text))
  return writer.toBuffer().toString()
}

function inRow(values: readonly (readonly [BuiltinName, string])[]): string {
  const names = values.map((_, i) => `c${'x'.repeat(i % 7)}${i}`)
  const codecs = values.map(([name]) => codecFor(builtin(name)))
  const table = new Table({ ...textTable('t', names, [0]), codecs })
  const bytes = Buffer.from(values.map(([, text]) => text).join(''))
  const tape = new Int32Array(2 * values.length)
  let end = 0
  for (const [i, [, text]] of values.entries()) {
    tape[2 * i] = end
    end += Buffer.byteLength(text)
    tape[2 * i + 1] = end
  }
  const writer = new ByteWriter(0)
  const columns = values.map((_, i) => i)
  new RowLayout(table, columns).write(writer, bytes, viewOf(bytes), tape, 0, NO_FALLBACK)
  return writer.toBuffer().toString()
}

test('a value in a row is the same as alone, short or not, whatever stands before and behind it', () => {
  const values = [
    ...TEXTS.map((text) => ['text', text] as const),
    ...TIMES.map((text) => ['timestamp', text] as const),
    ...ZONED.map((text) => ['timestamptz', text] as const),
    ...['t', 'f'].map((text) => ['bool', text] as const),
    ...['1', '-0.5', 'NaN', 'Infinity', '1'.repeat(130)].map((text) => ['numeric', text] as const),
    ...[`{"a": "${'x'.repeat(130)}"}`, '[]'].map((text) => ['jsonb', text] as const),
    ...['2020-01-01', '4713-01-01 BC'].map((text) => ['date', text] as const),
  ]
  // Each as the only one, the last one, and the first one: nothing is written past its room, or over its neighbour.
  for (const [name, text] of values) {
    const json = alone(name, text)
    expect(inRow([[name, text]])).toBe(`{"c0":${json}}`)
    expect(
      inRow([
        ['int4', '7'],
        [name, text],
        ['bool', 'f'],
      ]),
    ).toBe(`{"c0":7,"cx1":${json},"cxx2":false}`)
  }
  const all = values.map(([name, text], i) => `"c${'x'.repeat(i % 7)}${i}":${alone(name, text)}`)
  expect(inRow(values)).toBe(`{${all.join(',')}}`)
})
