import fc from 'fast-check'
import { expect, test } from 'vitest'
import { writeDouble } from '../../../../src/codec/avro/float.js'
import { ByteWriter } from '../../../../src/core/byteWriter.js'

const writer = new ByteWriter(64)

/** What the text becomes, from the middle of other bytes, as in a row. */
function written(text: string): number {
  const bytes = Buffer.from(`9${text}9`)
  writer.clear()
  writeDouble(writer, bytes, 1, 1 + text.length)
  return writer.toBuffer().readDoubleLE(0)
}

function same(text: string): void {
  const value = written(text)
  if (!Object.is(value, Number(text))) expect(value, text).toBe(Number(text))
}

test('a float8 of any number of digits, with a point anywhere, is the double nearest to it', () => {
  const digits = fc
    .tuple(fc.integer({ min: 1, max: 24 }), fc.bigInt({ min: 0n, max: 10n ** 24n - 1n }))
    .map(([length, value]) => String(value).padStart(24, '0').slice(-length))
  const text = fc.tuple(fc.boolean(), digits, digits, fc.boolean()).map(([minus, before, behind, whole]) => {
    return `${minus ? '-' : ''}${before}${whole ? '' : `.${behind}`}`
  })
  fc.assert(fc.property(text, same), { numRuns: 5000 })
})

test('the texts that the server has for float8 lead back to the same double', () => {
  const value = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.double({ min: 1e-5, max: 1e15, noNaN: true }),
    fc.tuple(fc.integer(), fc.integer({ min: 1, max: 1000 })).map(([a, b]) => a / b),
  )
  const back = (double: number) => {
    for (const text of [String(double), double.toPrecision(17), double.toPrecision(16)]) same(text)
  }
  fc.assert(fc.property(value, back), { numRuns: 5000 })
  for (const text of ['0', '-0', '0.0', '000.000', 'NaN', 'Infinity', '-Infinity', '1e+22', '1.5e-07']) same(text)
})

test('halfway between two doubles, and a little beside it, the same is chosen as everywhere', () => {
  for (let bits = 53; bits < 63; bits++) {
    const gap = 2n ** BigInt(bits - 52)
    for (let step = 0n; step < 20n; step++) {
      const middle = 2n ** BigInt(bits) + step * gap + gap / 2n
      for (const by of [-1n, 0n, 1n]) {
        const text = String(middle + by)
        same(text)
        for (const point of [1, 3, text.length - 1]) same(`${text.slice(0, point)}.${text.slice(point)}`)
      }
    }
  }
})
