import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { Record as OpenCdcRecord } from '../../../src/homes/conduit/proto/opencdc/v1/opencdc.js'
import { decoded } from '../../support/avro.js'
import { Pipeline } from '../../support/conduit/pipeline.js'
import { SchemaRegistry } from '../../support/conduit/schemaRegistry.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

interface Decoded {
  readonly operation: number
  readonly key: Record<string, unknown> | undefined
  readonly before: Record<string, unknown> | undefined
  readonly after: Record<string, unknown> | undefined
}

/** A record as a reader has it that looks its schemas up, and decodes with another library. */
function decode(schemas: SchemaRegistry, { operation, metadata, key, payload }: OpenCdcRecord): Decoded {
  const part = (name: 'key' | 'payload', data: OpenCdcRecord['key']) => {
    if (data?.data === undefined) return undefined
    if (data.data.$case !== 'rawData') throw new Error('it is no raw data')
    return decoded(schemas.schemaOf(metadata, name), data.data.value)
  }
  return {
    operation,
    key: part('key', key),
    before: part('payload', payload?.before),
    after: part('payload', payload?.after),
  }
}

async function database(sql: string): Promise<TestDatabase> {
  const db = await testDatabase(server, sql)
  db.expectSlots = true
  return db
}

const settings = (db: TestDatabase, others: Record<string, string> = {}) => ({
  url: db.url,
  tables: '*',
  'logrepl.slotName': db.name,
  ...others,
})

const versions = (records: readonly OpenCdcRecord[], part: 'key' | 'payload' = 'payload') =>
  records.map(({ metadata }) => metadata[`opencdc.${part}.schema.version`])

const TYPES = `
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE TYPE pair AS (a int, b text);
  CREATE DOMAIN price AS numeric(10,2);
  CREATE TABLE t (id bigint PRIMARY KEY, small smallint, i int, big bigint, f real, d double precision, n numeric,
    dec numeric(12,2), p price, b boolean, s text, v varchar(10), ch char(3), bin bytea, j json, jb jsonb, da date, ti time,
    tz timestamptz, ts timestamp, u uuid, iv interval, m mood, c pair, oi oid, cid inet, r int4range, mo money, bits bit(3),
    ia int[], ta text[], ma mood[], tsa timestamp[], "odd name" text);
  INSERT INTO t VALUES (1, -2, 3, 9223372036854775807, 1.5, 'NaN', 12.50, 12.5, 0.25, true, E'a "quoted" \\u00e4\\n', 'v', 'c',
    '\\xdead', '{"a": [1]}', '{"k": 1.25}', '2026-01-02', '03:04:05.5', '2026-01-02 03:04:05+00',
    '2026-01-02 03:04:05.678901', 'c0ffee00-0000-4000-8000-000000000000', '1 day', 'ok', '(1,"x y")', 7, '10.0.0.1', '[1,3)',
    1.5, B'101', '{1,NULL,3}', '{"a,b",NULL}', '{ok}', '{2026-01-02 03:04:05}', 'odd');
  INSERT INTO t VALUES (2)`

const DECODED = {
  id: 1n,
  small: -2,
  i: 3,
  big: 9223372036854775807n,
  f: 1.5,
  d: Number.NaN,
  n: '12.50',
  dec: Buffer.from([0x04, 0xe2]),
  p: Buffer.from([0x19]),
  b: true,
  s: 'a "quoted" ä\n',
  v: 'v',
  ch: 'c  ',
  bin: Buffer.from([0xde, 0xad]),
  j: Buffer.from('{"a": [1]}'),
  jb: Buffer.from('{"k": 1.25}'),
  da: 20_455,
  ti: 11_045_500_000n,
  tz: 1_767_323_045_000_000n,
  ts: 1_767_323_045_678_901n,
  u: 'c0ffee00-0000-4000-8000-000000000000',
  iv: 'P1D',
  m: 'ok',
  c: '(1,"x y")',
  oi: '7',
  cid: '10.0.0.1',
  r: '[1,3)',
  mo: '$1.50',
  bits: '101',
  ia: [1, null, 3],
  ta: ['a,b', null],
  ma: ['ok'],
  tsa: ['2026-01-02T03:04:05'],
  odd_name: 'odd',
}

