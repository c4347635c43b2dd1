import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { readConfig } from '../../../src/homes/airbyte/config/readConfig.js'
import { databaseFacts, factsOf } from '../../../src/homes/airbyte/discover/tableFacts.js'
import { connector } from '../../support/airbyte/connector.js'
import { ajv } from '../../support/airbyte/protocolSchemas.js'
import { discovered } from '../../support/airbyte/syncs.js'
import { testDatabase } from '../../support/database.js'
import { CountingQueryable, openSession } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

async function discover(config: object) {
  const run = await connector('discover', { config })
  expect({ code: run.code, errors: run.errors }).toEqual({ code: 0, errors: [] })
  const catalogs = run.of('CATALOG')
  expect(catalogs).toHaveLength(1)
  return { run, streams: catalogs[0]!.catalog.streams as Record<string, never>[] }
}

interface Stream {
  readonly json_schema: { readonly properties: Readonly<Record<string, { readonly type: unknown }>> }
  readonly default_cursor_field: readonly [string]
  readonly source_defined_primary_key?: readonly (readonly [string])[]
}

const TABLES = `
CREATE SCHEMA sales;
CREATE TABLE orders (id int PRIMARY KEY, total numeric(10,2), note text, at timestamptz NOT NULL);
CREATE TABLE sales."Lines" (day date, "No" bigint, tags text[], doc jsonb, PRIMARY KEY (day, "No"));
CREATE TABLE keyless (v text);
CREATE TABLE full_rows (v text);
ALTER TABLE full_rows REPLICA IDENTITY FULL;
CREATE TABLE parts (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
CREATE VIEW recent AS SELECT * FROM orders;
CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY);`

test('each table is a stream with its schema, key, namespace, modes and cursor; the rest is told of', async () => {
  await using db = await testDatabase(server, TABLES)
  const { streams, run } = await discover({ connectionURI: db.url })
  const named = Object.fromEntries(streams.map((one) => [`${one.namespace}.${one.name}`, one]))
  expect(Object.keys(named)).toEqual([
    'public.full_rows',
    'public.keyless',
    'public.orders',
    'public.parts',
    'sales.Lines',
  ])
  expect(named['public.orders']).toEqual({
    name: 'orders',
    namespace: 'public',
    json_schema: {
      $schema: 'http://json-schema.org/draft-07/schema#',
      type: 'object',
      properties: {
        id: { type: 'integer' },
        total: { type: ['number', 'null'] },
        note: { type: ['string', 'null'] },
        at: { type: ['string', 'null'], format: 'date-time', airbyte_type: 'timestamp_with_timezone' },
        _ab_cdc_lsn: { type: 'number' },
        _ab_cdc_updated_at: { type: 'string' },
        _ab_cdc_deleted_at: { type: ['string', 'null'] },
      },
    },
    supported_sync_modes: ['full_refresh', 'incremental'],
    source_defined_cursor: true,
    default_cursor_field: ['_ab_cdc_lsn'],
    source_defined_primary_key: [['id']],
    is_resumable: true,
  })
  expect(named['sales.Lines']).toMatchObject({ source_defined_primary_key: [['day'], ['No']] })
  expect(named['public.parts']).toMatchObject({ source_defined_primary_key: [['id'], ['region']] })
  expect(named['public.keyless']).toMatchObject({ supported_sync_modes: ['full_refresh'], is_resumable: false })
  expect(named['public.keyless']).not.toHaveProperty('source_defined_primary_key')
  expect(named['public.full_rows']).toMatchObject({ supported_sync_modes: ['full_refresh', 'incremental'] })
  const logs = run.logs.join('\n')
  expect(logs).toContain('ALTER TABLE public.keyless REPLICA IDENTITY FULL')
  expect(logs).toMatch(/INFO .* view: public\.recent/)
  expect(logs).toMatch(/INFO .* unlogged table: public\.scratch/)
})

