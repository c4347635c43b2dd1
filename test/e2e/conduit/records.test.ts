import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { Data, Record as OpenCdcRecord } from '../../../src/homes/conduit/proto/opencdc/v1/opencdc.js'
import { Pipeline } from '../../support/conduit/pipeline.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

/** What a run of statements gives, behind the snapshot of what there was before. */
async function recordsOf(
  before: string,
  statements: readonly string[],
  count: number,
  others: Record<string, string> = {},
): Promise<readonly OpenCdcRecord[]> {
  await using db = await testDatabase(server, before)
  db.expectSlots = true
  await using pipeline = new Pipeline(
    { url: db.url, tables: '*', 'logrepl.slotName': db.name, ...others },
    { here: true },
  )
  await pipeline.start()
  await pipeline.host.says('streaming from')
  for (const sql of statements) await db.query(sql)
  await pipeline.has(count)
  await pipeline.stop()
  expect(pipeline.host.panic).toBeUndefined()
  expect(pipeline.records.length).toBe(count)
  return pipeline.records
}

const structured = (data: Data | undefined) => (data?.data?.$case === 'structuredData' ? data.data.value : undefined)
const raw = (data: Data | undefined) => (data?.data?.$case === 'rawData' ? data.data.value.toString() : undefined)

const TYPES = `
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE TYPE pair AS (a int, b text);
  CREATE TABLE t (id bigint PRIMARY KEY, big bigint, small smallint, n numeric, f real, d double precision, b boolean, s text,
    bin bytea, j json, jb jsonb, ts timestamp, tz timestamptz, da date, ti time, u uuid, iv interval, m mood, c pair,
    ia int[], ba bigint[], ta text[], oi oid);
  INSERT INTO t VALUES (1, 9223372036854775807, -2, 12.50, 1.5, 'NaN', true, E'a "quoted" \\u00e4\\n', '\\xdead',
    '{"a": [1, null, "x"]}', '{"k": 1.25}', '2026-01-02 03:04:05.678901', '2026-01-02 03:04:05+00', '2026-01-02', '03:04:05',
    'c0ffee00-0000-4000-8000-000000000000', '1 day', 'ok', '(1,"x y")', '{1,NULL,3}', '{9223372036854775807}', '{"a,b",NULL}', 7);
  INSERT INTO t VALUES (2)`

const EXPECTED = {
  id: 1,
  big: '9223372036854775807',
  small: -2,
  n: '12.50',
  f: 1.5,
  d: 'NaN',
  b: true,
  s: 'a "quoted" ä\n',
  bin: '\\xdead',
  j: { a: [1, null, 'x'] },
  jb: { k: 1.25 },
  ts: '2026-01-02T03:04:05.678901',
  tz: '2026-01-02T03:04:05+00:00',
  da: '2026-01-02',
  ti: '03:04:05',
  u: 'c0ffee00-0000-4000-8000-000000000000',
  iv: 'P1D',
  m: 'ok',
  c: { a: 1, b: 'x y' },
  ia: [1, null, 3],
  ba: ['9223372036854775807'],
  ta: ['a,b', null],
  oi: '7',
}

test('structured data has every type without loss, and NULL in each, in snapshot and stream alike', async () => {
  const records = await recordsOf(
    TYPES,
    [
      'INSERT INTO t SELECT 3, big, small, n, f, d, b, s, bin, j, jb, ts, tz, da, ti, u, iv, m, c, ia, ba, ta, oi FROM t WHERE id = 1',
    ],
    3,
  )
  const [first, second, third] = records.map(({ payload }) => structured(payload?.after))
  expect(first).toEqual(EXPECTED)
  expect(second).toEqual({ ...Object.fromEntries(Object.keys(EXPECTED).map((name) => [name, null])), id: 2 })
  expect(third).toEqual({ ...EXPECTED, id: 3 })
  expect(structured(records[2]!.key)).toEqual({ id: 3 })
})

