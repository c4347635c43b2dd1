import { describe, expect, test } from 'vitest'
import { lineEncoder } from '../../../../../src/codec/lines/lineEncoder.js'
import { ByteWriter } from '../../../../../src/core/byteWriter.js'
import { VALUE_MISFIT } from '../../../../../src/core/pipelineErrors.js'
import { checkDeclared } from '../../../../../src/homes/pipeline/declared/checkDeclared.js'
import type { DeclaredColumn } from '../../../../../src/homes/pipeline/declared/declaredStream.js'
import { isSameType } from '../../../../../src/homes/pipeline/declared/nativeType.js'
import { type Mismatch, shownTables } from '../../../../../src/homes/pipeline/declared/shownTable.js'
import type { CatalogTable } from '../../../../../src/postgres/catalog/tables.js'
import type { PgType } from '../../../../../src/postgres/catalog/types.js'
import { encodeRecords } from '../../../../../src/sinks/files/encodeRecords.js'
import { Batch } from '../../../../../src/source/batch.js'
import { StreamPosition } from '../../../../../src/source/position.js'
import { arrayOf, builtin, userScalar } from '../../../../support/codecTypes.js'
import { BatchBuilder } from '../../../../support/rowBatches.js'
import { typedTable } from '../../../../support/typedTable.js'

const POSITION = {
  version: 1,
  system: '1',
  timeline: 1,
  database: 'd',
  slot: 's',
  epoch: 1,
  lsn: '0/1',
  seq: 2,
  sub: 0,
  end: '0/2',
}

function stream(...columns: (Partial<DeclaredColumn> & { readonly name: string })[]) {
  const declared = columns.map((column) => ({ type: undefined, native: undefined, isKey: false, ...column }))
  return { name: 't', schema: 'public', table: 't', columns: declared }
}

/** The JSON of a value of `type`, declared as `declared`. */
function written(type: PgType, declared: string, text: string, mismatch: Mismatch = 'refuse'): string {
  const shown = shownTables([stream({ name: 'v', type: declared })], mismatch)
  const writer = new ByteWriter()
  const { batch } = new BatchBuilder([typedTable('t', { v: type })]).create([text])
  lineEncoder({ format: 'row', shown, origin: { name: '', database: '' } }).write(writer, batch)
  return writer.toBuffer().toString().slice('{"v":'.length, -2)
}

