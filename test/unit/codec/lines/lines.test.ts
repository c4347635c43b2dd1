import { describe, expect, test } from 'vitest'
import { type LineFormat, lineEncoder } from '../../../../src/codec/lines/lineEncoder.js'
import { ByteWriter } from '../../../../src/core/byteWriter.js'
import { RESTART_IDENTITY } from '../../../../src/postgres/pgoutput/handler.js'
import { arrayOf, builtin, hstore } from '../../../support/codecTypes.js'
import { BatchBuilder, type Sent } from '../../../support/rowBatches.js'
import { typedTable } from '../../../support/typedTable.js'

const USERS = { id: builtin('int8'), name: builtin('text'), price: builtin('float8') }
const ORIGIN = { name: 'shop', database: 'shopdb' }

function lines(format: LineFormat, { batch }: BatchBuilder): string[] {
  const writer = new ByteWriter()
  lineEncoder({ format, origin: ORIGIN }).write(writer, batch)
  return writer.toBuffer().toString().split('\n').slice(0, -1)
}

describe('blink: the raw form of its messages', () => {
  test('insert, update and delete of one row are as Blink sends them, snapshot rows too', () => {
    const batch = new BatchBuilder([typedTable('users', USERS)])
      .create(['7', 'Ann', '12.5'])
      .update(['7', 'Bo', '12.5'])
      .delete(['7', null, null])
      .snapshot(['8', '<&>', null])
    expect(lines('blink', batch)).toEqual([
      '[{"id":7,"name":"Ann","price":12.5}]',
      '[{"id":7,"name":"Bo","price":12.5}]',
      '[{"id":7,"name":null,"price":null}]',
      '[{"id":8,"name":"<&>","price":null}]',
    ])
  })

  test('names stand in the order of their bytes, numbers keep all digits', () => {
    const table = typedTable('t', { z: builtin('int8'), B: builtin('numeric'), a: builtin('float8') })
    expect(lines('blink', new BatchBuilder([table]).create(['9007199254740993', '0.10', 'NaN']))).toEqual([
      '[{"B":0.10,"a":"NaN","z":9007199254740993}]',
    ])
  })

  test('what was not sent is left out, and what is no row has no line', () => {
    const batch = new BatchBuilder([typedTable('users', USERS)]).update(['7', undefined, '1']).truncate()
    expect(lines('blink', batch)).toEqual(['[{"id":7,"price":1}]'])
  })

  test('with REPLICA IDENTITY FULL a delete has the whole row, and nothing is left out', () => {
    const table = typedTable('users', USERS, { replicaIdentity: 'full' })
    const batch = new BatchBuilder([table]).update(['7', undefined, '1'], ['7', 'large', '0'], 'row')
    expect(lines('blink', batch)).toEqual(['[{"id":7,"name":"large","price":1}]'])
  })
})

