import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { avroTable, NO_TUPLE } from '../../../../src/codec/avro/index.js'
import { NO_FALLBACK } from '../../../../src/codec/json/row.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../../../src/core/tape.js'
import { decoded, draftTable, numericTypmod, writeRow } from '../../../support/avro.js'
import { arrayOf, builtin, compositeOf } from '../../../support/codecTypes.js'

const ORDERS = {
  note: { type: builtin('text') },
  id: { type: builtin('int8'), notNull: true },
  total: { type: builtin('numeric'), typmod: numericTypmod(16, 3), notNull: true },
  at: { type: builtin('timestamptz') },
}

describe('the schema of a table', () => {
  test('has fields in the order of their names, with null for all but NOT NULL columns of the key', () => {
    const { key, payload } = avroTable(draftTable('orders', ORDERS, ['id']))
    expect(key?.record.schema).toBe('{"name":"orders_key","type":"record","fields":[{"name":"id","type":"long"}]}')
    expect(payload.record.schema).toBe(
      '{"name":"orders_payload","type":"record","fields":[' +
        '{"name":"at","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},' +
        '{"name":"id","type":"long"},' +
        '{"name":"note","type":["null","string"]},' +
        '{"name":"total","type":["null",{"type":"bytes","logicalType":"decimal","precision":16,"scale":3}]}]}',
    )
  })

  test("is the Go connector's own on request, letter by letter", () => {
    const columns = {
      id: { type: builtin('int8') },
      n: { type: builtin('numeric'), typmod: numericTypmod(16, 3) },
      ts: { type: builtin('timestamptz') },
    }
    const { payload, key } = avroTable(draftTable('t', columns, ['id']), { schemas: 'connector' })
    expect(payload.record.schema).toBe(
      '{"name":"t_payload","type":"record","fields":[{"name":"id","type":"long"},{"name":"n","type":{"type":"bytes","logicalType":"decimal","precision":16,"scale":3}},{"name":"ts","type":{"type":"long","logicalType":"timestamp-micros"}}]}',
    )
    expect(key?.record.schema).toBe('{"name":"t_key","type":"record","fields":[{"name":"id","type":"long"}]}')
  })

  test('of the Go connector has null where it has no schema at all', () => {
    const columns = {
      all: { type: builtin('jsonb') },
      ints: { type: arrayOf(builtin('int4')) },
      row: { type: compositeOf({ a: builtin('int4') }) },
      money: { type: builtin('money') },
      padded: { type: builtin('bpchar') },
      positive: { type: builtin('int4'), typeOid: 99_999 },
      price: { type: builtin('numeric'), typeOid: 99_998 },
    }
    const { schema } = avroTable(draftTable('t', columns), { schemas: 'connector' }).payload.record
    expect(JSON.parse(schema).fields).toStrictEqual([
      { name: 'all', type: 'bytes' },
      { name: 'ints', type: ['null', { type: 'array', items: ['null', 'int'] }] },
      { name: 'money', type: ['null', 'string'] },
      { name: 'padded', type: ['null', 'string'] },
      { name: 'positive', type: ['null', 'int'] },
      { name: 'price', type: ['null', 'string'] },
      { name: 'row', type: ['null', 'string'] },
    ])
  })

  test('has null in the key, too, where its columns may be null', () => {
    const { key, payload } = avroTable(draftTable('t', { a: { type: builtin('text') } }, ['a']))
    expect(JSON.parse(key!.record.schema).fields[0].type).toStrictEqual(['null', 'string'])
    expect(JSON.parse(payload.record.schema).fields[0].type).toStrictEqual(['null', 'string'])
  })

  test('has no key where the table has none', () => {
    expect(avroTable(draftTable('t', { a: { type: builtin('text') } })).key).toBe(undefined)
  })

  test('makes names legal and keeps them apart, whatever the order of the columns', () => {
    const text = { type: builtin('text') }
    const names = ['a_b', 'a-b', 'a b', 'ä', '1st', 'naïve', 'Ünï', '', 'x.y', 'constructor', 'a"b']
    const schemas = [names, [...names].reverse()].map((order) => {
      const table = draftTable('order lines', Object.fromEntries(order.map((name) => [`${name}`, text])))
      return avroTable(table).payload.record.schema
    })
    expect(schemas[0]).toBe(schemas[1])
    const schema = JSON.parse(schemas[0]!)
    expect(schema.name).toBe('order_lines_payload')
    const fields = schema.fields as { name: string; 'pg.name'?: string }[]
    expect(new Set(fields.map(({ name }) => name)).size).toBe(fields.length)
    for (const { name } of fields) expect(name).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/)
    const originals = Object.fromEntries(fields.map((field) => [field['pg.name'] ?? field.name, field.name]))
    expect(originals).toMatchObject({
      a_b: 'a_b',
      'a b': 'a_b_2',
      'a"b': 'a_b_3',
      'a-b': 'a_b_4',
      '1st': '_1st',
      naïve: 'na_ve',
    })
    // another library takes it, too: a byte 0 for each field is a row of NULLs
    expect(Object.values(decoded(schemas[0]!, Buffer.alloc(fields.length)))).toStrictEqual(names.map(() => null))
  })

  test('a domain over numeric(p,s) is that decimal, through domains of domains', () => {
    const domain = (name: string, base: string) =>
      ({ kind: 'domain', schema: 'shop', name, base, notNull: false, collate: '', checks: [] }) as const
    const origin = {
      number: 1,
      before: null,
      types: [domain('price', 'numeric(10,2)'), domain('net', 'shop.price')],
    }
    const column = { type: builtin('numeric'), typeOid: 99_999, origin }
    const table = draftTable('t', { v: column })
    const avro = avroTable(table)
    expect(JSON.parse(avro.payload.record.schema).fields[0].type[1]).toMatchObject({ precision: 10, scale: 2 })
    const { schema, bytes } = writeRow(avro, table, ['1.5'])
    expect(decoded(schema, bytes)).toStrictEqual({ v: Buffer.from([0, 150]) })
    const loose = { ...column, origin: { ...origin, types: [domain('any', 'numeric')] } }
    expect(JSON.parse(avroTable(draftTable('t', { v: loose })).payload.record.schema).fields[0].type[1]).toBe('string')
  })
})

