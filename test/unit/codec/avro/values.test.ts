import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { numericTypmod, roundTrip, schemaOf } from '../../../support/avro.js'
import {
  arrayOf,
  type BuiltinName,
  builtin,
  compositeOf,
  hstore,
  int2vector,
  oidvector,
  userScalar,
} from '../../../support/codecTypes.js'

const MAX_LONG = 2n ** 63n - 1n
const DAY = 86_400_000_000n

describe('integers', () => {
  test.each(['int2', 'int4'] as const)('%s is an int', (name) => {
    expect(schemaOf(builtin(name))).toStrictEqual(['null', 'int'])
    fc.assert(
      fc.property(fc.integer(), (value) => {
        expect(roundTrip(builtin(name), String(value))).toBe(value)
      }),
    )
    for (const value of [-(2 ** 31), 2 ** 31 - 1, 0, -1, 63, 64, -64, -65]) {
      expect(roundTrip(builtin(name), String(value))).toBe(value)
    }
  })

  test('int8 is a long, with all its digits', () => {
    expect(schemaOf(builtin('int8'))).toStrictEqual(['null', 'long'])
    const value = fc.oneof(
      fc.bigInt({ min: -MAX_LONG - 1n, max: MAX_LONG }),
      // all lengths, and the neighbours of powers of two
      fc
        .integer({ min: 0, max: 62 })
        .chain((bits) => fc.bigInt({ min: 2n ** BigInt(bits) - 2n, max: 2n ** BigInt(bits) + 2n })),
      fc.integer({ min: 0, max: 62 }).map((bits) => -(2n ** BigInt(bits))),
    )
    fc.assert(
      fc.property(value, (long) => {
        expect(roundTrip(builtin('int8'), String(long))).toBe(long)
      }),
      { numRuns: 2000 },
    )
    for (const long of [MAX_LONG, -MAX_LONG - 1n, -MAX_LONG, 10n ** 15n, -(10n ** 15n), 4194304n * 10n ** 9n]) {
      expect(roundTrip(builtin('int8'), String(long))).toBe(long)
    }
  })
})

describe('numeric', () => {
  test('with a precision is a decimal, to the last digit', () => {
    const typmod = numericTypmod(40, 6)
    expect(schemaOf(builtin('numeric'), { typmod })).toStrictEqual([
      'null',
      { type: 'bytes', logicalType: 'decimal', precision: 40, scale: 6 },
    ])
    const unscaled = fc.oneof(
      fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
      fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }),
      fc
        .integer({ min: 0, max: 120 })
        .chain((bits) => fc.bigInt({ min: 2n ** BigInt(bits) - 2n, max: 2n ** BigInt(bits) + 2n })),
      fc
        .integer({ min: 0, max: 120 })
        .chain((bits) => fc.bigInt({ min: -(2n ** BigInt(bits)) - 2n, max: -(2n ** BigInt(bits)) + 2n })),
    )
    fc.assert(
      fc.property(unscaled, (value) => {
        const bytes = roundTrip(builtin('numeric'), decimalText(value, 6), { typmod }) as Buffer
        expect(fromTwosComplement(bytes)).toBe(value)
        // no byte more than it takes
        if (bytes.length > 1) expect(fromTwosComplement(bytes.subarray(1))).not.toBe(value)
      }),
      { numRuns: 2000 },
    )
    // where a byte more begins
    for (let bits = 7n; bits < 128n; bits += 8n) {
      for (const value of [-1n, 0n, 1n].flatMap((by) => [2n ** bits + by, -(2n ** bits) + by])) {
        const bytes = roundTrip(builtin('numeric'), decimalText(value, 6), { typmod }) as Buffer
        expect(fromTwosComplement(bytes), String(value)).toBe(value)
        expect(BigInt(bytes.length), String(value)).toBe(
          (value >= -(2n ** bits) && value < 2n ** bits ? bits : bits + 8n) / 8n + 1n,
        )
      }
    }
    expect(roundTrip(builtin('numeric'), '0.000000', { typmod })).toStrictEqual(Buffer.from([0]))
  })

  test('of scale 0 says no scale, as Conduit prints it', () => {
    const typmod = numericTypmod(5, 0)
    expect(schemaOf(builtin('numeric'), { typmod })).toStrictEqual([
      'null',
      { type: 'bytes', logicalType: 'decimal', precision: 5 },
    ])
    expect(roundTrip(builtin('numeric'), '-12345', { typmod })).toStrictEqual(Buffer.from([0xcf, 0xc7]))
  })

  test('without a precision is a string, as is one of a scale that Avro does not have', () => {
    expect(schemaOf(builtin('numeric'))).toStrictEqual(['null', 'string'])
    expect(roundTrip(builtin('numeric'), '12345678901234567890.10')).toBe('12345678901234567890.10')
    expect(schemaOf(builtin('numeric'), { typmod: numericTypmod(3, 5) })).toStrictEqual(['null', 'string'])
    expect(schemaOf(builtin('numeric'), { typmod: numericTypmod(3, -2) })).toStrictEqual(['null', 'string'])
  })

  test('that is NaN is a string in a record of its own', () => {
    expect(roundTrip(builtin('numeric'), 'NaN', { typmod: numericTypmod(10, 2) })).toBe('NaN')
  })

  test('of the connector without a precision has its 65531 decimals', () => {
    const options = { schemas: 'connector' } as const
    expect(schemaOf(builtin('numeric'), options)).toStrictEqual({
      ...{ type: 'bytes', logicalType: 'decimal', precision: 65535, scale: 65531 },
    })
    const bytes = roundTrip(builtin('numeric'), '-1.5', options) as Buffer
    expect(fromTwosComplement(bytes)).toBe(-15n * 10n ** 65530n)
    expect(roundTrip(builtin('numeric'), 'Infinity', options)).toBe('Infinity')
  })
})