test("payload.format: json is the server's own to_json of key and row", async () => {
  await using db = await testDatabase(server, TYPES)
  db.expectSlots = true
  await using pipeline = new Pipeline({
    url: db.url,
    tables: 't',
    'logrepl.slotName': db.name,
    'payload.format': 'json',
  })
  await pipeline.start()
  await pipeline.has(2)
  await pipeline.stop()
  await db.query("SET TimeZone = 'UTC'")
  await db.query("SET IntervalStyle = 'iso_8601'")
  const [row] = await db.query<{ json: string }>('SELECT to_json(t)::text AS json FROM t WHERE id = 1')
  const [first] = pipeline.records
  expect(JSON.parse(raw(first!.payload!.after)!)).toEqual(JSON.parse(row!.json))
  expect(raw(first!.payload!.after)).toContain('"big":9223372036854775807,')
  expect(raw(first!.key)).toBe('{"id":1}')
})

describe('metadata', () => {
  test('says table, schema, when it was read, and of a change also transaction, commit time and place', async () => {
    const since = Date.now()
    const [row, change] = await recordsOf(
      'CREATE SCHEMA sales; CREATE TABLE sales.items (id int PRIMARY KEY); INSERT INTO sales.items VALUES (1)',
      ['INSERT INTO sales.items VALUES (2)'],
      2,
      { tables: 'sales.*' },
    )
    const { 'opencdc.readAt': readAt, ...others } = row!.metadata
    expect(others).toEqual({ 'opencdc.collection': 'items', 'postgres.schema': 'sales' })
    const { 'opencdc.createdAt': createdAt, 'opencdc.readAt': changeReadAt, ...ofChange } = change!.metadata
    expect(ofChange).toEqual({
      'opencdc.collection': 'items',
      'postgres.schema': 'sales',
      'postgres.lsn': expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
      'postgres.xid': expect.stringMatching(/^\d+$/),
      'postgres.seq': '0',
    })
    for (const time of [readAt, createdAt, changeReadAt]) {
      expect(Number(BigInt(time!) / 1_000_000n)).toBeGreaterThanOrEqual(since - 1000)
      expect(Number(BigInt(time!) / 1_000_000n)).toBeLessThanOrEqual(Date.now() + 1)
    }
  })
})

describe('before', () => {
  test('is the whole old row with REPLICA IDENTITY FULL, else nothing but an old key', async () => {
    const records = await recordsOf(
      `CREATE TABLE a_full (id int PRIMARY KEY, v int); ALTER TABLE a_full REPLICA IDENTITY FULL;
       CREATE TABLE b_key (id int PRIMARY KEY, v int); INSERT INTO a_full VALUES (1, 1); INSERT INTO b_key VALUES (1, 1)`,
      [
        'UPDATE a_full SET v = 2',
        'DELETE FROM a_full',
        'UPDATE b_key SET v = 2',
        'UPDATE b_key SET id = 2',
        'DELETE FROM b_key',
      ],
      7,
    )
    expect(
      records
        .slice(2)
        .map(({ key, payload }) => [structured(key), structured(payload?.before), structured(payload?.after)]),
    ).toEqual([
      [{ id: 1 }, { id: 1, v: 1 }, { id: 1, v: 2 }],
      [{ id: 1 }, { id: 1, v: 2 }, undefined],
      [{ id: 1 }, undefined, { id: 1, v: 2 }],
      [{ id: 2 }, { id: 1 }, { id: 2, v: 2 }],
      [{ id: 2 }, { id: 2 }, undefined],
    ])
  })

  test('with keyChange: delete-create a changed key is two records, and every position lies between them, too', async () => {
    await using db = await testDatabase(
      server,
      'CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)',
    )
    db.expectSlots = true
    const settings = { url: db.url, tables: 't', 'logrepl.slotName': db.name, keyChange: 'delete-create' }
    await using pipeline = new Pipeline(settings, { ackAfterMs: undefined })
    await pipeline.start()
    await pipeline.has(1)
    await pipeline.host.says('streaming from')
    await db.query('UPDATE t SET id = 2; UPDATE t SET v = 3; UPDATE t SET id = 4')
    await pipeline.has(6)
    await pipeline.crash()
    const short = ({ operation, key, payload }: OpenCdcRecord) => [
      operation,
      structured(key),
      structured(payload?.before),
      structured(payload?.after),
    ]
    const all = pipeline.records.map(short)
    expect(all.slice(1)).toEqual([
      [3, { id: 1 }, { id: 1 }, undefined],
      [1, { id: 2 }, undefined, { id: 2, v: 1 }],
      [2, { id: 2 }, undefined, { id: 2, v: 3 }],
      [3, { id: 2 }, { id: 2 }, undefined],
      [1, { id: 4 }, undefined, { id: 4, v: 3 }],
    ])
    expect(new Set(pipeline.records.map(({ position }) => position.toString())).size).toBe(6)
    for (const [index, { position }] of pipeline.records.entries()) {
      await using again = new Pipeline(settings, { ackAfterMs: undefined })
      again.stored = position
      await again.start()
      await again.has(5 - index)
      await again.stop()
      expect(again.records.map(short)).toEqual(all.slice(index + 1))
    }
  })

  test('a large value that an UPDATE left alone is left out and named, never null; with toast: fetch it is read', async () => {
    const before = `CREATE TABLE big (id int PRIMARY KEY, v int, doc text);
      ALTER TABLE big ALTER doc SET STORAGE EXTERNAL; INSERT INTO big VALUES (1, 1, repeat('x', 5000))`
    const [, left] = await recordsOf(before, ['UPDATE big SET v = 2'], 2)
    expect(structured(left!.payload!.after)).toEqual({ id: 1, v: 2 })
    expect(left!.metadata['postgres.unchanged']).toBe('["doc"]')
    const [, fetched] = await recordsOf(before, ['UPDATE big SET v = 2'], 2, { toast: 'fetch' })
    expect(structured(fetched!.payload!.after)).toEqual({ id: 1, v: 2, doc: 'x'.repeat(5000) })
    expect(fetched!.metadata).not.toHaveProperty('postgres.unchanged')
  })
})

