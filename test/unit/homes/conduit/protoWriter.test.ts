import { describe, expect, test } from 'vitest'
import { ProtoWriter } from '../../../../src/homes/conduit/source/protoWriter.js'

describe('a message that was taken', () => {
  test('stays as it is whatever is written next, until its memory is given back', () => {
    const writer = new ProtoWriter()
    const take = (byte: number) => {
      writer.write(Buffer.alloc(20_000, byte))
      return writer.take()
    }
    const [one, two] = [take(1), take(2)]
    expect(one.equals(Buffer.alloc(20_000, 1))).toBe(true)
    writer.reuse(one)
    const three = take(3)
    const four = take(4)
    expect(two.equals(Buffer.alloc(20_000, 2))).toBe(true)
    expect(three.equals(Buffer.alloc(20_000, 3))).toBe(true)
    expect(four.buffer === one.buffer || three.buffer === one.buffer).toBe(true)
  })

  test('is not kept for the next when it was a rare large one', () => {
    const writer = new ProtoWriter()
    writer.write(Buffer.alloc(3_000_000))
    const large = writer.take()
    writer.reuse(large)
    for (let i = 0; i < 3; i++) {
      writer.byte(i)
      expect(writer.take().buffer).not.toBe(large.buffer)
    }
  })
})

test.each([
  ...[0, 1, 9, 10, 11, 99, 100, 12_345, 999_999_999, 1_000_000_000, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1],
  ...[-1, -9, -10, -99, -100, -(2 ** 31) + 1, -(2 ** 31), -(2 ** 40)],
])('%s is written in its digits', (value) => {
  const writer = new ProtoWriter()
  writer.writeDigits(value)
  expect(writer.copy().toString()).toBe(String(value))
})
