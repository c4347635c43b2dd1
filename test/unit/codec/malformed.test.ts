import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { codecFor } from '../../../src/codec/codecFor.js'
import { ByteWriter } from '../../../src/core/byteWriter.js'
import { VALUE_MALFORMED } from '../../../src/core/errors.js'
import { nameOf, type PgType } from '../../../src/postgres/catalog/types.js'
import { arrayOf, builtin, compositeOf, hstore, int2vector, toJson, toValue } from '../../support/codecTypes.js'
import { drawnValue } from '../../support/drawnValues.js'

const INTS = arrayOf(builtin('int4'))
const PAIR = compositeOf({ i: builtin('int4'), t: builtin('text') })

const MALFORMED: readonly (readonly [PgType, readonly string[]])[] = [
  [
    INTS,
    ['', '1', '{', '{1', '{1,', '{1,}', '{,1}', '{1}}', '{1}x', '{{1}', '{"1}', '{"1\\', '{"1"2}', '{1"2"}', '{1{2}}'],
  ],
  [INTS, ['[0:1', '[0:1]=', '[0:1]=1', '{{{{{{{1}}}}}}}', `${'{'.repeat(100_000)}`, '{1\\,2}', '}', '{}{}', '{;}x']],
  [PAIR, ['', '(', '1,2', '(1,2', '(1,"2)', '(1,"2"', '(1,"2"x)', '(1,2"")', '(1,2))', '(1,2)x', '(1,\\2)', '((1),2)']],
  [
    hstore,
    ['a', '"a"', '"a"=', '"a"=>', '"a"=>1', '"a"=>NUL', '"a"=>"', '"a"=>"1",', '"a"=>"1", ', '"a"=>"1""b"=>"2"'],
  ],
  [hstore, ['"a\\', '"a"=>"b\\', '=>', '"a"=>null', ' "a"=>"1"']],
  [int2vector, ['1 ', ' 1', '1  2', 'a', '1,2', '{1}']],
]

describe.each(MALFORMED.map(([type, texts]) => [nameOf(type), type, texts] as const))('%s', (_, type, texts) => {
  test.each(texts.map((text) => [text.slice(0, 40), text]))('%s is refused', (_, text) => {
    for (const read of [toJson, toValue]) {
      expect(() => read(type, text)).toThrow(expect.toSatisfy(VALUE_MALFORMED.is))
    }
  })
})

test('the error names the type and the place, and shows nothing of the value', () => {
  const secret = compositeOf({ a: builtin('int4'), b: INTS })
  const read = () => toJson(secret, '(1,"{1,2,secret}secret")')
  expect(read).toThrow('cannot read a value of type int4[]: something follows the last } at byte 12 of 18')
  expect(() => toJson(secret, 'secret')).toThrow(/of type shop\.row_\d+: it does not begin with \( at byte 0 of 6$/)
  expect(() => toValue(builtin('json'), '{"secret')).toThrow(/^cannot read a value of type json: it is no valid JSON/)
})

test('a codec reads on after an error', () => {
  const type = arrayOf(compositeOf({ i: builtin('int4'), t: builtin('text') }))
  expect(() => toJson(type, '{"(1,\\"a\\"\\"b\\")","(1')).toThrow()
  expect(toJson(type, '{"(1,\\"a\\"\\"b\\")"}')).toBe('[{"i":1,"t":"a\\"b"}]')
})

/** What reading gives, be it a value or an error, with `around` on both sides of the value in the same buffer. */
function outcome(type: PgType, value: Buffer, around: Buffer): string {
  const bytes = Buffer.concat([around, value, around])
  const end = around.length + value.length
  try {
    const writer = new ByteWriter(64)
    codecFor(type).writeJson(writer, bytes, around.length, end)
    return writer.toBuffer().toString('latin1')
  } catch (error) {
    if (!VALUE_MALFORMED.is(error)) throw error
    return error.message
  }
}

const AROUND = ['', '"""""""', '}}}}}}}', ')))))))', '\\\\\\\\\\\\', ',,,,,,,', '1111111', 'NULL"=>', '{{{{{{{'].map(
  (text) => Buffer.from(text),
)

test('cut and damaged texts end, and nothing outside of the value has a say in how', () => {
  const damage = fc.record({ cut: fc.nat(), at: fc.nat(), byte: fc.constantFrom(...Buffer.from('"\\{}(),;= NU1')) })
  fc.assert(
    fc.property(drawnValue, damage, fc.boolean(), ({ type, text }, { cut, at, byte }, whole) => {
      const bytes = Buffer.from(text)
      const damaged = Buffer.from(bytes.subarray(0, whole ? bytes.length : cut % (bytes.length + 1)))
      if (damaged.length > 0) damaged[at % damaged.length] = byte
      const alone = outcome(type, damaged, AROUND[0]!)
      for (const around of AROUND) expect(outcome(type, damaged, around)).toBe(alone)
    }),
    { numRuns: 1500 },
  )
})

test('bytes of any kind end, and nothing outside of them has a say in how', () => {
  const types: PgType[] = [
    INTS,
    PAIR,
    hstore,
    int2vector,
    arrayOf(PAIR),
    arrayOf(hstore),
    compositeOf({ a: INTS, h: hstore }),
  ]
  const byte = fc.constantFrom(...Buffer.from('"\\{}(),= NU1[]:>'), 0, 0x80, 0xff)
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.array(byte, { maxLength: 30 }), (type, bytes) => {
      const value = Buffer.from(bytes)
      const alone = outcome(type, value, AROUND[0]!)
      for (const around of AROUND) expect(outcome(type, value, around)).toBe(alone)
    }),
    { numRuns: 1500 },
  )
})
