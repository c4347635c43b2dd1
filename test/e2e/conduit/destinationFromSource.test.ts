import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { Pipeline } from '../../support/conduit/pipeline.js'
import { SchemaRegistry } from '../../support/conduit/schemaRegistry.js'
import { Sink } from '../../support/conduit/sink.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const TYPES = `
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE TYPE pair AS (a int, b text);
  CREATE DOMAIN price AS numeric(10,2);
  CREATE EXTENSION hstore;
  CREATE TABLE t (id bigint PRIMARY KEY, small smallint, i int, big bigint, f real, d double precision, n numeric,
    dec numeric(12,2), p price, b boolean, s text, v varchar(10), ch char(3), bin bytea, j json, jb jsonb, da date, ti time,
    tz timestamptz, ts timestamp, u uuid, iv interval, m mood, c pair, oi oid, cid inet, r int4range, mo money, bits bit(3),
    ia int[], ta text[], ma mood[], tsa timestamp[], ba bytea[], ja jsonb[], ii int[], tt timetz, x xml, "odd name" text,
    ca pair[], h hstore)`
const ROWS = `
  INSERT INTO t VALUES (1, -2, 3, 9223372036854775807, 1.5, 'NaN', 12.50, 12.5, 0.25, true, E'a "quoted" \\u00e4\\n\\t\\\\', 'v', 'c',
    '\\xdead', '{"a":[1]}', '{"k": 1.25}', '2026-01-02', '03:04:05.5', '2026-01-02 03:04:05+00',
    '2026-01-02 03:04:05.678901', 'c0ffee00-0000-4000-8000-000000000000', '1 day', 'ok', '(1,"x y")', 7, '10.0.0.1', '[1,3)',
    1.5, B'101', '{1,NULL,3}', '{"a,b",NULL,"N\\"ULL",""}', '{ok}', '{2026-01-02 03:04:05}', '{"\\\\xdead",NULL}', '{"{\\"a\\": null}"}',
    '{{1,2},{3,4}}', '03:04:05+02', '<a>b</a>', 'odd',
    ARRAY[ROW(1, 'q"\\,)')::pair, ROW(NULL, '')::pair, NULL], 'a=>"b\\"c", d=>NULL');
  INSERT INTO t VALUES (2);
  INSERT INTO t (id, f, d, n, dec, da, ts, tz, s, bin, j, ia) VALUES (-3, 'Infinity', '-Infinity', 'NaN', 'NaN', 'infinity', '-infinity', 'infinity',
    '', '', 'null', '{}')`

/** A pipeline of ours to ours: the source's records of one run, into the destination. */
async function moved(
  from: TestDatabase,
  to: TestDatabase,
  sql: string,
  records: number,
  {
    source = {},
    sink = {},
    engine = 'v1',
    schemas = undefined as SchemaRegistry | undefined,
  }: {
    source?: Record<string, string>
    sink?: Record<string, string>
    engine?: 'v1' | 'v2'
    schemas?: SchemaRegistry | undefined
  },
): Promise<string[]> {
  const options = { engine, here: true, ...(schemas && { schemas }) }
  await using pipeline = new Pipeline(
    { url: from.url, tables: '*.*', 'logrepl.slotName': from.name, ...source },
    options,
  )
  await using target = await Sink.started({ url: to.url, ...sink }, options)
  await pipeline.start()
  await pipeline.host.says('streaming from')
  await from.query(sql)
  await pipeline.has(records)
  await pipeline.stop()
  const errors = await target.deliver(...pipeline.records)
  await target.stop()
  return errors.filter((error) => error !== '')
}

async function pair(sql: string, rows = '') {
  const from = await testDatabase(server, `${sql};${rows}`)
  from.expectSlots = true
  return { from, to: await testDatabase(server, sql) }
}

const FORMS = [
  ['Avro', {}, true],
  ['Avro, with the schemas of the Go connector', { 'avro.schemas': 'connector' }, true],
  ['Avro, with json and timestamps as text', { 'avro.json': 'string', 'avro.timestamps': 'text' }, true],
  ['JSON', { 'payload.format': 'json', 'logrepl.withAvroSchema': 'false' }, false],
  ['structured', { 'logrepl.withAvroSchema': 'false' }, false],
] as const

describe.each(FORMS)('%s, ours to ours', (name, source, withSchemas) => {
  test('every type and NULL, in snapshot and changes, is at the target as it was', async () => {
    const { from, to } = await pair(TYPES, ROWS)
    await using _from = from
    await using _to = to
    await using schemas = await SchemaRegistry.start()
    const sql = `UPDATE t SET s = 'changed', big = 9007199254740993 WHERE id = 1; UPDATE t SET id = 4 WHERE id = 2; DELETE FROM t WHERE id = -3;
      INSERT INTO t SELECT * FROM (SELECT 5 AS id, small, i, big, f, d, n FROM t WHERE id = 1) x`
    const errors = await moved(from, to, sql, 7, {
      source,
      engine: name === 'JSON' ? 'v2' : 'v1',
      ...(withSchemas && { schemas }),
    })
    expect(errors).toEqual([])
    // A decimal without precision has 65531 decimals there, whichever the number had.
    if (name.includes('Go')) await from.query('UPDATE t SET n = trim_scale(n)')
    expect(await rowsOf(to, 't')).toEqual(await rowsOf(from, 't'))
    expect(await rowsOf(to, 't')).toHaveLength(3)
  })
})

const BIG = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i)"

test('large values that were not sent stay as they are, also where the key changes', async () => {
  const sql =
    'CREATE TABLE t (id int PRIMARY KEY, note text, large text NOT NULL, other text); ALTER TABLE t ALTER large SET STORAGE EXTERNAL'
  const { from, to } = await pair(sql, `INSERT INTO t SELECT i, 'a', ${BIG} FROM generate_series(1, 3) i`)
  await using _from = from
  await using _to = to
  await using schemas = await SchemaRegistry.start()
  const changes = `UPDATE t SET note = 'b' WHERE id = 1; UPDATE t SET id = 4, note = 'c' WHERE id = 2; UPDATE t SET note = 'd' WHERE id = 3;
    UPDATE t SET large = 'short' WHERE id = 3; UPDATE t SET note = 'e' WHERE id = 4`
  expect(await moved(from, to, changes, 8, { schemas })).toEqual([])
  expect(await rowsOf(to, 't')).toEqual(await rowsOf(from, 't'))
})

test.each(['update', 'delete-create'])(
  'keys that change, chains and swaps among them (keyChange: %s)',
  async (keyChange) => {
    const sql = 'CREATE TABLE t (a uuid, b text, note text, PRIMARY KEY (a, b))'
    const uuid = (i: number) => `'00000000-0000-4000-8000-00000000000${i}'`
    const { from, to } = await pair(sql, `INSERT INTO t VALUES (${uuid(1)}, 'x', '1'), (${uuid(2)}, 'y', '2')`)
    await using _from = from
    await using _to = to
    await using schemas = await SchemaRegistry.start()
    const changes = `BEGIN; UPDATE t SET b = 'temporary' WHERE note = '1'; UPDATE t SET a = ${uuid(1)}, b = 'x' WHERE note = '2';
    UPDATE t SET a = ${uuid(2)}, b = 'y' WHERE note = '1'; COMMIT; DELETE FROM t WHERE note = '2'; INSERT INTO t VALUES (${uuid(1)}, 'x', '3')`
    const records = keyChange === 'update' ? 7 : 10
    const options = { schemas, source: { keyChange }, engine: 'v2' } as const
    expect(await moved(from, to, changes, records, options)).toEqual([])
    expect(await rowsOf(to, 't')).toEqual(await rowsOf(from, 't'))
  },
)

test('truncates, several schemas, a partitioned table, tables without a key, and other types at the target', async () => {
  const sql = `CREATE SCHEMA sales; CREATE TABLE sales.t (id int PRIMARY KEY, n int); CREATE TABLE t (id int PRIMARY KEY, n int);
    CREATE TABLE "Odd.Name" ("a.b" text PRIMARY KEY, "C" int); CREATE TABLE log (line text);
    CREATE TABLE parts (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu'); CREATE TABLE parts_us PARTITION OF parts FOR VALUES IN ('us')`
  const rows = `INSERT INTO t VALUES (1, 1), (2, 2); INSERT INTO sales.t VALUES (1, 10), (2, 20);
    INSERT INTO "Odd.Name" VALUES ('k', 1); INSERT INTO parts VALUES (1, 'eu'), (1, 'us'); INSERT INTO log VALUES ('first')`
  const { from, to } = await pair(sql, rows)
  await using _from = from
  await using _to = to
  await to.query('ALTER TABLE t ALTER n TYPE text; ALTER TABLE sales.t ALTER id TYPE bigint')
  await using schemas = await SchemaRegistry.start()
  const changes = `TRUNCATE t; INSERT INTO t VALUES (3, 3); DELETE FROM sales.t WHERE id = 1; UPDATE "Odd.Name" SET "C" = 2;
    INSERT INTO log VALUES ('second'); UPDATE parts SET region = 'us', id = 2 WHERE region = 'eu'`
  const table = '"{{ index .Metadata "postgres.schema" }}"."{{ index .Metadata "opencdc.collection" }}"'
  const source = { truncate: 'record', keyless: 'inserts', tables: 'public.*,sales.*' }
  expect(await moved(from, to, changes, 15, { schemas, source, sink: { table } })).toEqual([])
  for (const name of ['t', 'sales.t', '"Odd.Name"', 'log', 'parts']) {
    expect(await rowsOf(to, name), name).toEqual(await rowsOf(from, name))
  }
})