test('keys and rows are Avro by default: every type, and NULL in each, in snapshot and stream alike', async () => {
  await using db = await database(TYPES)
  await using schemas = await SchemaRegistry.start()
  await using pipeline = new Pipeline(settings(db), { schemas, connectorId: 'shop:pg', here: true })
  await pipeline.start()
  await pipeline.has(2)
  await db.query('UPDATE t SET id = 3 WHERE id = 1')
  await db.query('DELETE FROM t WHERE id = 3')
  await pipeline.has(4)
  await pipeline.stop()
  const [first, second, moved, gone] = pipeline.records.map((record) => decode(schemas, record))
  const nothing = Object.fromEntries(Object.keys(DECODED).map((name) => [name, null]))
  expect(first).toEqual({ operation: 4, key: { id: 1n }, before: undefined, after: DECODED })
  expect(second).toEqual({ operation: 4, key: { id: 2n }, before: undefined, after: { ...nothing, id: 2n } })
  // Of the old row the key is known; the rest is null, since before and after have one schema.
  expect(moved).toEqual({
    operation: 2,
    key: { id: 3n },
    before: { ...nothing, id: 1n },
    after: { ...DECODED, id: 3n },
  })
  expect(gone).toEqual({ operation: 3, key: { id: 3n }, before: { ...nothing, id: 3n }, after: undefined })
  for (const { metadata } of pipeline.records) {
    expect(metadata).toMatchObject({
      'opencdc.collection': 't',
      'opencdc.key.schema.subject': 'shop:pg:t_key',
      'opencdc.key.schema.version': '1',
      'opencdc.payload.schema.subject': 'shop:pg:t_payload',
      'opencdc.payload.schema.version': '1',
    })
  }
  expect(schemas.created).toEqual(['shop:pg:t_key', 'shop:pg:t_payload'])
})

