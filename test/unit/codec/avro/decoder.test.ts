import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AvroDecoder, avroTable } from '../../../../src/codec/avro/index.js'
import { parseBigJson } from '../../../../src/codec/text/bigJson.js'
import type { TextTarget } from '../../../../src/codec/text/target.js'
import { avscType, draftTable, numericTypmod, writeRow } from '../../../support/avro.js'
import { arrayOf, builtin } from '../../../support/codecTypes.js'

const TEXT: TextTarget = { kind: 'text', array: false }
const TEXTS: TextTarget = { kind: 'text', array: true }
const JSONS: TextTarget = { kind: 'json', array: false }
const BYTEA: TextTarget = { kind: 'bytea', array: false }

function schemaOf(type: unknown): string {
  return JSON.stringify({ type: 'record', name: 'r', fields: [{ name: 'v', type }] })
}

/** What a column gets of a value that another library wrote. */
function read(type: unknown, value: unknown, target: TextTarget = TEXT): string | null {
  const bytes = avscType(schemaOf(type)).toBuffer({ v: value })
  return bothWays(new AvroDecoder(schemaOf(type), () => target), bytes)[0]!
}

const logical = (type: string, logicalType: string, more: object = {}) => ({ type, logicalType, ...more })
const MAX_LONG = 2n ** 63n - 1n

