import { expect, test } from 'vitest'
import { Table } from '../../../src/core/table.js'
import { RegisteredSchemas } from '../../../src/homes/conduit/schema/registeredSchemas.js'
import { schemaWishes } from '../../../src/homes/conduit/schema/schemaWishes.js'
import { avroFormat } from '../../../src/homes/conduit/source/avroFormat.js'
import { jsonFormat } from '../../../src/homes/conduit/source/jsonFormat.js'
import { LineRecords } from '../../../src/homes/conduit/source/lineRecords.js'
import { ProtoWriter } from '../../../src/homes/conduit/source/protoWriter.js'
import { readSourceSettings } from '../../../src/homes/conduit/source/sourceOptions.js'
import { CopyOut } from '../../../src/postgres/copy/copyOut.js'
import type { Session } from '../../../src/postgres/session.js'
import { binaryFormsOf } from '../../../src/source/snapshot/binaryForms.js'
import { RowCollector } from '../../../src/source/snapshot/rowCollector.js'
import { builtin } from '../../support/codecTypes.js'
import { tableOf } from '../../support/conduit/lineBatches.js'
import { testDatabase } from '../../support/database.js'
import { openSession } from '../../support/openSession.js'
import { majors, startServer } from '../../support/servers.js'

const ROWS = 3000
/** Nearly every row that is drawn needs a schema of its own, which is what takes long. */
const RECORDS = 150
/** The int8, which is a part of a key. */
const KEY = 3
const random = (below: number) => Math.floor(Math.random() * below)
const digits = (count: number) => Array.from({ length: count }, () => random(10)).join('')
const sign = () => (random(2) === 0 ? '' : '-')
const bits = new DataView(new ArrayBuffer(8))

const finite = (value: number) => String(Number.isFinite(value) ? Math.abs(value) : 1.5)

/** Any float8 there is: by its bits, near a power of two or ten, or a whole number. */
function float8(): string {
  bits.setInt32(0, random(2 ** 32))
  bits.setInt32(4, random(2 ** 32))
  const other = [
    bits.getFloat64(0),
    2 ** (random(2098) - 1074),
    10 ** (random(630) - 320),
    random(2 ** 53),
    random(1000) / 8,
  ]
  return sign() + finite(other[random(other.length)]!)
}

function float4(): string {
  bits.setInt32(0, random(2 ** 32))
  const other = [
    bits.getFloat32(0),
    Math.fround(2 ** (random(277) - 149)),
    Math.fround(random(2 ** 25)),
    0.1,
    1e6,
    123456.7,
  ]
  return sign() + finite(other[random(other.length)]!)
}

const clock = () => `${random(24)}:${random(60)}:${random(60)}.${digits(1 + random(6))}`
const date = () =>
  `${String(1 + random(random(2) === 0 ? 9999 : 200_000)).padStart(4, '0')}-${1 + random(12)}-${1 + random(28)}`
const ancient = () => `${String(1 + random(4700)).padStart(4, '0')}-${1 + random(12)}-${1 + random(28)}`
const CHARACTERS = [...'aé\\\t\n\r"\b\v\f😀x N\u0001']
const text = () => Array.from({ length: random(12) }, () => CHARACTERS[random(CHARACTERS.length)]).join('')