describe('schemas', () => {
  test('are registered once per shape, and a shape that changes in the stream has the next version', async () => {
    await using db = await database(
      'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int); ALTER TABLE b REPLICA IDENTITY FULL; INSERT INTO a VALUES (1, $$x$$); INSERT INTO b VALUES (1), (2)',
    )
    await using schemas = await SchemaRegistry.start()
    const options = { schemas, connectorId: 'p:c' }
    await using pipeline = new Pipeline(settings(db), options)
    await pipeline.start()
    await pipeline.has(3)
    await pipeline.host.says('streaming from')
    await db.query("INSERT INTO a VALUES (2, 'y')")
    await db.query('ALTER TABLE a ADD w numeric(5,1), ALTER v TYPE varchar(40)')
    await db.query("INSERT INTO a VALUES (3, 'z', 1.5)")
    await db.query('ALTER TABLE a DROP w')
    await db.query("INSERT INTO a VALUES (4, 'u')")
    await pipeline.has(6)
    await pipeline.stop()
    const ofA = pipeline.records.filter(({ metadata }) => metadata['opencdc.collection'] === 'a')
    expect(ofA.map((record) => decode(schemas, record).after)).toEqual([
      { id: 1, v: 'x' },
      { id: 2, v: 'y' },
      { id: 3, v: 'z', w: Buffer.from([15]) },
      { id: 4, v: 'u' },
    ])
    expect(versions(ofA)).toEqual(['1', '1', '2', '1'])
    expect(versions(ofA, 'key')).toEqual(['1', '1', '1', '1'])
    // A table without a key has no schema of one; the shape that came back was known.
    expect([...schemas.created].sort()).toEqual(['p:c:a_key', 'p:c:a_payload', 'p:c:a_payload', 'p:c:b_payload'])
    await pipeline.start()
    await db.query("INSERT INTO a VALUES (5, 'v')")
    await pipeline.has(1)
    await pipeline.stop()
    expect(versions(pipeline.records.slice(-1))).toEqual(['1'])
    expect(schemas.subjects.get('p:c:a_payload')!.length).toBe(2)
  })

  test('have a version of their own for rows that the usual one has no room for', async () => {
    await using db = await database(`
      CREATE TABLE t (id int PRIMARY KEY, n numeric(5,1), big text, l int[]);
      ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
      INSERT INTO t VALUES (1, 1.5, repeat('x', 3000), '{1}')`)
    await using schemas = await SchemaRegistry.start()
    await using pipeline = new Pipeline(settings(db), { schemas, here: true })
    await pipeline.start()
    await pipeline.has(1)
    await pipeline.host.says('streaming from')
    await db.query('UPDATE t SET n = 2.5')
    await db.query("UPDATE t SET n = 'NaN', big = 'short', l = '{{1},{2}}'")
    await db.query('UPDATE t SET n = 3.5, l = NULL')
    await pipeline.has(4)
    await pipeline.stop()
    const rows = pipeline.records.map((record) => decode(schemas, record).after)
    expect(rows).toEqual([
      { id: 1, n: Buffer.from([15]), big: 'x'.repeat(3000), l: [1] },
      { id: 1, n: Buffer.from([25]), l: [1] },
      { id: 1, n: 'NaN', big: 'short', l: '{{1},{2}}' },
      { id: 1, n: Buffer.from([35]), big: 'short', l: null },
    ])
    expect(versions(pipeline.records)).toEqual(['1', '2', '3', '1'])
    expect(pipeline.records[1]!.metadata['postgres.unchanged']).toBe('["big"]')
  })

  test("are Conduit's own connector's letter by letter with avro.schemas: connector, and a NULL stops nothing", async () => {
    await using db = await database(`
      CREATE TABLE t (id int PRIMARY KEY, n numeric(16,3), ts timestamptz, s text);
      INSERT INTO t VALUES (1, 1.5, '2026-01-02 03:04:05+00', 'x'), (2, NULL, NULL, 'y')`)
    await using schemas = await SchemaRegistry.start()
    await using pipeline = new Pipeline(settings(db, { 'avro.schemas': 'connector' }), { schemas, here: true })
    await pipeline.start()
    await pipeline.has(2)
    await pipeline.stop()
    const [first, second] = pipeline.records
    expect(schemas.schemaOf(first!.metadata, 'payload')).toBe(
      '{"name":"t_payload","type":"record","fields":[{"name":"id","type":"int"},{"name":"n","type":{"type":"bytes","logicalType":"decimal","precision":16,"scale":3}},{"name":"s","type":"string"},{"name":"ts","type":{"type":"long","logicalType":"timestamp-micros"}}]}',
    )
    expect(schemas.schemaOf(first!.metadata, 'key')).toBe(
      '{"name":"t_key","type":"record","fields":[{"name":"id","type":"int"}]}',
    )
    expect(decode(schemas, second!).after).toEqual({ id: 2, n: null, s: 'y', ts: null })
    expect(versions([first!, second!])).toEqual(['1', '2'])
  })

  test('are of the whole row before and after with REPLICA IDENTITY FULL, also where the key changes', async () => {
    await using db = await database(`
      CREATE TABLE t (id int PRIMARY KEY, n numeric(5,1), big text); ALTER TABLE t REPLICA IDENTITY FULL;
      ALTER TABLE t ALTER big SET STORAGE EXTERNAL; INSERT INTO t VALUES (1, 'NaN', repeat('x', 3000))`)
    await using schemas = await SchemaRegistry.start()
    await using pipeline = new Pipeline(settings(db, { keyChange: 'delete-create' }), { schemas, here: true })
    await pipeline.start()
    await pipeline.has(1)
    await pipeline.host.says('streaming from')
    await db.query('UPDATE t SET n = 1')
    await db.query('UPDATE t SET id = 2')
    await pipeline.has(4)
    await pipeline.stop()
    const big = 'x'.repeat(3000)
    expect(pipeline.records.slice(1).map((record) => decode(schemas, record))).toEqual([
      // Before and after have one schema: where either needs it, n is text in both.
      { operation: 2, key: { id: 1 }, before: { id: 1, n: 'NaN', big }, after: { id: 1, n: '1.0', big } },
      { operation: 3, key: { id: 1 }, before: { id: 1, n: Buffer.from([10]), big }, after: undefined },
      { operation: 1, key: { id: 2 }, before: undefined, after: { id: 2, n: Buffer.from([10]), big } },
    ])
  })
})