describe('values', () => {
  test.each<[unknown, unknown, string | null]>([
    ['null', null, null],
    ['boolean', true, 'true'],
    ['boolean', false, 'false'],
    ['int', -(2 ** 31), '-2147483648'],
    ['long', MAX_LONG, '9223372036854775807'],
    ['long', -MAX_LONG - 1n, '-9223372036854775808'],
    ['long', 9007199254740993n, '9007199254740993'],
    ['long', -64n, '-64'],
    ['float', Math.fround(0.1), '0.1'],
    ['float', Math.fround(3.4028235e38), '3.4028235e+38'],
    ['double', 0.1, '0.1'],
    ['double', -0, '-0'],
    ['double', 5e-324, '5e-324'],
    ['double', Number.NaN, 'NaN'],
    ['float', Number.NEGATIVE_INFINITY, '-Infinity'],
    ['string', 'é\u0000"\\', 'é\u0000"\\'],
    ['bytes', Buffer.from('{"a": 1}'), '{"a": 1}'],
    [['null', 'int'], null, null],
    [['null', 'int'], 5, '5'],
    [['int', 'null'], 5, '5'],
    [{ type: 'enum', name: 'e', symbols: ['A', 'B'] }, 'B', 'B'],
    [{ type: 'fixed', name: 'f', size: 2 }, Buffer.from('hi'), 'hi'],
    [
      { type: 'fixed', name: 'u', size: 16, logicalType: 'uuid' },
      Buffer.alloc(16, 0xab),
      'abababab-abab-abab-abab-abababababab',
    ],
    [
      { type: 'fixed', name: 'd', size: 12, logicalType: 'duration' },
      Buffer.from('0100000002000000dc050000', 'hex'),
      'P1M2DT1.5S',
    ],
    [
      { type: 'fixed', name: 'd', size: 3, logicalType: 'decimal', precision: 5, scale: 2 },
      Buffer.from('ffff85', 'hex'),
      '-1.23',
    ],
    [logical('bytes', 'decimal', { precision: 5, scale: 2 }), Buffer.from([0x85]), '-1.23'],
    [logical('bytes', 'decimal', { precision: 5, scale: 2 }), Buffer.alloc(0), '0.00'],
    [logical('bytes', 'decimal', { precision: 5 }), Buffer.from([0xff]), '-1'],
    [logical('bytes', 'decimal', { precision: 5, scale: 7 }), Buffer.from('no decimal'), 'no decimal'],
    [logical('string', 'uuid'), '0188e2a4-7b1c-7d2e-9f00-0123456789ab', '0188e2a4-7b1c-7d2e-9f00-0123456789ab'],
    [logical('int', 'date'), 0, '1970-01-01'],
    [logical('int', 'date'), -719_163, '0001-12-31 BC'],
    [logical('int', 'date'), 2_145_042_905, '5874897-12-31'],
    [logical('int', 'date'), 2 ** 31 - 1, 'infinity'],
    [logical('int', 'date'), -(2 ** 31), '-infinity'],
    [logical('int', 'time-millis'), 86_399_999, '23:59:59.999'],
    [logical('long', 'time-micros'), 86_400_000_000n, '24:00:00'],
    [logical('long', 'timestamp-millis'), -1n, '1969-12-31 23:59:59.999+00'],
    [logical('long', 'timestamp-micros'), 1_795_327_628_000_009n, '2026-11-22 06:07:08.000009+00'],
    [logical('long', 'timestamp-micros'), MAX_LONG, 'infinity'],
    [logical('long', 'timestamp-nanos'), -1n, '1969-12-31 23:59:59.999999999+00'],
    [logical('long', 'local-timestamp-micros'), -62_135_596_800_000_001n, '0001-12-31 23:59:59.999999 BC'],
    [logical('long', 'local-timestamp-micros'), -MAX_LONG - 1n, '-infinity'],
    [logical('long', 'local-timestamp-millis'), 253_402_300_800_000n, '10000-01-01 00:00:00'],
    [logical('long', 'local-timestamp-nanos'), 1_000n, '1970-01-01 00:00:00.000001'],
    [logical('int', 'timestamp-micros'), 7, '7'],
    [logical('long', 'somebody-elses'), 7n, '7'],
  ])('%j of %s', (type, value, text) => expect(read(type, value)).toBe(text))

  test('every day and moment', () => {
    fc.assert(
      fc.property(fc.integer({ min: -719_162, max: 2_932_896 }), (day) => {
        expect(read(logical('int', 'date'), day)).toBe(new Date(day * 86_400_000).toISOString().slice(0, 10))
      }),
    )
    fc.assert(
      fc.property(fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }), (ms) => {
        const iso = new Date(ms)
          .toISOString()
          .replace('T', ' ')
          .replace(/\.?0*Z$/, '')
        expect(read(logical('long', 'local-timestamp-millis'), BigInt(ms))).toBe(iso)
      }),
    )
  })

  test('bytes are hex for a bytea, and text must be UTF-8', () => {
    expect(read('bytes', Buffer.from([0, 255]), BYTEA)).toBe('\\x00ff')
    expect(read({ type: 'array', items: 'bytes' }, [Buffer.from([0, 255])], { kind: 'bytea', array: true })).toBe(
      '{"\\\\x00ff"}',
    )
    expect(() => read('bytes', Buffer.from([0, 255]))).toThrow(
      expect.objectContaining({
        code: 'AVRO_DATA_MALFORMED',
        message: expect.stringContaining('field v: it is no UTF-8'),
      }),
    )
    expect(read('bytes', Buffer.from('é'.repeat(100)))).toBe('é'.repeat(100))
  })

  test('arrays are array literals', () => {
    const texts = ['a', '', 'NULL', 'null', 'a b', 'x,y', '{', '}', '"', '\\', ';', null]
    expect(read({ type: 'array', items: ['null', 'string'] }, texts, TEXTS)).toBe(
      '{a,"","NULL","null","a b","x,y","{","}","\\"","\\\\",";",NULL}',
    )
    expect(read({ type: 'array', items: 'int' }, [], TEXTS)).toBe('{}')
    expect(
      read(
        { type: 'array', items: { type: 'array', items: 'int' } },
        [
          [1, 2],
          [3, 4],
        ],
        TEXTS,
      ),
    ).toBe('{{1,2},{3,4}}')
    expect(read({ type: 'array', items: 'string' }, ['(1,2),(0,0)', '(3,4),(1,1)'], { ...TEXTS, delimiter: ';' })).toBe(
      '{"(1,2),(0,0)";"(3,4),(1,1)"}',
    )
    expect(read(['null', { type: 'array', items: logical('int', 'date') }], [0], TEXTS)).toBe('{1970-01-01}')
  })

  test('for a column of json everything but text and bytes becomes JSON', () => {
    const nested = {
      type: 'record',
      name: 'n',
      fields: [
        { name: 'a', type: ['null', 'long'] },
        { name: 'b', type: { type: 'array', items: ['null', 'string'] } },
        { name: 'm', type: { type: 'map', values: 'double' } },
        { name: 't', type: logical('long', 'timestamp-micros') },
        { name: 'd', type: logical('bytes', 'decimal', { precision: 30, scale: 2 }) },
        { name: 'x', type: 'bytes' },
        { name: 'e', type: { type: 'enum', name: 'e', symbols: ['A'] } },
        { name: 'o', type: 'boolean' },
      ],
    }
    const value = {
      ...{ a: MAX_LONG, b: ['x"', null], m: { k: Number.NaN, '"': 1.5 }, t: 500_000n, d: Buffer.from([0x85]) },
      ...{ x: Buffer.from([1]), e: 'A', o: true },
    }
    const json =
      '{"a":9223372036854775807,"b":["x\\"",null],"m":{"k":"NaN","\\"":1.5},"t":"1970-01-01T00:00:00.5+00:00","d":-1.23,"x":"\\\\x01","e":"A","o":true}'
    expect(read(nested, value, JSONS)).toBe(json)
    expect(read(nested, value)).toBe(json) // text gets the same
    expect(read(['null', nested], null, JSONS)).toBe(null)
    expect(read({ type: 'array', items: nested }, [value], { kind: 'json', array: true })).toBe(
      `{"${json.replaceAll(/["\\]/g, '\\$&')}"}`,
    )
    expect(read({ type: 'array', items: 'int' }, [1, 2], JSONS)).toBe('[1,2]')
    expect(read('bytes', Buffer.from('{"a": 1e400}'), JSONS)).toBe('{"a": 1e400}')
    expect(read('string', '[1]', JSONS)).toBe('[1]')
    expect(read('boolean', true, JSONS)).toBe('true')
    expect(read('double', Number.NaN, JSONS)).toBe('"NaN"')
    expect(read(logical('int', 'date'), 0, JSONS)).toBe('"1970-01-01"')
  })

  test('a type that is part of itself', () => {
    const node = {
      ...{ type: 'record', name: 'Node' },
      fields: [
        { name: 'v', type: 'int' },
        { name: 'next', type: ['null', 'Node'] },
      ],
    }
    expect(read(node, { v: 1, next: { v: 2, next: null } }, JSONS)).toBe('{"v":1,"next":{"v":2,"next":null}}')
    let deep: object | null = null
    for (let i = 0; i < 600; i++) deep = { v: i, next: deep }
    expect(() => read(node, deep, JSONS)).toThrow(expect.objectContaining({ code: 'AVRO_DATA_MALFORMED' }))
  })

  test('a whole row as JSON, in which integers keep their digits', () => {
    const table = draftTable('t', {
      'a-b': { type: builtin('int8') },
      n: { type: builtin('text') },
      ts: { type: builtin('timestamptz') },
      list: { type: arrayOf(builtin('int4')) },
      doc: { type: builtin('jsonb') },
      t: { type: builtin('bool') },
    })
    const row = ['9007199254740993', null, '2026-11-22 06:07:08+00', '{1,NULL}', '{"k": 1}', 't']
    const { schema, bytes } = writeRow(avroTable(table), table, row)
    const decoder = new AvroDecoder(schema, () => TEXT)
    const json = decoder.decodeJson(bytes)
    expect(json).toBe(
      '{"a-b":9007199254740993,"doc":"\\\\x7b226b223a20317d","list":[1,null],"n":null,"t":true,"ts":"2026-11-22T06:07:08+00:00"}',
    )
    expect(parseBigJson(json)).toMatchObject({ 'a-b': 9007199254740993n, list: [1, null] })
    expect(() => decoder.decodeJson(bytes.subarray(0, 9))).toThrow(
      expect.objectContaining({ code: 'AVRO_DATA_MALFORMED' }),
    )
    expect(() => decoder.decodeJson(Buffer.concat([bytes, bytes]))).toThrow('are left over')
  })

  test("what Conduit's own connector writes for a NULL uuid, and for a numeric without precision", () => {
    expect(read(logical('string', 'uuid'), '')).toBe(null)
    expect(read({ type: 'array', items: logical('string', 'uuid') }, ['', 'u'], JSONS)).toBe('[null,"u"]')
    const table = draftTable('t', { n: { type: builtin('numeric') } })
    for (const text of ['-1.5', '0', '12345678901234567890.10', '100']) {
      const { schema, bytes } = writeRow(avroTable(table, { schemas: 'connector' }), table, [text])
      const [found] = bothWays(new AvroDecoder(schema, () => TEXT), bytes)
      expect(found).toBe(text.replace(/(\.\d*?)0+$/, '$1'))
    }
  })

  test('names in namespaces', () => {
    const schema = JSON.stringify({
      ...{ type: 'record', name: 'shop.r', fields: [] },
      fields: [
        { name: 'a', type: { type: 'enum', name: 'mood', symbols: ['ok'] } },
        { name: 'b', type: 'mood' },
        { name: 'c', type: 'shop.mood' },
      ],
    })
    expect(bothWays(new AvroDecoder(schema, () => TEXT), Buffer.from([0, 0, 0]))).toStrictEqual(['ok', 'ok', 'ok'])
  })

  test('columns keep the names that Avro did not take', () => {
    const table = draftTable('t', { 'a-b': { type: builtin('text') }, c: { type: builtin('text') } })
    const { schema, bytes } = writeRow(avroTable(table), table, ['x', 'y'])
    const decoder = new AvroDecoder(schema, () => TEXT)
    expect(decoder.columns).toStrictEqual(['a-b', 'c'])
    expect(bothWays(decoder, bytes)).toStrictEqual(['x', 'y'])
  })

  test('blocks of arrays and maps may have their length before them', () => {
    const schema = schemaOf({ type: 'array', items: 'int' })
    // two blocks: -2 items in 2 bytes, one item, end
    const bytes = Buffer.from([3, 4, 2, 4, 2, 6, 0])
    expect(bothWays(new AvroDecoder(schema, () => TEXTS), bytes)).toStrictEqual(['{1,2,3}'])
  })
})