describe('floats', () => {
  test('float8 is a double', () => {
    expect(schemaOf(builtin('float8'))).toStrictEqual(['null', 'double'])
    const text = fc.oneof(
      fc.double(),
      fc.integer().map((n) => n / 1000),
      fc.double({ min: -1e6, max: 1e6 }),
    )
    fc.assert(
      fc.property(text, (value) => {
        expect(roundTrip(builtin('float8'), floatText(value))).toBe(value)
      }),
      { numRuns: 2000 },
    )
  })

  test('float4 whose text is read as a double halfway between two of them is the one that the server has', () => {
    const memory = new DataView(new ArrayBuffer(4))
    for (const [text, bits] of [
      ['7.038531e-26', 0x15ae43fd],
      ['-7.038531e-26', -0x6a51bc03],
      ['7.0385313e-26', 0x15ae43fe],
    ] as const) {
      memory.setInt32(0, bits)
      expect(roundTrip(builtin('float4'), text)).toBe(memory.getFloat32(0))
    }
  })

  test('float4 is a float', () => {
    expect(schemaOf(builtin('float4'))).toStrictEqual(['null', 'float'])
    // nine digits lead back to every float
    fc.assert(
      fc.property(fc.float(), (value) => {
        expect(
          roundTrip(
            builtin('float4'),
            Number.isFinite(value) ? floatText(Number(value.toPrecision(9)) || value) : String(value),
          ),
        ).toBe(value)
      }),
    )
  })

  test.each([
    'NaN',
    'Infinity',
    '-Infinity',
    '-0',
    '1e+20',
    '5e-324',
    '1.7976931348623157e+308',
    '0.1',
    '123456789012345.6',
  ])('%s', (text) => expect(roundTrip(builtin('float8'), text)).toBe(Number(text)))
})