describe('how a declared type is written', () => {
  test.each<[string, PgType, string, string]>([
    ['Boolean', builtin('bool'), 't', 'true'],
    ['String', builtin('bool'), 'f', '"false"'],
    ['Int16', builtin('int2'), '-1', '-1'],
    ['Int32', builtin('int4'), '12', '12'],
    ['Int64', builtin('int4'), '12', '12'],
    ['String', builtin('int4'), '12', '"12"'],
    ['Int64', builtin('int8'), '9007199254740993', '9007199254740993'],
    ['Uint64', builtin('int8'), '9', '9'],
    ['String', builtin('int8'), '9007199254740993', '"9007199254740993"'],
    ['Int64', builtin('oid'), '42', '42'],
    ['Float32', builtin('float4'), '1.5', '1.5'],
    ['Float64', builtin('float8'), 'NaN', '"NaN"'],
    ['Float64', builtin('numeric'), '12.50', '12.50'],
    ['Decimal', builtin('numeric'), '12.50', '12.50'],
    ['String', builtin('numeric'), '12.50', '"12.50"'],
    ['Int32', builtin('numeric'), '12.00', '12'],
    ['Int64', builtin('numeric'), '-9223372036854775808', '-9223372036854775808'],
    ['String', builtin('text'), 'a "b"', '"a \\"b\\""'],
    ['String', userScalar('mood'), 'sad', '"sad"'],
    ['UUID', builtin('uuid'), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'],
    ['Inet', builtin('inet'), '10.0.0.1', '"10.0.0.1"'],
    ['bytea', builtin('bytea'), '\\xdeadbeef', '"3q2+7w=="'],
    ['String', builtin('bytea'), '\\xde', '"\\\\xde"'],
    ['Date32', builtin('date'), '2024-02-03', '"2024-02-03"'],
    ['JSON', builtin('jsonb'), '{"a": 1}', '{"a": 1}'],
    ['String', builtin('jsonb'), '{"a": 1}', '"{\\"a\\": 1}"'],
    ['String', builtin('json'), '{"a":\n1}', '"{\\"a\\":\\n1}"'],
    ['List<Int64>', arrayOf(builtin('int4')), '{1,NULL}', '[1,null]'],
    ['List<Float64>', arrayOf(builtin('float8')), '{1.5}', '[1.5]'],
    ['List<String>', arrayOf(builtin('text')), '{a,"b c"}', '["a","b c"]'],
    ['List<JSON>', arrayOf(builtin('jsonb')), '{"{\\"a\\": 1}"}', '[{"a": 1}]'],
    ['String', arrayOf(builtin('int4')), '{1,2}', '"{1,2}"'],
    ['String', builtin('timestamptz'), '2024-01-02 03:04:05+00', '"2024-01-02 03:04:05+00"'],
    ['TimestampTz', builtin('timestamptz'), '2024-01-02 03:04:05+00', '"2024-01-02T03:04:05+00:00"'],
    ['Timestamp', builtin('timestamp'), '2024-01-02 03:04:05', '"2024-01-02T03:04:05"'],
    ['Time', builtin('time'), '03:04:05', '"03:04:05"'],
    ['Interval', builtin('interval'), 'P1D', '"P1D"'],
  ])('%s of %o', (declared, type, text, json) => {
    expect(written(type, declared, text)).toBe(json)
  })

  test.each<[string, PgType, string, string]>([
    ['Int32', builtin('numeric'), '12.50', 'it has decimals'],
    ['Int32', builtin('numeric'), '2147483648', 'it is out of range'],
    ['Int32', builtin('numeric'), '-2147483649', 'it is out of range'],
    ['Int64', builtin('numeric'), '9223372036854775808', 'it is out of range'],
    ['Int64', builtin('numeric'), 'NaN', 'it is no number'],
    ['Int64', builtin('numeric'), '-Infinity', 'it is no number'],
    ['Uint64', builtin('int8'), '-1', 'it is out of range'],
    ['Int32', builtin('oid'), '4294967295', 'it is out of range'],
  ])(
    '%s cannot hold every value of its column, and one that does not fit is an error without the value',
    (declared, type, text, problem) => {
      let told: unknown
      try {
        written(type, declared, text)
      } catch (error) {
        told = error
      }
      expect(VALUE_MISFIT.is(told)).toBe(true)
      expect(String(told)).toContain(`a value of public.t.v does not fit ${declared}`)
      expect(String(told)).toContain(problem)
      expect(String(told)).not.toContain(text)
    },
  )

  test('a column altered to what it cannot be ends the run; lenient: it is text; behind processors as it is', () => {
    expect(written(builtin('bool'), 'Int32', 't', 'keep')).toBe('true')
    expect(() => written(builtin('text'), 'Int32', 'x')).toThrow(
      /column v of public.t is text, which Int32 cannot hold/,
    )
    expect(written(builtin('text'), 'Int32', 'x', 'text')).toBe('"x"')
  })

  test('a column that is not declared, as a processor adds one, is written as it is', () => {
    expect(written(builtin('int4'), 'Int32', '1')).toBe('1')
    const shown = shownTables([stream({ name: 'other', type: 'String' })], 'refuse')
    const table = typedTable('t', { v: builtin('int4') })
    expect(shown(table).codecs).toEqual(table.codecs)
  })
})

const COLUMNS: Readonly<Record<string, [PgType, string]>> = {
  id: [builtin('int4'), 'integer'],
  name: [builtin('varchar'), 'character varying(20)'],
  fare: [builtin('numeric'), 'numeric(10,2)'],
}

function catalogTable(primaryKey: readonly string[] | undefined): CatalogTable {
  const columns = Object.entries(COLUMNS).map(([name, [type, typeName]]) => ({ name, typeOid: type.oid, typeName }))
  const key = primaryKey && { name: 't_pkey', columns: primaryKey, deferrable: false }
  return { schema: 'public', name: 't', columns, primaryKey: key } as unknown as CatalogTable
}

const byOid = new Map(Object.values(COLUMNS).map(([type]) => [type.oid, type]))

function check(columns: Parameters<typeof stream>, primaryKey: readonly string[] | null = ['id'], lenient = false) {
  return checkDeclared([stream(...columns)], [catalogTable(primaryKey ?? undefined)], (oid) => byOid.get(oid), lenient)
}

describe('what the catalog says to what is declared', () => {
  test('what fits is not spoken of', () => {
    const columns = [
      { name: 'id', type: 'Int32', native: 'integer', isKey: true },
      { name: 'name', type: 'String', native: 'varchar' },
      { name: 'fare', type: 'Int32', native: 'numeric' },
    ]
    expect(check(columns)).toEqual({ problems: [], warnings: [], keys: {} })
  })

  test('a type that cannot hold the column names it and what can; lenient: a warning', () => {
    const told = 'column name of public.t is varchar, which Int32 cannot hold: declare it as String'
    expect(check([{ name: 'name', type: 'Int32' }]).problems).toEqual([told])
    expect(check([{ name: 'name', type: 'Int32' }], ['id'], true)).toEqual({
      problems: [],
      warnings: [`${told}; it is written as text`],
      keys: {},
    })
    expect(check([{ name: 'fare', type: 'Int16' }]).problems[0]).toContain('declare it as Decimal or Float64 or Int64')
  })

  test('a column that is not there names the nearest', () => {
    expect(check([{ name: 'nmae' }, { name: 'zzz' }]).problems).toEqual([
      'public.t has no column nmae: did you mean name?',
      'public.t has no column zzz: it has id, name, fare',
    ])
  })

  test('a nativeConnectorType that is another is a warning', () => {
    expect(check([{ name: 'id', native: 'bigint' }]).warnings).toEqual([
      'nativeConnectorType of column id of public.t is bigint, and the column is integer',
    ])
  })

  test('a declared key counts where the table has none; another one than the table’s is a warning', () => {
    const pair = [
      { name: 'name', isKey: true },
      { name: 'id', isKey: true },
    ]
    expect(check(pair, null).keys).toEqual({ 'public.t': ['name', 'id'] })
    expect(check(pair, ['id', 'name'])).toEqual({ problems: [], warnings: [], keys: {} })
    expect(check(pair, ['id']).warnings).toEqual([
      'public.t has the primary key (id), and stream_schema says (name, id): the first counts',
    ])
  })
})

test.each([
  ['integer', 'integer', true],
  ['INT4', 'integer', true],
  ['int', 'bigint', false],
  ['varchar', 'character varying(20)', true],
  ['character varying', 'character varying(20)', true],
  ['varchar(255)', 'character varying(20)', true],
  ['numeric', 'numeric(10,2)', true],
  ['decimal', 'numeric', true],
  ['timestamptz', 'timestamp with time zone', true],
  ['timestamp(3)', 'timestamp(3) without time zone', true],
  ['timestamp', 'timestamp with time zone', false],
  ['float8', 'double precision', true],
  ['_int4', 'integer[]', true],
  ['text[]', 'text[]', true],
  ['ARRAY', 'text[]', true],
  ['text', 'text[]', false],
  ['USER-DEFINED', 'shop.mood', true],
  ['mood', 'shop.mood', true],
])('a nativeConnectorType %s for %s: %s', (native, typeName, same) => {
  expect(isSameType(native, typeName)).toBe(same)
})

test('a value that does not fit is put aside where that is wanted, and the others are written', () => {
  const shown = shownTables([stream({ name: 'v', type: 'Int32' })], 'refuse')
  const table = typedTable('t', { v: builtin('numeric') })
  const rows = new BatchBuilder([table]).create(['1']).create(['1.5']).create(['3']).batch
  const batch = new Batch(rows, StreamPosition.parse(POSITION), () => {})
  const [writer, rejected] = [new ByteWriter(), [] as number[]]
  const encoder = lineEncoder({ format: 'row', shown, origin: { name: '', database: '' } })
  const reject = (index: number) => void rejected.push(index)
  encodeRecords(encoder, writer, batch, { from: 0, to: 3, maxBytes: undefined, reject })
  expect(writer.toBuffer().toString()).toBe('{"v":1}\n{"v":3}\n')
  expect(rejected).toEqual([1])
})