describe('a truncate', () => {
  const TABLE = 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)'
  const STATEMENTS = ['INSERT INTO t VALUES (2)', 'TRUNCATE t', 'INSERT INTO t VALUES (3)']

  test('is a record that says so', async () => {
    const records = await recordsOf(TABLE, STATEMENTS, 4, { truncate: 'record' })
    const { operation, key, payload, metadata } = records[2]!
    expect([operation, key, payload]).toEqual([3, undefined, undefined])
    expect(metadata).toMatchObject({ 'opencdc.collection': 't', 'postgres.operation': 'truncate' })
  })

  test('is left out with a warning', async () => {
    const records = await recordsOf(TABLE, STATEMENTS, 3, { truncate: 'ignore' })
    expect(records.map(({ operation }) => operation)).toEqual([4, 1, 1])
  })

  test('stops the run with the way out, behind all that came before, and again until the setting says what to do', async () => {
    await using db: TestDatabase = await testDatabase(server, TABLE)
    db.expectSlots = true
    const settings = { url: db.url, tables: 't', 'logrepl.slotName': db.name }
    await using pipeline = new Pipeline(settings)
    await pipeline.start()
    await pipeline.has(1)
    for (const sql of STATEMENTS) await db.query(sql)
    expect(await pipeline.stream.fails()).toMatch(/^TABLE_TRUNCATED: .*public\.t.*truncate to "ignore"/)
    await pipeline.host.teardown()
    await pipeline.host.kill()
    expect(pipeline.stream.records.length).toBe(2)
    await pipeline.start()
    expect(await pipeline.stream.fails()).toMatch(/^TABLE_TRUNCATED/)
    await pipeline.host.kill()
    await using going = new Pipeline({ ...settings, truncate: 'ignore' })
    going.stored = pipeline.stored
    await going.start()
    await going.has(1)
    await going.stop()
    expect(going.records.map(({ key }) => structured(key))).toEqual([{ id: 3 }])
  })
})

test('long polling reads tables again and again, without slot and publication', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)')
  await using pipeline = new Pipeline({ url: db.url, tables: 't', cdcMode: 'long_polling', pollInterval: '200ms' })
  await pipeline.start()
  await pipeline.has(1)
  await db.query('INSERT INTO t VALUES (2, 2)')
  await pipeline.has(2)
  await pipeline.stop()
  await db.query('UPDATE t SET v = 3 WHERE id = 1')
  await pipeline.start()
  await pipeline.has(1)
  await pipeline.stop()
  expect(pipeline.records.map(({ payload }) => structured(payload?.after))).toEqual([
    { id: 1, v: 1 },
    { id: 2, v: 2 },
    { id: 1, v: 3 },
  ])
})