describe('settings', () => {
  const TABLE = `CREATE TABLE t (id int PRIMARY KEY, ts timestamp, j json);
    INSERT INTO t VALUES (1, '2026-01-02 03:04:05', '{}')`

  async function firstOf(others: Record<string, string>) {
    await using db = await database(TABLE)
    await using schemas = await SchemaRegistry.start()
    await using pipeline = new Pipeline(settings(db, others), { schemas, connectorId: 'p:c', here: true })
    await pipeline.start()
    await pipeline.has(1)
    await pipeline.stop()
    const [record] = pipeline.records
    const warnings = pipeline.host.logs.filter(({ level }) => level === 'warn').map(({ message }) => message)
    return { record: record!, schemas, warnings }
  }

  test('timestamp and json can be texts', async () => {
    const { record, schemas } = await firstOf({ 'avro.timestamps': 'text', 'avro.json': 'string' })
    expect(decode(schemas, record).after).toEqual({ id: 1, ts: '2026-01-02T03:04:05', j: '{}' })
  })

  test('name the subjects: context, and the part behind the table', async () => {
    const { record } = await firstOf({
      'sdk.schema.context.name': 'shop',
      'sdk.schema.extract.payload.subject': 'rows',
    })
    expect(record.metadata).toMatchObject({
      'opencdc.key.schema.subject': 'shop:t_key',
      'opencdc.payload.schema.subject': 'shop:t.rows',
    })
    const { record: bare } = await firstOf({ 'sdk.schema.context.enabled': 'false' })
    expect(bare.metadata['opencdc.key.schema.subject']).toBe('t_key')
  })

  test('turn schemas off, of all or of a part; what has none is as payload.format says', async () => {
    const off = await firstOf({ 'logrepl.withAvroSchema': 'false', 'avro.json': 'string' })
    expect(off.record.payload!.after!.data!.$case).toBe('structuredData')
    expect(Object.keys(off.record.metadata).filter((name) => name.includes('schema.'))).toEqual([])
    expect(off.schemas.created).toEqual([])
    expect(off.warnings).toEqual([expect.stringContaining('avro.json: no effect')])

    const key = await firstOf({ 'sdk.schema.extract.payload.enabled': 'false', 'payload.format': 'json' })
    expect(key.schemas.created).toEqual(['p:c:t_key'])
    const { data } = key.record.payload!.after!
    expect(data!.$case === 'rawData' && JSON.parse(data!.value.toString())).toMatchObject({ id: 1 })
    expect(key.record.metadata).not.toHaveProperty('opencdc.payload.schema.subject')
    expect(key.warnings).toEqual([])

    const payload = await firstOf({
      'logrepl.withAvroSchema': 'false',
      'sdk.schema.extract.payload.enabled': 'true',
    })
    expect(payload.schemas.created).toEqual(['p:c:t.payload'])
    expect(payload.record.key!.data!.$case).toBe('structuredData')

    const both = await firstOf({ 'payload.format': 'json' })
    expect(both.warnings).toEqual([expect.stringContaining('payload.format has no effect')])
  })
})

describe('a schema service', () => {
  const TABLE = 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)'

  test('that refuses is an error with its reason and subject, and the row comes once it does not', async () => {
    await using db = await database(TABLE)
    await using schemas = await SchemaRegistry.start()
    await using pipeline = new Pipeline(settings(db), { schemas, connectorId: 'p:c' })
    schemas.refusal = 'invalid schema: that is no schema'
    await pipeline.start()
    expect(await pipeline.stream.fails()).toMatch(
      /^SCHEMA_REFUSED: .*"p:c:t_key".*invalid schema: that is no schema.*withAvroSchema/s,
    )
    await pipeline.host.kill()
    schemas.refusal = undefined
    await pipeline.start()
    await pipeline.has(1)
    await pipeline.stop()
    expect(decode(schemas, pipeline.records[0]!).after).toEqual({ id: 1 })
  })

  test('that is away is an error that says where it was looked for', async () => {
    await using db = await database(TABLE)
    for (const [target, problem] of [
      ['[::]:1', /at localhost:1 does not answer/],
      ['', /TARGET is not set/],
    ] as const) {
      const settings = { url: db.url, tables: 't', 'logrepl.slotName': db.name, 'logrepl.withAvroSchema': 'true' }
      await using pipeline = new Pipeline(settings, { env: { CONDUIT_CONNECTOR_UTILITIES_GRPC_TARGET: target } })
      await pipeline.start()
      const failure = await pipeline.stream.fails()
      expect(failure).toMatch(/^SCHEMA_SERVICE_UNREACHABLE: /)
      expect(failure).toMatch(problem)
      await pipeline.host.teardown()
      expect(await pipeline.host.kill()).toMatchObject({ killed: false })
    }
  })
})
