import fc from 'fast-check'
import { expect, test } from 'vitest'
import { codecFor } from '../../../src/codec/codecFor.js'
import { writeJsonString } from '../../../src/codec/json/text.js'
import { ByteWriter } from '../../../src/core/byteWriter.js'
import { builtin } from '../../support/codecTypes.js'

function jsonString(text: string, before = 0): string {
  const bytes = Buffer.concat([Buffer.alloc(before, '"'), Buffer.from(text), Buffer.from('"')])
  const writer = new ByteWriter(16)
  writeJsonString(writer, bytes, before, bytes.length - 1)
  return writer.toBuffer().toString()
}

test('every character below U+0300 is escaped as the server does', () => {
  for (let code = 1; code < 0x300; code++) {
    const character = String.fromCharCode(code)
    expect(jsonString(`a${character}b`)).toBe(JSON.stringify(`a${character}b`)) // \u and lower case, as escape_json
  }
  expect(jsonString('/<>&\u007f\u2028\u2029\ufeff')).toBe('"/<>&\u007f\u2028\u2029\ufeff"')
  expect(jsonString('\u0001\u001f')).toBe('"\\u0001\\u001f"')
})

test('letters of four bytes are copied', () => {
  expect(jsonString('😀 \u{10ffff}')).toBe('"😀 \u{10ffff}"')
})

test('bytes that are no UTF-8 pass as they are', () => {
  const writer = new ByteWriter(16)
  writeJsonString(writer, Buffer.from([0xf0, 0x9f, 0xff, 0x80]), 0, 4)
  expect([...writer.toBuffer()]).toStrictEqual([0x22, 0xf0, 0x9f, 0xff, 0x80, 0x22])
})

test('one escape at every place of every length up to 300 is found', () => {
  for (let length = 1; length <= 300; length++) {
    const at = (length * 7) % length
    for (const place of [0, at, length - 1, length >> 1]) {
      const text = `${'x'.repeat(place)}"${'y'.repeat(length - place - 1)}`
      expect(jsonString(text, length % 9)).toBe(JSON.stringify(text))
    }
  }
})

test('any text is what JSON.stringify makes of it', () => {
  const character = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('a', 'b', ' ', 'é', '語', '😀') },
    { weight: 1, arbitrary: fc.constantFrom('"', '\\', '\n', '\t', '\u0001', '\u001f', '\u007f') },
  )
  fc.assert(
    fc.property(fc.string({ unit: character, maxLength: 400, size: 'max' }), fc.nat(16), (text, before) => {
      expect(jsonString(text, before)).toBe(JSON.stringify(text))
    }),
  )
})

test('a long text goes by blocks and comes out the same, with escapes anywhere', () => {
  const block = 32 * 1024
  for (const length of [2 * block - 1, 2 * block, 2 * block + 1, 5 * block, 5 * block + 7]) {
    for (const places of [[], [0], [length - 1], [block - 1, block], [3 * block - 1], [1, 2, 3, 2 * block + 50]]) {
      const text = Buffer.alloc(length, 'x')
      for (const place of places) if (place < length) text[place] = place % 2 === 0 ? 0x22 : 0x0a
      expect(jsonString(text.toString(), 3) === JSON.stringify(text.toString())).toBe(true)
    }
  }
})

test('a long value is attached, not copied, and not reserved six times over', () => {
  const bytes = Buffer.alloc(10 * 1024 * 1024, 'a')
  bytes[5_000_000] = 0x0a
  for (const name of ['text', 'json', 'jsonb', 'bytea', 'numeric', 'uuid'] as const) {
    const writer = new ByteWriter(1024)
    codecFor(builtin(name)).writeJson(writer, bytes, 0, bytes.length)
    expect(writer.bytes.length, name).toBeLessThan(1024 * 1024)
    expect(writer.size, name).toBeGreaterThanOrEqual(bytes.length)
    const shared = writer.take().filter((part) => part.buffer === bytes.buffer)
    expect(Buffer.concat(shared).length, name).toBeGreaterThan(9 * 1024 * 1024)
  }
})

test('writes behind what the writer holds already', () => {
  const writer = new ByteWriter(4)
  for (let i = 0; i < 100; i++) writeJsonString(writer, Buffer.from(`a"${i}`), 0, 3)
  expect(writer.toBuffer().toString()).toBe(Array.from({ length: 100 }, (_, i) => `"a\\"${String(i)[0]}"`).join(''))
})
