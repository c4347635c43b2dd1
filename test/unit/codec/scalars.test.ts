import { describe, expect, test } from 'vitest'
import { type BuiltinName, builtin, toJson, toJsonBytes, toValue, userScalar } from '../../support/codecTypes.js'

// Type, text, JSON, and the JavaScript value where it is not the text. Each line was seen on a server.
const SCALARS: readonly (readonly [BuiltinName, string, string, unknown?])[] = [
  ['bool', 't', 'true', true],
  ['bool', 'f', 'false', false],
  ['int2', '-32768', '-32768', -32768],
  ['int4', '2147483647', '2147483647', 2147483647],
  ['int4', '0', '0', 0],
  ['int8', '-9223372036854775808', '-9223372036854775808', -9223372036854775808n],
  ['int8', '9223372036854775807', '9223372036854775807', 9223372036854775807n],
  ['int8', '999999999999999', '999999999999999', 999999999999999n],
  ['int8', '-1', '-1', -1n],
  ['numeric', '0.00', '0.00'],
  ['numeric', '12345678901234567890.10', '12345678901234567890.10'],
  ['numeric', '-0.5', '-0.5'],
  ['numeric', 'NaN', '"NaN"'],
  ['numeric', 'Infinity', '"Infinity"'],
  ['numeric', '-Infinity', '"-Infinity"'],
  ['float8', '1e+20', '1e+20', 1e20],
  ['float8', '5e-324', '5e-324', 5e-324],
  ['float8', '-0', '-0', -0],
  ['float8', '1.7976931348623157e+308', '1.7976931348623157e+308', Number.MAX_VALUE],
  ['float8', 'NaN', '"NaN"', Number.NaN],
  ['float8', 'Infinity', '"Infinity"', Number.POSITIVE_INFINITY],
  ['float8', '-Infinity', '"-Infinity"', Number.NEGATIVE_INFINITY],
  ['float4', '1e-05', '1e-05', 1e-5],
  ['text', '', '""'],
  ['text', 'plain', '"plain"'],
  ['bpchar', 'ab   ', '"ab   "'],
  ['char', '', '""'],
  ['char', 'x', '"x"'],
  ['char', '"', '"\\""'],
  ['char', '\\303', '"\\\\303"'],
  ['name', 'pg_catalog', '"pg_catalog"'],
  ['varchar', 'it\'s "it"', '"it\'s \\"it\\""'],
  ['xml', '<a b="c">x</a>', '"<a b=\\"c\\">x</a>"'],
  ['regclass', 'shop."Order"', '"shop.\\"Order\\""'],
  ['tid', '(0,1)', '"(0,1)"'],
  ['bit', '0101', '"0101"'],
  ['pg_lsn', '0/16B3748', '"0/16B3748"'],
  ['tsvector', "'a':1 'b''c':2", "\"'a':1 'b''c':2\""],
  ['jsonpath', '$."a"', '"$.\\"a\\""'],
  ['bytea', '\\xdeadbeef', '"\\\\xdeadbeef"', new Uint8Array([0xde, 0xad, 0xbe, 0xef])],
  ['bytea', '\\x', '"\\\\x"', new Uint8Array(0)],
  ['money', '-$1,234.50', '"-$1,234.50"'],
  ['oid', '4294967295', '"4294967295"', 4294967295],
  ['xid8', '18446744073709551615', '"18446744073709551615"'],
  ['time', '24:00:00', '"24:00:00"'],
  ['timetz', '24:00:00-15:59:59', '"24:00:00-15:59:59"'],
  ['interval', 'P10M3DT-4H-5M-6.789S', '"P10M3DT-4H-5M-6.789S"'],
  ['interval', '-infinity', '"-infinity"'],
  ['box', '(3,4),(1,2)', '"(3,4),(1,2)"'],
  ['inet', '::ffff:1.2.3.4/128', '"::ffff:1.2.3.4/128"'],
  ['uuid', '01234567-89ab-cdef-0123-456789abcdef', '"01234567-89ab-cdef-0123-456789abcdef"'],
  ['tstzrange', '["2020-01-01 00:00:00+00",infinity)', '"[\\"2020-01-01 00:00:00+00\\",infinity)"'],
  ['daterange', '["0044-03-15 BC",)', '"[\\"0044-03-15 BC\\",)"'],
  ['int4range', 'empty', '"empty"'],
  ['int4range', '(,)', '"(,)"'],
  ['int4multirange', '{[1,2),[5,7)}', '"{[1,2),[5,7)}"'],
  ['date', '2020-01-01', '"2020-01-01"'],
  ['date', '4713-01-01 BC', '"4713-01-01 BC"'],
  ['date', '5874897-12-31', '"5874897-12-31"'],
  ['date', 'infinity', '"infinity"'],
  ['timestamp', '2020-01-01 00:00:00.5', '"2020-01-01T00:00:00.5"', '2020-01-01T00:00:00.5'],
  ['timestamp', '0044-03-15 00:00:00.5 BC', '"0044-03-15T00:00:00.5 BC"', '0044-03-15T00:00:00.5 BC'],
  ['timestamp', '294276-12-31 23:59:59.999999', '"294276-12-31T23:59:59.999999"', '294276-12-31T23:59:59.999999'],
  ['timestamp', '10000-01-01 00:00:00', '"10000-01-01T00:00:00"', '10000-01-01T00:00:00'],
  ['timestamp', 'infinity', '"infinity"'],
  ['timestamp', '-infinity', '"-infinity"'],
  ['timestamptz', '2019-12-31 19:00:00.1+00', '"2019-12-31T19:00:00.1+00:00"', '2019-12-31T19:00:00.1+00:00'],
  ['timestamptz', '0044-03-15 00:00:00+00 BC', '"0044-03-15T00:00:00+00:00 BC"', '0044-03-15T00:00:00+00:00 BC'],
  ['timestamptz', '294276-12-31 23:59:59+00', '"294276-12-31T23:59:59+00:00"', '294276-12-31T23:59:59+00:00'],
  ['timestamptz', '2020-01-01 05:30:00+05:30', '"2020-01-01T05:30:00+05:30"', '2020-01-01T05:30:00+05:30'],
  ['timestamptz', '1800-01-01 00:00:00-00:01:15', '"1800-01-01T00:00:00-00:01:15"', '1800-01-01T00:00:00-00:01:15'],
  ['timestamptz', 'infinity', '"infinity"'],
  ['timestamptz', '-infinity', '"-infinity"'],
  ['json', ' {"a" : 1,"a":1.50e3} ', ' {"a" : 1,"a":1.50e3} ', { a: 1500 }],
  ['json', 'null', 'null', null],
  ['json', ' null ', ' null ', null],
  ['json', '"\\/\\u2028"', '"\\/\\u2028"', '/\u2028'],
  ['jsonb', '{"a": 3, "b": 1, "n": 1500}', '{"a": 3, "b": 1, "n": 1500}', { a: 3, b: 1, n: 1500 }],
]