describe('rows that the schema has no room for', () => {
  const table = draftTable('orders', ORDERS, ['id'])
  const avro = avroTable(table)

  test('are few: NULLs and values are of the one record', () => {
    const { schema, bytes } = writeRow(avro, table, [null, '7', '1.500', null])
    expect(schema).toBe(avro.payload.record.schema)
    expect(decoded(schema, bytes)).toStrictEqual({ at: null, id: 7n, note: null, total: Buffer.from([0x05, 0xdc]) })
  })

  test('an unchanged value that was not sent is left out, never null', () => {
    const { schema, bytes } = writeRow(avro, table, [undefined, '7', '1.500', null])
    expect(JSON.parse(schema).fields.map(({ name }: { name: string }) => name)).toStrictEqual(['at', 'id', 'total'])
    expect(decoded(schema, bytes)).toStrictEqual({ at: null, id: 7n, total: Buffer.from([0x05, 0xdc]) })
  })

  test('an unchanged value is taken from the row before', () => {
    const { schema, bytes } = writeRow(avro, table, [undefined, '7', '1.500', null], ['long note', '7', '0.000', null])
    expect(schema).toBe(avro.payload.record.schema)
    expect(decoded(schema, bytes)).toMatchObject({ note: 'long note' })
  })

  test('the same needs are met by the same record', () => {
    const rows = [
      ['a', '1', 'NaN', undefined],
      ['b', '2', 'NaN', undefined],
    ] as const
    const [first, second] = rows.map((row) => writeRow(avro, table, row))
    expect(second!.schema).toBe(first!.schema)
    expect(decoded(first!.schema, first!.bytes)).toStrictEqual({ id: 1n, note: 'a', total: 'NaN' })
  })

  test('whatever rows come before, each gets its own', () => {
    const cell = (value: string) => fc.constantFrom<string | null | undefined>(value, null, undefined)
    const row = fc.tuple(
      cell('n'),
      fc.constant('7'),
      fc.constantFrom('1.500', 'NaN', null),
      cell('1970-01-01 00:00:00+00'),
    )
    fc.assert(
      fc.property(fc.array(row, { minLength: 2 }), (rows) => {
        for (const options of [{}, { schemas: 'connector' }] as const) {
          const shared = avroTable(table, options)
          for (const one of rows)
            expect(writeRow(shared, table, one)).toStrictEqual(writeRow(avroTable(table, options), table, one))
        }
      }),
    )
  })

  test('a row and the row before it are of one record', () => {
    // before: NaN, a note; after: 1.500, an unchanged note
    const bytes = Buffer.from('NaN71.500')
    const tape = Int32Array.from([NULL_COLUMN, NULL_COLUMN, 3, 4, 0, 3, NULL_COLUMN, NULL_COLUMN])
    const after = Int32Array.from([...tape, UNCHANGED_COLUMN, UNCHANGED_COLUMN, 3, 4, 4, 9, NULL_COLUMN, NULL_COLUMN])
    const record = avro.payload.recordFor(bytes, after, 8, NO_FALLBACK, 0)
    expect(JSON.parse(record.schema).fields.map(({ name }: { name: string }) => name)).toStrictEqual([
      'at',
      'id',
      'total',
    ])
    expect(JSON.parse(record.schema).fields[2].type).toStrictEqual(['null', 'string'])
    expect(avro.payload.recordFor(bytes, after, 8, 0, 0)).not.toBe(record)
    expect(avro.payload.recordFor(bytes, after, 8, 0, NO_TUPLE)).toBe(avro.payload.record)
  })

  test('NULL where the Go connector takes none makes that column a union', () => {
    const connector = avroTable(table, { schemas: 'connector' })
    const { schema, bytes } = writeRow(connector, table, [null, '7', '1.500', '1970-01-01 00:00:00+00'])
    expect(JSON.parse(schema).fields.map(({ type }: { type: unknown }) => Array.isArray(type))).toStrictEqual([
      ...[false, false, true, false],
    ])
    expect(decoded(schema, bytes)).toMatchObject({ at: 0n, id: 7n, note: null })
    expect(writeRow(connector, table, ['n', '7', '1.500', 'infinity']).schema).toBe(connector.payload.record.schema)
  })
})