describe('debezium: the envelope of its connector without schema', () => {
  interface Event {
    readonly op: string
    readonly before: unknown
    readonly after: unknown
    readonly source: Readonly<Record<string, unknown>>
    readonly [name: string]: unknown
  }
  const events = (batch: BatchBuilder) => lines('debezium', batch).map((line) => JSON.parse(line) as Event)

  test('create, update, delete, read and truncate', () => {
    const batch = new BatchBuilder([typedTable('users', USERS)])
      .create(['7', 'Ann', '12.5'])
      .update(['7', 'Bo', '12.5'])
      .delete(['7', null, null])
      .snapshot(['8', null, null])
      .truncate(0, RESTART_IDENTITY)
    expect(events(batch).map(({ op, before, after }) => ({ op, before, after }))).toEqual([
      { op: 'c', before: null, after: { id: 7, name: 'Ann', price: 12.5 } },
      { op: 'u', before: null, after: { id: 7, name: 'Bo', price: 12.5 } },
      { op: 'd', before: { id: 7, name: null, price: null }, after: null },
      { op: 'r', before: null, after: { id: 8, name: null, price: null } },
      { op: 't', before: null, after: null },
    ])
  })

  test('every field is there, in Debezium’s order, with Debezium’s kinds', () => {
    const now = Date.now()
    const [change, row] = events(
      new BatchBuilder([typedTable('users', USERS)]).create(['7', 'A', '1']).snapshot(['8', 'B', '2']),
    )
    expect(Object.keys(change!)).toEqual(['before', 'after', 'source', 'transaction', 'op', 'ts_ms', 'ts_us', 'ts_ns'])
    expect(Object.entries(change!.source)).toEqual([
      ['version', 'tailrace'],
      ['connector', 'postgresql'],
      ['name', 'shop'],
      ['ts_ms', 946_684_800_000],
      ['snapshot', 'false'],
      ['db', 'shopdb'],
      ['sequence', '["1","0"]'],
      ['ts_us', 946_684_800_000_000],
      ['ts_ns', 946_684_800_000_000_000],
      ['schema', 'public'],
      ['table', 'users'],
      ['txId', 1],
      ['lsn', 1],
      ['xmin', null],
    ])
    expect(change!.transaction).toBeNull()
    expect(row!.source).toMatchObject({ snapshot: 'true', sequence: null, txId: null, lsn: null })
    for (const at of [change!.ts_ms, row!.ts_ms, row!.source.ts_ms] as number[]) {
      expect(at).toBeGreaterThanOrEqual(now)
      expect(at).toBeLessThanOrEqual(Date.now())
    }
  })

  test('an update that changes the key is a delete and a create', () => {
    const batch = new BatchBuilder([typedTable('users', USERS)]).update(['9', 'Ann', '1'], ['7', null, null])
    expect(events(batch).map(({ op, before, after }) => ({ op, before, after }))).toEqual([
      { op: 'd', before: { id: 7, name: null, price: null }, after: null },
      { op: 'c', before: null, after: { id: 9, name: 'Ann', price: 1 } },
    ])
  })

  test('the row before an update is there with REPLICA IDENTITY FULL', () => {
    const table = typedTable('users', USERS, { replicaIdentity: 'full' })
    const [event] = events(new BatchBuilder([table]).update(['7', undefined, '1'], ['7', 'large', '0'], 'row'))
    expect(event).toMatchObject({
      op: 'u',
      before: { id: 7, name: 'large', price: 0 },
      after: { id: 7, name: 'large', price: 1 },
    })
  })

  test('what was not sent has Debezium’s placeholder, wherever it stands', () => {
    const table = typedTable('t', { doc: builtin('text'), raw: builtin('bytea'), id: builtin('int4') }, { key: [2] })
    const [event] = events(new BatchBuilder([table]).update([undefined, undefined, '1']))
    expect(event!.after).toEqual({
      doc: '__debezium_unavailable_value',
      raw: Buffer.from('__debezium_unavailable_value').toString('base64'),
      id: 1,
    })
  })

  test.each<[string, Parameters<typeof typedTable>[1][string], number, Sent, unknown]>([
    ['date', builtin('date'), -1, '2024-02-03', 19_756],
    ['date before 1970', builtin('date'), -1, '1969-12-31', -1],
    ['endless date', builtin('date'), -1, 'infinity', 'infinity'],
    ['time', builtin('time'), -1, '01:02:03.4', 3_723_400_000],
    ['time(3)', builtin('time'), 3, '01:02:03.4', 3_723_400],
    ['timetz', builtin('timetz'), -1, '01:02:03.5+02', '23:02:03.5Z'],
    ['timestamp', builtin('timestamp'), -1, '2024-01-02 03:04:05.678901', 1_704_164_645_678_901],
    ['timestamp(0)', builtin('timestamp'), 0, '2024-01-02 03:04:05', 1_704_164_645_000],
    ['timestamp(3)', builtin('timestamp'), 3, '1969-12-31 23:59:59.999', -1],
    ['endless timestamp', builtin('timestamp'), -1, '-infinity', -9_223_372_036_832_400_000],
    ['timestamptz', builtin('timestamptz'), -1, '2024-01-02 03:04:05.5+00', '2024-01-02T03:04:05.5Z'],
    ['interval', builtin('interval'), -1, 'P1Y2M3DT4H5M6.789S', 37_091_106_789_000],
    ['negative interval', builtin('interval'), -1, 'P-1MT-1.5S', -2_629_801_500_000],
    ['numeric', builtin('numeric'), -1, '12345678901234567890.10', '12345678901234567890.10'],
    ['bytea', builtin('bytea'), -1, '\\xdeadbeef', '3q2+7w=='],
    ['json', builtin('json'), -1, '{"a": [1, "b"]}', '{"a": [1, "b"]}'],
    ['jsonb', builtin('jsonb'), -1, '"x"', '"x"'],
    ['hstore', hstore, -1, '"a"=>"1"', '{"a": "1"}'],
    ['oid', builtin('oid'), -1, '4294967295', 4_294_967_295],
    ['bit(1)', builtin('bit'), 1, '1', true],
    ['int8', builtin('int8'), -1, '7', 7],
    ['bool', builtin('bool'), -1, 't', true],
    ['uuid', builtin('uuid'), -1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['int4[]', arrayOf(builtin('int4')), -1, '{1,NULL}', [1, null]],
    ['numeric[]', arrayOf(builtin('numeric')), -1, '{1.50,NaN}', ['1.50', 'NaN']],
    ['timestamptz[]', arrayOf(builtin('timestamptz')), -1, '{"2024-01-02 03:04:05+00"}', ['2024-01-02T03:04:05Z']],
    ['jsonb[]', arrayOf(builtin('jsonb')), -1, '{"{\\"a\\": 1}"}', ['{"a": 1}']],
  ])('a value of %s', (_, type, typmod, sent, expected) => {
    const table = typedTable('t', { id: builtin('int4'), v: type }, { typmods: { v: typmod } })
    const [event] = events(new BatchBuilder([table]).create(['1', sent]))
    expect((event!.after as { v: unknown }).v).toEqual(expected)
  })
})

test('tailrace is the envelope, and ndjson its older name', () => {
  const batch = new BatchBuilder([typedTable('users', USERS)]).create(['7', 'Ann', '12.5'])
  expect(lines('tailrace', batch)).toEqual(lines('ndjson', batch))
  expect(JSON.parse(lines('tailrace', batch)[0]!)).toMatchObject({ operation: 'create', key: { id: 7 }, id: '0/1/0' })
  expect(lines('row', batch)).toEqual(['{"id":7,"name":"Ann","price":12.5}'])
})