/** SQL type of a column, its builtin, and values; those at the end come now and then. */
const COLUMNS: readonly (readonly [string, Parameters<typeof builtin>[0], () => string, ...string[]])[] = [
  ['int2', 'int2', () => String(random(65_536) - 32_768)],
  ['int4', 'int4', () => String(random(2 ** 32) - 2 ** 31), '-2147483648', '0', '7'],
  ['int8', 'int8', () => sign() + digits(1 + random(18)), '-9223372036854775808', '9223372036854775807', '-1'],
  ['bool', 'bool', () => (random(2) === 0 ? 't' : 'f')],
  ['float4', 'float4', float4, 'NaN', 'Infinity', '-0', '1e-45', '3.4028235e38', '9999999', '1e15'],
  [
    'float8',
    'float8',
    float8,
    'NaN',
    '-Infinity',
    '-0',
    '5e-324',
    '1e23',
    '9007199254740993',
    '1e15',
    '123456789012345680',
  ],
  ['numeric(10,2)', 'numeric', () => `${sign()}${digits(random(8)) || 0}.${digits(2)}`, 'NaN', '0', '-0.01'],
  [
    'numeric',
    'numeric',
    () => `${sign()}${digits(random(40)) || 0}.${digits(random(30))}`,
    'NaN',
    'Infinity',
    '1e1000',
    '10000',
    '1e-20',
  ],
  [
    'numeric(30,5)',
    'numeric',
    () => `${sign()}${digits(random(25)) || 0}.${digits(random(6))}`,
    '0.00001',
    '100000000',
  ],
  ['date', 'date', date, 'infinity', '-infinity', '0001-01-01 BC', '4713-01-01 BC', '5874897-12-31'],
  ['time', 'time', clock, '24:00:00', '00:00:00'],
  [
    'timestamp',
    'timestamp',
    () => `${date()} ${clock()}`,
    'infinity',
    '-infinity',
    '294276-12-31 23:59:59.999999',
    '294247-01-10 04:00:54.775807',
  ],
  [
    'timestamptz',
    'timestamptz',
    () => `${date()} ${clock()}+02`,
    'infinity',
    '4714-11-24 00:00:00+00 BC',
    '294276-12-31 23:59:59+00',
  ],
  ['timestamptz', 'timestamptz', () => `${ancient()} ${clock()}+00 BC`],
  ['text', 'text', text, '', '\\N', 'x'.repeat(600)],
  ['varchar(700)', 'varchar', text],
  ['char(20)', 'bpchar', text],
  ['name', 'name', text],
  ['uuid', 'uuid', () => `${digits(8)}-${digits(4)}-4abc-8def-${digits(12)}`],
  ['bytea', 'bytea', () => `\\x${Buffer.from(text()).toString('hex')}`],
  ['json', 'json', () => JSON.stringify({ a: text(), b: [random(9)] }), 'null'],
  ['jsonb', 'jsonb', () => JSON.stringify({ a: text().replaceAll('\0', ''), b: random(9) }), '"x"'],
]

function tableWith(): Table {
  const types = COLUMNS.map(([, name]) => builtin(name))
  const table = tableOf(types)
  // numeric(10,2), numeric, numeric(30,5)
  const typmods = [((10 << 16) | 2) + 4, -1, ((30 << 16) | 5) + 4]
  const columns = table.columns.map((column) => {
    return column.typeOid === builtin('numeric').oid ? { ...column, typmod: typmods.shift()! } : column
  })
  return new Table({ ...table, columns })
}

/** Rows of a COPY, in as many batches as it takes. */
async function read(session: Session, table: Table, forms: readonly number[] | undefined, rows = ROWS) {
  const columns = table.columns.map(({ name }) => name)
  const collector = new RowCollector(table, columns.length, '0/1', undefined, forms)
  const sql = `COPY (SELECT ${columns.join(', ')} FROM public.t ORDER BY n LIMIT ${rows}) TO STDOUT${forms === undefined ? '' : ' (FORMAT binary)'}`
  await new CopyOut(session, sql, { row: (bytes, start, end) => collector.collect(bytes, start, end) }).done
  return collector.take()
}

async function recordsOf(
  table: Table,
  text: Awaited<ReturnType<typeof read>>,
  rows: typeof text,
  avro: Record<string, string>,
) {
  const settings = readSourceSettings({ url: 'postgres://u@h/shop', tables: 't', ...avro })
  const create = async (subject: string) => ({ subject, version: 1 })
  const format = avroFormat(schemaWishes(settings, 'c'), new RegisteredSchemas({ create }), jsonFormat)
  const { schemas } = format.compile(table)
  for (let i = 0; i < text.count; i++) await schemas!.register(text.rowAt(i))
  const records = new LineRecords(table, format.avro!)
  for (const schema of schemas!.registered) records.learn(schema)
  const writer = new ProtoWriter()
  // A key of two columns, of which one is a number.
  const task = { readMs: 1, beginning: Buffer.from('{'), before: 100, columns: [0, KEY], last: '{}' }
  const lines = rows.linesAsSent!.map((one) => ({ ...one, bytes: Buffer.from(one.bytes) }))
  const made = records.write(writer, lines, task)
  return { made, bytes: writer.copy(), schemas: schemas!.registered.length }
}