const WITH_VALUES = SCALARS.map(([name, text, json, value = text]) => [name, text, json, value] as const)

describe('a scalar', () => {
  test.each(WITH_VALUES)('%s %s is %s', (name, text, json, value) => {
    expect(toJson(builtin(name), text)).toBe(json)
    const read = toValue(builtin(name), text)
    expect(read).toStrictEqual(value)
    expect(Object.is(read, -0)).toBe(Object.is(value, -0))
  })

  test('of a type that nothing is known of is its text', () => {
    expect(toJson(userScalar('geometry', 'base'), '01\t"')).toBe('"01\\t\\""')
    expect(toValue(userScalar('mood'), 'so "so"')).toBe('so "so"')
  })
})

describe('options', () => {
  test('bigNumbers: string puts int8 and numeric in quotes, and no other number', () => {
    const options = { bigNumbers: 'string' } as const
    expect(toJson(builtin('int8'), '12', options)).toBe('"12"')
    expect(toJson(builtin('numeric'), '1.50', options)).toBe('"1.50"')
    expect(toJson(builtin('numeric'), 'NaN', options)).toBe('"NaN"')
    expect(toJson(builtin('int4'), '12', options)).toBe('12')
    expect(toJson(builtin('float8'), '1.5', options)).toBe('1.5')
    expect(toValue(builtin('int8'), '12', options)).toBe(12n)
  })

  test('bytea: base64 encodes every length', () => {
    for (let length = 0; length < 70; length++) {
      const bytes = Buffer.from(Array.from({ length }, (_, i) => (i * 37 + length) & 255))
      const json = toJson(builtin('bytea'), `\\x${bytes.toString('hex')}`, { bytea: 'base64' })
      expect(json).toBe(JSON.stringify(bytes.toString('base64')))
    }
  })

  test('bytea: base64 of a long value is written in pieces without a gap', () => {
    const bytes = Buffer.from(Array.from({ length: 300_001 }, (_, i) => (i * 31) & 255))
    const json = toJson(builtin('bytea'), `\\x${bytes.toString('hex')}`, { bytea: 'base64' })
    expect(json).toBe(JSON.stringify(bytes.toString('base64')))
  })

  test('timestamps: date gives a Date where there is one, else the string', () => {
    const options = { timestamps: 'date' } as const
    const date = (name: BuiltinName, text: string) => toValue(builtin(name), text, options)
    expect(date('timestamp', '2020-01-01 00:00:00.123999')).toStrictEqual(new Date('2020-01-01T00:00:00.123Z'))
    expect(date('timestamptz', '2020-01-01 05:30:00+05:30')).toStrictEqual(new Date('2020-01-01T00:00:00Z'))
    expect(date('timestamptz', '2020-01-01 00:00:00-15:59:59')).toStrictEqual(new Date('2020-01-01T15:59:59Z'))
    expect(date('timestamptz', '0044-03-15 00:00:00+00 BC')).toStrictEqual(new Date('-000043-03-15T00:00:00Z'))
    expect(date('timestamp', '0001-01-01 00:00:00')).toStrictEqual(new Date('0001-01-01T00:00:00Z'))
    expect(date('timestamp', '0099-12-31 23:59:59')).toStrictEqual(new Date('0099-12-31T23:59:59Z'))
    expect(date('timestamp', '0001-02-29 00:00:00 BC')).toStrictEqual(new Date('0000-02-29T00:00:00Z'))
    expect(date('timestamp', '1969-12-31 23:59:59.999')).toStrictEqual(new Date(-1))
    expect(date('timestamp', '1969-12-31 23:59:59.0007')).toStrictEqual(new Date(-1000))
    expect(date('timestamp', '294276-12-31 23:59:59.999999')).toBe('294276-12-31T23:59:59.999999')
    expect(date('timestamptz', '294276-12-31 23:59:59+00')).toBe('294276-12-31T23:59:59+00:00')
    expect(date('timestamp', 'infinity')).toBe('infinity')
    expect(date('timestamptz', '-infinity')).toBe('-infinity')
    expect(toJson(builtin('timestamp'), '2020-01-01 00:00:00', options)).toBe('"2020-01-01T00:00:00"')
  })
})