describe('damage', () => {
  const table = draftTable('t', {
    a: { type: builtin('int8') },
    b: { type: arrayOf(builtin('text')) },
    c: { type: { ...builtin('numeric') }, typmod: numericTypmod(10, 2) },
    d: { type: builtin('timestamptz') },
    e: { type: builtin('uuid') },
    f: { type: builtin('float8') },
  })
  const row = ['9007199254740993', '{a,NULL,"b c"}', '1.50', '2026-11-22 06:07:08+00', 'x'.repeat(36), '1.5']
  const { schema, bytes } = writeRow(avroTable(table), table, row)
  const decoder = new AvroDecoder(schema, () => TEXT)

  test('a value that is cut anywhere is an error that names a field', () => {
    expect(bothWays(decoder, bytes)).toStrictEqual(row)
    for (let end = 0; end < bytes.length; end++) {
      expect(() => bothWays(decoder, bytes.subarray(0, end)), `cut at ${end}`).toThrow(
        expect.objectContaining({
          code: 'AVRO_DATA_MALFORMED',
          message: expect.stringMatching(
            /^a record's Avro data cannot be read, field [a-f][.[\]]*: .* at byte \d+ of \d+$/,
          ),
        }),
      )
    }
    expect(bothWays(decoder, bytes)).toStrictEqual(row) // the decoder is whole
  })

  test('bytes that are left over are an error', () => {
    expect(() => decoder.decode(Buffer.concat([bytes, Buffer.from([0])]))).toThrow(
      expect.objectContaining({
        code: 'AVRO_DATA_MALFORMED',
        message: expect.stringContaining('1 bytes are left over'),
      }),
    )
  })

  test('whatever comes, it is read or refused', () => {
    const damaged = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)).map(([place, byte]) => {
        const copy = Uint8Array.from(bytes)
        copy[place] = byte
        return copy
      }),
    )
    fc.assert(
      fc.property(damaged, (input) => {
        try {
          decoder.decode(input)
        } catch (error) {
          expect(error).toMatchObject({ code: 'AVRO_DATA_MALFORMED' })
        }
      }),
      { numRuns: 3000 },
    )
  })

  test('a count of items that nothing backs takes no memory', () => {
    const nulls = new AvroDecoder(schemaOf({ type: 'array', items: 'null' }), () => TEXT)
    expect(() => nulls.decode(Buffer.from('feffffffff3f00', 'hex'))).toThrow(
      expect.objectContaining({ message: expect.stringContaining('it claims') }),
    )
  })

  test.each<[string, unknown, string]>([
    ['no JSON', '{', 'it is no JSON'],
    ['no record', '"string"', 'it is of type string, and a row is a record'],
    ['a union of rows', '["null"]', 'it is of type union'],
    ['an unknown type', schemaOf('strnig'), 'at v: there is no type "strnig"'],
    [
      'an unknown type inside',
      schemaOf({ type: 'array', items: ['null', 'x'] }),
      'at v.items[1]: there is no type "x"',
    ],
    ['no fields', '{"type":"record","name":"r"}', 'a record has no list of fields'],
    ['no name', '{"type":"record","fields":[]}', 'a type record has no name'],
    ['an enum without symbols', schemaOf({ type: 'enum', name: 'e' }), 'at v: an enum has no list of symbols'],
    ['a fixed without size', schemaOf({ type: 'fixed', name: 'e' }), 'at v: a fixed has no size'],
    [
      'two fields of one column',
      JSON.stringify({
        type: 'record',
        name: 'r',
        fields: [
          { name: 'a', type: 'int' },
          { name: 'b', type: 'int', 'pg.name': 'a' },
        ],
      }),
      'there are two fields a',
    ],
    ['nothing', schemaOf(7), 'at v: 7 is no type'],
    ['a union in a union', schemaOf(['null', ['int']]), 'at v: a union stands in a union'],
    ['an empty union', schemaOf([]), 'at v: a union has no branch'],
  ])('a schema with %s is refused with its place', (_, text, problem) => {
    expect(() => new AvroDecoder(text as string, () => TEXT)).toThrow(
      expect.objectContaining({ code: 'AVRO_SCHEMA_INVALID', message: expect.stringContaining(problem) }),
    )
  })
})

/** As texts, and given to a sink from the middle of other bytes. */
function bothWays(decoder: AvroDecoder, bytes: Uint8Array): (string | null)[] {
  const around = Buffer.concat([Buffer.from([1, 2, 3]), bytes, Buffer.from([4, 5])])
  const given: (string | null)[] = []
  const write = () =>
    decoder.write(around, 3, 3 + bytes.length, {
      none: () => given.push(null),
      text: (text) => given.push(text),
      bytes: (source, start, end) => given.push(source.toString('utf8', start, end)),
      integer: (value) => given.push(String(value)),
    })
  try {
    const texts = decoder.decode(bytes)
    write()
    expect(given).toStrictEqual(texts)
    return texts
  } catch (error) {
    // A text that is no UTF-8 is the server's to refuse.
    if (!(error as Error).message.includes('UTF-8')) expect(write).toThrow((error as Error).message)
    throw error
  }
}