test.each([...new Set([majors[0]!, majors.at(-1)!])])(
  'rows in binary format are those in text, and records of them the same, byte by byte (PostgreSQL %i)',
  async (major) => {
    await using server = await startServer({ major })
    const names = COLUMNS.map((_, i) => `c${i + 1}`)
    const columns = COLUMNS.map(([type], i) => `${names[i]} ${type}`).join(', ')
    await using db = await testDatabase(server, `CREATE TABLE t (n serial, id text NOT NULL PRIMARY KEY, ${columns})`)
    const values = COLUMNS.map(([, , drawn, ...odd], column) => {
      const value = () => (odd.length > 0 && random(8) === 0 ? odd[random(odd.length)]! : drawn())
      return Array.from({ length: ROWS }, () => (column !== KEY - 1 && random(10) === 0 ? null : value()))
    })
    const ids = Array.from({ length: ROWS }, (_, i) => `k"\\\n${i}`)
    const casts = COLUMNS.map(([type], i) => `${names[i]}::${type}`).join(', ')
    await db.query(
      `INSERT INTO t (id, ${names.join(', ')}) SELECT id, ${casts}
         FROM unnest(${['', ...names].map((_, i) => `$${i + 1}::text[]`).join(', ')}) AS v (id, ${names.join(', ')})`,
      [ids, ...values],
    )
    await using session = await openSession(db.url)
    const table = tableWith()
    const query = {
      columns: table.columns.map(({ name }) => name),
      read: new Set(table.columns.map(({ name }) => name)),
    }
    const forms = binaryFormsOf(table, { ...query, withPlace: false, rowFilter: undefined })!
    const [asText, asBinary] = [await read(session, table, undefined), await read(session, table, forms)]
    expect(asBinary.count).toBe(ROWS)
    expect(asBinary.linesAsSent!.every((one) => one.forms !== undefined)).toBe(true)

    const settings: readonly Record<string, string>[] = [
      {},
      { 'avro.schemas': 'connector' },
      { 'avro.timestamps': 'text', 'avro.json': 'string' },
    ]
    for (const avro of settings) {
      const [text, binary] = [
        await read(session, table, undefined, RECORDS),
        await read(session, table, forms, RECORDS),
      ]
      const expected = await recordsOf(table, text, text, avro)
      const made = await recordsOf(table, text, binary, avro)
      expect([expected.made.count, made.made.count]).toEqual([RECORDS, RECORDS])
      // The key’s, and more than one of rows, however they are drawn.
      expect(made.schemas).toBeGreaterThan(2)
      expect(Buffer.compare(made.bytes, expected.bytes)).toBe(0)
      expect(made.made).toEqual(expected.made)
    }

    for (const index of [0, 1, 17, ROWS - 1]) {
      expect(asBinary.textsAt(index, [0, KEY])).toEqual(asText.textsAt(index, [0, KEY]))
    }
    const lines = asText.lines!.map(({ bytes }) => Buffer.from(bytes).toString()).join('')
    const same = asBinary.lines!.map(({ bytes }) => Buffer.from(bytes).toString()).join('')
    expect(firstDifference(lines.split('\n'), same.split('\n'))).toBeUndefined()
    for (let i = 0; i < ROWS; i++) {
      const at = i * table.columns.length * 2
      expect(asBinary.tape.values[at]! < 0).toBe(asText.tape.values[at]! < 0)
    }
  },
  60_000,
)

function firstDifference(a: readonly string[], b: readonly string[]) {
  const index = a.findIndex((line, i) => line !== b[i])
  if (index < 0 && a.length === b.length) return undefined
  const [one, other] = [a[index]?.split('\t'), b[index]?.split('\t')]
  const column = one?.findIndex((value, i) => value !== other?.[i])
  return { column, text: one?.[column!], binary: other?.[column!] }
}

test('a COPY in binary format without a row has none, and one that is cut is an error', async () => {
  await using server = await startServer()
  await using db = await testDatabase(server, 'CREATE TABLE t (n serial, id text)')
  await using session = await openSession(db.url)
  const table = tableOf([])
  const rows = await read(session, table, [0])
  expect(rows.count).toBe(0)
  const collector = new RowCollector(table, 1, '0/1', undefined, [0])
  const header = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
  expect(() => collector.collect(Buffer.from('no header at all, but long'), 0, 26)).toThrow('signature')
  const cut = Buffer.concat([header, Buffer.from([0, 1, 0, 0, 0, 9, 65])])
  collector.collect(cut, 0, cut.length)
  expect(() => collector.take().tape).toThrow('does not end where its last value does')
})