describe('what the server writes otherwise', () => {
  test('a "char" from 0x80 on, a bare byte before PostgreSQL 15, becomes U+FFFD', () => {
    expect(toJsonBytes(builtin('char'), Buffer.from([0xc3]))).toStrictEqual(Buffer.from('"\ufffd"'))
    expect(toValue(builtin('char'), Buffer.from([0xc3]))).toBe('\ufffd')
  })

  test('line breaks between the tokens of json become blanks, so that a line stays one', () => {
    expect(toJson(builtin('json'), '{\r\n\t"a":\n1}\n')).toBe('{  \t"a": 1} ')
    const pretty = JSON.stringify(
      Array.from({ length: 20_000 }, (_, i) => i),
      null,
      1,
    )
    for (const document of [pretty, pretty.slice(0, 64 * 1024), pretty.slice(0, 113), `\n${pretty}\n`]) {
      expect(toJson(builtin('json'), document)).toBe(document.replaceAll('\n', ' '))
    }
  })

  test('bytea in the escape form, which no session of ours asks for, is a string', () => {
    expect(toJson(builtin('bytea'), 'a\\000"')).toBe('"a\\\\000\\""')
    expect(toJson(builtin('bytea'), 'a\\000"', { bytea: 'base64' })).toBe('"a\\\\000\\""')
    expect(() => toValue(builtin('bytea'), 'a\\000')).toThrow(/VALUE|cannot read a value of type bytea/)
  })
})
