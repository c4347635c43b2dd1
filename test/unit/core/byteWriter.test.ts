import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteWriter, viewOf } from '../../../src/core/byteWriter.js'

type Step =
  | { readonly do: 'write' | 'attach'; readonly bytes: Uint8Array }
  | { readonly do: 'ascii'; readonly text: string }
  | { readonly do: 'byHand'; readonly count: number }
  | { readonly do: 'take' }

const bytes = fc.uint8Array({ maxLength: 200 })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constantFrom('write' as const, 'attach' as const), bytes }),
    fc.record({ do: fc.constant('ascii' as const), text: fc.string({ unit: 'binary-ascii', maxLength: 50 }) }),
    fc.record({ do: fc.constant('byHand' as const), count: fc.nat(300) }),
    fc.record({ do: fc.constant('take' as const) }),
  ),
)

/** As hot code does: room asked once, then bytes and words, then the length. */
function byHand(writer: ByteWriter, count: number): Uint8Array {
  const written = Uint8Array.from({ length: count }, (_, index) => index & 0xff)
  writer.reserve(count)
  for (let i = 0; i < count; i++) {
    if (i % 2 === 0) writer.bytes[writer.length + i] = written[i]!
    else writer.view.setUint8(writer.length + i, written[i]!)
  }
  writer.length += count
  return written
}

test('what was written comes out in order, whatever way it was written and however often the buffer grew', () => {
  fc.assert(
    fc.property(fc.nat(300), fc.array(steps, { maxLength: 3 }), (capacity, runs) => {
      const writer = new ByteWriter(capacity)
      for (const run of runs) {
        const expected: Uint8Array[] = []
        for (const step of run) {
          if (step.do === 'take') writer.take()
          else if (step.do === 'byHand') expected.push(byHand(writer, step.count))
          else if (step.do === 'ascii') {
            writer.writeAscii(step.text)
            expected.push(Buffer.from(step.text, 'latin1'))
          } else {
            writer[step.do](step.bytes)
            expected.push(step.bytes)
          }
        }
        const whole = Buffer.concat(expected)
        expect(writer.size).toBe(whole.length)
        expect(Buffer.concat(writer.take())).toEqual(whole)
        expect(writer.toBuffer()).toEqual(whole)
        writer.clear()
        expect([writer.size, writer.take()]).toEqual([0, []])
      }
    }),
  )
})

describe('what is attached', () => {
  test('is not copied', () => {
    const writer = new ByteWriter()
    const long = Buffer.alloc(100_000, 1)
    writer.writeAscii('a')
    writer.attach(long)
    writer.writeAscii('b')
    const parts = writer.take()
    expect(parts).toHaveLength(3)
    expect(parts[1]).toBe(long)
    expect(writer.bytes.length).toBe(64 * 1024)
  })

  test('leaves what was written before as it was when the buffer grows', () => {
    const writer = new ByteWriter(4)
    writer.writeAscii('abc')
    writer.attach(Buffer.from('-'))
    writer.writeAscii('x'.repeat(1000))
    expect(writer.toBuffer().toString()).toBe(`abc-${'x'.repeat(1000)}`)
  })
})

test('many megabytes become parts, none of which is moved again', () => {
  const writer = new ByteWriter()
  const block = Buffer.alloc(100_000, 'x')
  for (let i = 0; i < 200; i++) writer.write(block)
  const parts = writer.take()
  expect(parts.map(({ length }) => length).every((length) => length <= 4 * 1024 * 1024)).toBe(true)
  expect(Buffer.concat(parts).equals(Buffer.alloc(20_000_000, 'x'))).toBe(true)
  expect(writer.size).toBe(20_000_000)
})

describe('clearing', () => {
  test('keeps the buffer, so that a usual row allocates nothing', () => {
    const writer = new ByteWriter(8)
    writer.write(Buffer.alloc(5000))
    const { bytes } = writer
    writer.clear()
    expect(writer.bytes).toBe(bytes)
  })

  test('gives back one that a rare long value has blown up', () => {
    const writer = new ByteWriter(8)
    writer.write(Buffer.alloc(9 * 1024 * 1024))
    writer.clear()
    expect(writer.bytes.length).toBe(64 * 1024)
    byHand(writer, 10)
    expect(writer.toBuffer()).toHaveLength(10)
  })
})

test('a view is of the bytes themselves, where they lie', () => {
  const bytes = Buffer.from([1, 2, 3, 4, 5, 6]).subarray(2)
  viewOf(bytes).setInt32(0, 0x0a0b0c0d)
  expect([...bytes]).toEqual([10, 11, 12, 13])
  expect(viewOf(bytes).byteLength).toBe(4)
})