test('what testers ask of a catalog holds: valid schemas, cursor and key declared, no key of an object', async () => {
  await using db = await testDatabase(server, TABLES)
  for (const record_format of ['airbyte', 'estuary', 'debezium']) {
    const { streams } = await discover({ connectionURI: db.url, record_format })
    for (const stream of streams as unknown as Stream[]) {
      const { properties } = stream.json_schema
      expect(() => ajv.compile(stream.json_schema)).not.toThrow()
      expect(JSON.stringify(stream.json_schema)).not.toMatch(/"(\$ref|allOf|anyOf|not)":/)
      for (const [field] of [stream.default_cursor_field, ...(stream.source_defined_primary_key ?? [])]) {
        expect(properties).toHaveProperty(field)
        expect(['object', 'array']).not.toContain(properties[field]!.type)
      }
    }
  }
})

test('schemas, tables and exclude say which tables; a name that means nothing is told of', async () => {
  await using db = await testDatabase(server, TABLES)
  const names = async (config: object) => {
    const { streams, run } = await discover({ connectionURI: db.url, ...config })
    return { names: streams.map(({ name }) => String(name)), run }
  }
  expect((await names({ schemas: ['sales'] })).names).toEqual(['Lines'])
  expect((await names({ tables: 'orders,sales.*' })).names).toEqual(['orders', 'Lines'])
  expect((await names({ schemas: ['public'], exclude: 'keyless, *rows' })).names).toEqual(['orders', 'parts'])
  const wrong = await names({ tables: 'order,keyless' })
  expect(wrong.names).toEqual(['keyless'])
  expect(wrong.run.logs.join('\n')).toContain('Did you mean public.orders?')
})

test('a table that the role may not read is left out, and the GRANT is told', async () => {
  await using db = await testDatabase(
    server,
    'CREATE ROLE half LOGIN; CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); GRANT SELECT ON a TO half',
  )
  const url = new URL(db.url)
  url.username = 'half'
  const { streams, run } = await discover({ connectionURI: url.href })
  expect(streams.map(({ name }) => name)).toEqual(['a'])
  expect(run.logs.join('\n')).toContain('GRANT SELECT ON public.b TO half;')
  await db.query('DROP OWNED BY half; DROP ROLE half')
})

test('2,000 tables are one pass: as few queries as for one, and less than three seconds of processor time', async () => {
  const columns = Array.from({ length: 10 }, (_, i) => `c${i} text`).join(', ')
  await using db = await testDatabase(server)
  await db.query(
    `DO $$ BEGIN FOR i IN 1..2000 LOOP EXECUTE format('CREATE TABLE t%s (id bigint PRIMARY KEY, ${columns})', i); END LOOP; END $$`,
  )
  // Of this process: the machine has other work (`npm run bench -- airbyte` looks at the clock).
  const before = process.cpuUsage()
  expect(await discovered({ connectionURI: db.url })).toHaveLength(2000)
  const { user, system } = process.cpuUsage(before)
  expect((user + system) / 1e6).toBeLessThan(3)
  await using session = await openSession(db.url)
  const counting = new CountingQueryable(session)
  const database = await databaseFacts(counting)
  const tables = database.relations.filter(({ name }) => /^t\d+$/.test(name))
  expect(await factsOf(counting, database, readConfig({ connectionURI: db.url }), tables)).toHaveLength(2000)
  expect(counting.queries).toBeLessThan(10)
})

test('without a server: a trace, and exit code 1', async () => {
  const run = await connector('discover', { config: { host: '127.0.0.1', port: 1, database: 'd', username: 'u' } })
  expect(run.code).toBe(1)
  expect(run.errors).toMatchObject([
    { failure_type: 'transient_error', message: expect.stringContaining('ECONNREFUSED') },
  ])
  const invalid = await connector('discover', { config: '{"connectionURI": 5}' })
  expect(invalid.code).toBe(1)
  expect(invalid.errors).toMatchObject([{ failure_type: 'config_error' }])
})