describe('date and time', () => {
  test.each([
    ['1970-01-01', 0],
    ['2000-01-01', 10_957],
    ['2024-02-29', 19_782],
    ['1969-12-31', -1],
    ['0001-01-01', -719_162],
    ['0001-12-31 BC', -719_163],
    ['4714-11-24 BC', -2_440_588],
    ['5874897-12-31', 2_145_042_905],
    ['infinity', 2 ** 31 - 1],
    ['-infinity', -(2 ** 31)],
  ])('date %s', (text, days) => {
    expect(schemaOf(builtin('date'))).toStrictEqual(['null', { type: 'int', logicalType: 'date' }])
    expect(roundTrip(builtin('date'), text)).toBe(days)
  })

  test('every day of the Gregorian calendar that JavaScript has', () => {
    fc.assert(
      fc.property(fc.integer({ min: -719_162, max: 2_932_896 }), (day) => {
        const text = new Date(day * 86_400_000).toISOString().slice(0, 10)
        expect(roundTrip(builtin('date'), text)).toBe(day)
      }),
    )
  })

  test.each([
    ['00:00:00', 0n],
    ['24:00:00', DAY],
    ['23:59:59.999999', DAY - 1n],
    ['00:00:00.5', 500_000n],
    ['01:02:03.000001', 3_723_000_001n],
  ])('time %s', (text, micros) => {
    expect(schemaOf(builtin('time'))).toStrictEqual(['null', { type: 'long', logicalType: 'time-micros' }])
    expect(roundTrip(builtin('time'), text)).toBe(micros)
  })

  test.each([
    ['1970-01-01 00:00:00', 0n],
    ['1969-12-31 23:59:59.999999', -1n],
    ['2026-11-22 06:07:08.000009', 1_795_327_628_000_009n],
    ['0001-12-31 23:59:59.999999 BC', -719_163n * DAY + DAY - 1n],
    ['4714-11-24 00:00:00 BC', -2_440_588n * DAY],
    ['10000-01-01 00:00:00', 2_932_897n * DAY],
    ['294247-01-10 04:00:54.775806', MAX_LONG - 1n],
    ['infinity', MAX_LONG],
    ['-infinity', -MAX_LONG - 1n],
  ])('timestamp %s', (text, micros) => {
    expect(schemaOf(builtin('timestamp'))).toStrictEqual([
      'null',
      { type: 'long', logicalType: 'local-timestamp-micros' },
    ])
    expect(roundTrip(builtin('timestamp'), text)).toBe(micros)
  })

  test.each([
    ['1970-01-01 00:00:00+00', 0n],
    ['2026-11-22 06:07:08.12+00', 1_795_327_628_120_000n],
    ['2026-11-22 06:07:08-05:30', 1_795_347_428_000_000n],
    ['1969-12-31 23:59:59+00:00:01', -2_000_000n],
    ['0044-03-15 00:00:00+00 BC', -735_160n * DAY],
    ['infinity', MAX_LONG],
  ])('timestamptz %s', (text, micros) => {
    expect(schemaOf(builtin('timestamptz'))).toStrictEqual(['null', { type: 'long', logicalType: 'timestamp-micros' }])
    expect(roundTrip(builtin('timestamptz'), text)).toBe(micros)
  })

  test('beyond 64 bits of microseconds is a string in a record of its own', () => {
    expect(roundTrip(builtin('timestamp'), '294247-01-10 04:00:54.775807')).toBe('294247-01-10T04:00:54.775807')
    expect(roundTrip(builtin('timestamptz'), '294276-12-31 23:59:59.999999+00')).toBe(
      '294276-12-31T23:59:59.999999+00:00',
    )
  })

  test('timestamp as text, on request', () => {
    const options = { timestamps: 'text' } as const
    expect(schemaOf(builtin('timestamp'), options)).toStrictEqual(['null', 'string'])
    expect(roundTrip(builtin('timestamp'), '2020-01-01 00:00:00.5', options)).toBe('2020-01-01T00:00:00.5')
    expect(roundTrip(builtin('timestamp'), '10000-01-01 00:00:00', options)).toBe('10000-01-01T00:00:00')
    expect(roundTrip(builtin('timestamp'), '0044-03-15 00:00:00 BC', options)).toBe('0044-03-15T00:00:00 BC')
    expect(roundTrip(builtin('timestamp'), '-infinity', options)).toBe('-infinity')
    expect(schemaOf(builtin('timestamptz'), options)).toStrictEqual([
      'null',
      { type: 'long', logicalType: 'timestamp-micros' },
    ])
  })

  test.each([
    ['timetz', '24:00:00-15:59:59'],
    ['interval', 'P10M3DT-4H-5M-6.789S'],
  ] as const)('%s is a string', (name, text) => {
    expect(schemaOf(builtin(name))).toStrictEqual(['null', 'string'])
    expect(roundTrip(builtin(name), text)).toBe(text)
  })
})

