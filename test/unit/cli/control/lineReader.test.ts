import { expect, test } from 'vitest'
import { LineReader } from '../../../../src/cli/control/lineReader.js'

/** The lines of `bytes`, given in pieces of `size`. */
function lines(bytes: Uint8Array, size: number, maxBytes?: number): string[] {
  const reader = new LineReader(maxBytes)
  const found: string[] = []
  for (let p = 0; p < bytes.length; p += size) found.push(...reader.push(bytes.subarray(p, p + size)))
  return found
}

const TEXT = Buffer.from('{"a":1}\n\n{"b":"Bücher 📚"}\nnot yet')

test('lines come whole, however they are cut on the way', () => {
  for (let size = 1; size <= TEXT.length; size++) {
    expect(lines(TEXT, size)).toEqual(['{"a":1}', '', '{"b":"Bücher 📚"}'])
  }
})

test('a line that is too long is refused, also one that never ends', () => {
  expect(lines(Buffer.from('12345678\n'), 3, 8)).toEqual(['12345678'])
  expect(() => lines(Buffer.from('123456789\n'), 3, 8)).toThrow('a line is longer than 8 bytes')
  expect(() => lines(Buffer.alloc(9, 'x'), 1, 8)).toThrow('a line is longer than 8 bytes')
})

test('what came before a line that is too long is not lost', () => {
  const reader = new LineReader(8)
  const pushed = reader.push(Buffer.from('first\n123456789'))
  expect(pushed.next().value).toBe('first')
  expect(() => pushed.next()).toThrow('longer')
})

test('what is not UTF-8 is refused, not replaced', () => {
  expect(() => lines(Buffer.from([0x61, 0xff, 0x0a]), 1)).toThrow('a line is not UTF-8')
})
