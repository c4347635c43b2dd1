import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { connector } from '../../support/airbyte/connector.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

async function check(config: unknown) {
  const run = await connector('check', { config })
  expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' })
  const statuses = run.of('CONNECTION_STATUS')
  expect(statuses).toHaveLength(1)
  return { run, ...(statuses[0]!.connectionStatus as { status: string; message?: string }) }
}

test('a database that can be captured: SUCCEEDED, by connectionURI, by host, and by address', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE orders (id int PRIMARY KEY)')
  const { hostname, port } = new URL(db.url)
  const place = { database: db.name, username: 'postgres' }
  for (const config of [
    { connectionURI: db.url },
    { host: hostname, port: Number(port), ...place, password: null, replication_method: { method: 'CDC' } },
    { address: `${hostname}:${port}`, database: db.name, user: 'postgres', advanced: { sslmode: 'disable' } },
  ]) {
    expect(await check(config)).toMatchObject({ status: 'SUCCEEDED' })
  }
})

test('unknown keys are passed over with a word, internal ones without', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE orders (id int PRIMARY KEY)')
  const { status, run } = await check({ connectionURI: db.url, slot_nam: 'x', _internal: 1 })
  expect(status).toBe('SUCCEEDED')
  expect(run.logs).toContain('WARN unknown key "slot_nam" is passed over: did you mean "slot_name"?')
  expect(run.stdout).not.toContain('_internal')
})

test('wrong values are told all at once, and no password', async () => {
  const config = { host: 'h', port: 'five', password: 7, record_format: 'xml', tunnel_method: { tunnel_method: 'SSH' } }
  const { status, message } = await check(config)
  expect(status).toBe('FAILED')
  for (const name of ['"port"', '"password"', '"record_format"', 'SSH tunnel']) expect(message).toContain(name)
  expect((await check({})).message).toContain('connectionURI')
  const secret = await check({ connectionURI: 'postgres://u:sesame@h:port/d' })
  expect(secret.status).toBe('FAILED')
  expect(secret.run.stdout).not.toContain('sesame')
})

test('a wrong password and a host that does not answer: FAILED with exit code 0', async () => {
  await using db = await testDatabase(server)
  const nobody = new URL(db.url)
  nobody.username = 'nobody_here'
  nobody.password = 'sesame'
  const refused = await check({ connectionURI: nobody.href })
  expect(refused).toMatchObject({ status: 'FAILED', message: expect.stringContaining('nobody_here') })
  expect(refused.run.stdout).not.toContain('sesame')
  const silent = await check({ host: '127.0.0.1', port: 1, database: 'd', username: 'u' })
  expect(silent).toMatchObject({ status: 'FAILED', message: expect.stringContaining('ECONNREFUSED') })
})

test('everything that is missing is told in one message, each with the SQL that mends it', async () => {
  await using replica = await startServer({ settings: { wal_level: 'replica' } })
  await using db = await testDatabase(
    replica,
    "CREATE ROLE capture LOGIN; CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE log (v text); GRANT SELECT ON log TO capture; SELECT pg_create_physical_replication_slot('flow_slot_x')",
  )
  const url = new URL(db.url)
  url.username = 'capture'
  const { status, message } = await check({ connectionURI: url.href, tables: 'orders,log' })
  expect(status).toBe('FAILED')
  expect(message).toContain('wal_level')
  expect(message).toContain('Run: ALTER ROLE capture REPLICATION;')
  expect(message).toContain('Run: GRANT SELECT ON public.orders TO capture;')
  expect(message).toContain('Run: ALTER TABLE public.log REPLICA IDENTITY FULL;')
  expect(message).not.toContain('--')
  await db.query("SELECT pg_drop_replication_slot('flow_slot_x'); DROP OWNED BY capture; DROP ROLE capture")
})

test('no table at all: FAILED, with the names that mean nothing; what goes with host only is told beside connectionURI', async () => {
  await using db = await testDatabase(server)
  const connectionURI = db.url
  expect(await check({ connectionURI })).toMatchObject({
    status: 'FAILED',
    message: expect.stringContaining('no table that can be read'),
  })
  const { status, message, run } = await check({ connectionURI, schemas: ['nobody'], password: 'x', port: 5432 })
  expect([status, message]).toEqual(['FAILED', expect.stringContaining('"nobody".*')])
  expect(run.logs.filter((one) => one.includes('passed over'))).toEqual([expect.stringContaining('"password"')])
})

test('a slot of another plugin, and no table that can be read: FAILED', async () => {
  await using db = await testDatabase(
    server,
    'CREATE ROLE reader LOGIN REPLICATION; CREATE TABLE orders (id int PRIMARY KEY)',
  )
  await db.query("SELECT pg_create_logical_replication_slot('other_plugin', 'test_decoding')")
  db.expectSlots = true
  const url = new URL(db.url)
  url.username = 'reader'
  const { status, message } = await check({ connectionURI: url.href, slot_name: 'other_plugin' })
  expect(status).toBe('FAILED')
  expect(message).toContain('test_decoding')
  expect(message).toContain('GRANT SELECT ON public.orders TO reader;')
  await db.query('DROP OWNED BY reader; DROP ROLE reader')
})