describe('text and bytes', () => {
  test('text of any length', () => {
    expect(schemaOf(builtin('text'))).toStrictEqual(['null', 'string'])
    for (const length of [0, 1, 55, 56, 57, 63, 64, 65, 8191, 8192, 100_000]) {
      const text = 'é'.repeat(length >> 1) + (length % 2 === 1 ? 'x' : '')
      expect(roundTrip(builtin('text'), text)).toBe(text)
    }
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(roundTrip(builtin('text'), text)).toBe(text)
      }),
    )
  })

  test('bytea is bytes', () => {
    expect(schemaOf(builtin('bytea'))).toStrictEqual(['null', 'bytes'])
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const text = `\\x${Buffer.from(bytes).toString('hex')}`
        expect(roundTrip(builtin('bytea'), text)).toStrictEqual(Buffer.from(bytes))
      }),
    )
    expect(() => roundTrip(builtin('bytea'), 'abc\\000')).toThrow(expect.objectContaining({ code: 'VALUE_MALFORMED' }))
  })

  test('json is its text as bytes, or as a string', () => {
    for (const name of ['json', 'jsonb'] as const) {
      expect(schemaOf(builtin(name))).toStrictEqual(['null', 'bytes'])
      expect(roundTrip(builtin(name), '{"a":\n 1e400}')).toStrictEqual(Buffer.from('{"a":\n 1e400}'))
      expect(roundTrip(builtin(name), '{"a": "é"}', { json: 'string' })).toBe('{"a": "é"}')
    }
  })

  test('uuid is a string of that logical type', () => {
    const uuid = '0188e2a4-7b1c-7d2e-9f00-0123456789ab'
    expect(schemaOf(builtin('uuid'))).toStrictEqual(['null', { type: 'string', logicalType: 'uuid' }])
    expect(roundTrip(builtin('uuid'), uuid)).toBe(uuid)
  })

  test('bool is a boolean', () => {
    expect(schemaOf(builtin('bool'))).toStrictEqual(['null', 'boolean'])
    expect([roundTrip(builtin('bool'), 't'), roundTrip(builtin('bool'), 'f')]).toStrictEqual([true, false])
  })

  test('"char" that is no UTF-8 is U+FFFD, as in JSON', () => {
    expect(roundTrip(builtin('char'), 'x')).toBe('x')
    expect(roundTrip(builtin('char'), Buffer.from([0x80]))).toBe('\ufffd')
    expect(roundTrip(compositeOf({ c: builtin('char') }), Buffer.from([0x28, 0x80, 0x29]))).toBe('(\ufffd)')
    expect(roundTrip(arrayOf(builtin('char')), Buffer.from([0x7b, 0x7b, 0x80, 0x7d, 0x7d]))).toBe('{{\ufffd}}')
    expect(roundTrip(builtin('char'), '\\303')).toBe('\\303')
  })

  test.each<[BuiltinName, string]>([
    ['bpchar', 'ab   '],
    ['name', 'n'],
    ['varchar', 'v'],
    ['oid', '4294967295'],
    ['xid8', '18446744073709551615'],
    ['money', '-$1,234.50'],
    ['inet', '::ffff:1.2.3.4/96'],
    ['box', '(3,4),(1,2)'],
    ['bit', '10101'],
    ['xml', '<a b="c">x</a>'],
    ['tstzrange', '["2020-01-01 00:00:00+00",infinity)'],
    ['int4multirange', '{[1,2),[5,7)}'],
    ['pg_lsn', 'FFFFFFFF/FFFFFFFF'],
    ['tsvector', "'a' 'b''c':2A,3"],
  ])('%s is its text', (name, text) => {
    expect(schemaOf(builtin(name))).toStrictEqual(['null', 'string'])
    expect(roundTrip(builtin(name), text)).toBe(text)
  })

  test('enums, ranges of users, composites and hstore are their text', () => {
    for (const [type, text] of [
      [userScalar('mood'), 'happy'],
      [userScalar('span', 'range'), '[1,2)'],
      [userScalar('gone', 'unknown'), '?'],
      [compositeOf({ a: builtin('int4'), b: builtin('text') }), '(1,"x ""y")'],
      [hstore, '"a"=>NULL, "b"=>"1"'],
    ] as const) {
      expect(schemaOf(type)).toStrictEqual(['null', 'string'])
      expect(roundTrip(type, text)).toBe(text)
    }
  })
})

describe('arrays', () => {
  const items = (schema: unknown) => ['null', { type: 'array', items: ['null', schema] }]

  test('are arrays of what their elements are, with null', () => {
    expect(schemaOf(arrayOf(builtin('int4')))).toStrictEqual(items('int'))
    expect(roundTrip(arrayOf(builtin('int4')), '{1,NULL,-3}')).toStrictEqual([1, null, -3])
    expect(roundTrip(arrayOf(builtin('int4')), '{}')).toStrictEqual([])
    expect(roundTrip(arrayOf(builtin('int4')), '[-1:0]={7,8}')).toStrictEqual([7, 8])
    expect(roundTrip(arrayOf(builtin('text')), '{a,"b \\"c\\\\",NULL,"NULL",""}')).toStrictEqual([
      'a',
      'b "c\\',
      null,
      'NULL',
      '',
    ])
    expect(roundTrip(arrayOf(builtin('bytea')), '{"\\\\xdead"}')).toStrictEqual([Buffer.from('dead', 'hex')])
    expect(roundTrip(arrayOf(builtin('box'), ';'), '{(1,2),(0,0);(3,4),(1,1)}')).toStrictEqual([
      '(1,2),(0,0)',
      '(3,4),(1,1)',
    ])
    expect(roundTrip(arrayOf(builtin('date')), '{2020-01-01,infinity}')).toStrictEqual([18_262, 2 ** 31 - 1])
    expect(roundTrip(arrayOf(builtin('timestamptz')), '{"1970-01-01 00:00:01+00"}')).toStrictEqual([1_000_000n])
  })

  test('of many elements, and of long ones', () => {
    const many = Array.from({ length: 10_000 }, (_, i) => (i % 7 === 0 ? null : 'x'.repeat(i % 300)))
    const text = `{${many.map((one) => (one === null ? 'NULL' : `"${one}"`)).join(',')}}`
    expect(roundTrip(arrayOf(builtin('text')), text)).toStrictEqual(many)
  })

  test('of numeric are decimals', () => {
    const typmod = numericTypmod(10, 2)
    const decimal = { type: 'bytes', logicalType: 'decimal', precision: 10, scale: 2 }
    const numerics = { ...arrayOf(builtin('numeric')), oid: 1231 }
    expect(schemaOf(numerics, { typmod })).toStrictEqual(items(decimal))
    expect(roundTrip(numerics, '{1.50,NULL}', { typmod })).toStrictEqual([Buffer.from([0, 150]), null])
    expect(roundTrip(numerics, '{1.50,NaN}', { typmod })).toBe('{1.50,NaN}')
    expect(schemaOf(numerics)).toStrictEqual(items('string'))
  })

  test('of timestamp, uuid and enums are arrays of text: Conduit leaves these wrapped', () => {
    expect(schemaOf(arrayOf(builtin('timestamp')))).toStrictEqual(items('string'))
    expect(roundTrip(arrayOf(builtin('timestamp')), '{"2020-01-01 00:00:00",infinity}')).toStrictEqual([
      '2020-01-01T00:00:00',
      'infinity',
    ])
    expect(schemaOf(arrayOf(builtin('uuid')))).toStrictEqual(items('string'))
    expect(schemaOf(arrayOf(userScalar('mood')))).toStrictEqual(items('string'))
    expect(roundTrip(arrayOf(userScalar('mood')), '{ok,"so so"}')).toStrictEqual(['ok', 'so so'])
  })

  test('of more dimensions are their text in a record of its own', () => {
    expect(roundTrip(arrayOf(builtin('int4')), '{{1,2},{3,4}}')).toBe('{{1,2},{3,4}}')
    expect(roundTrip(arrayOf(builtin('int4')), '{{1},{2}}')).toBe('{{1},{2}}')
  })

  test('of a domain over arrays are arrays of text: no dimension is made of what is none', () => {
    expect(schemaOf(arrayOf(arrayOf(builtin('int4'))))).toStrictEqual(items('string'))
    expect(roundTrip(arrayOf(arrayOf(builtin('int4'))), '{"{1,2}",NULL,"{}"}')).toStrictEqual(['{1,2}', null, '{}'])
  })

  test('of composites and json', () => {
    expect(roundTrip(arrayOf(compositeOf({ a: builtin('int4') })), '{(1),NULL}')).toStrictEqual(['(1)', null])
    expect(roundTrip(arrayOf(builtin('jsonb')), '{"{\\"a\\": 1}"}')).toStrictEqual([Buffer.from('{"a": 1}')])
  })

  test('of the catalogs, without braces, are text', () => {
    for (const [type, text] of [
      [int2vector, '1 -2 3'],
      [oidvector, '4 4294967295'],
      [oidvector, ''],
    ] as const) {
      expect(schemaOf(type)).toStrictEqual(['null', 'string'])
      expect(roundTrip(type, text)).toBe(text)
    }
  })
})

function fromTwosComplement(bytes: Uint8Array): bigint {
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString('hex')}`))
}

function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** As the server writes it: `1e+20`, `1e-05`. */
function floatText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}
