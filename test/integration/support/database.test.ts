import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

describeEachMajor('a test database', (postgres) => {
  test('is fresh, and dropped at the end of the scope with all that hangs on it', async () => {
    let name = ''
    {
      await using db = await testDatabase(postgres.server, 'CREATE TABLE t (a int); INSERT INTO t VALUES (1)')
      name = db.name
      expect(await db.query('SELECT a FROM t WHERE a = $1', [1])).toEqual([{ a: 1 }])
      const other = await db.connect()
      expect((await other.query('SELECT current_database()')).rows).toEqual([{ current_database: name }])
      await makeSlot(db, 'expected') // before the prepared transaction, for whose end it would wait
      db.expectSlots = true
      await other.query("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'left'")
    }
    await using next = await testDatabase(postgres.server)
    expect(await next.query('SELECT 1 FROM pg_database WHERE datname = $1', [name])).toEqual([])
    expect(await next.query('SELECT 1 FROM pg_replication_slots')).toEqual([])
  })
})

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

test('a connection that a test leaves open fails it', async () => {
  const db = await testDatabase(server)
  const left = new pg.Client({ connectionString: db.url, application_name: 'forgotten' })
  left.on('error', () => {})
  await left.connect()
  await expect(db[Symbol.asyncDispose]()).rejects.toThrow(/left behind .*\n.*client backend "forgotten", idle/)
})

test('a replication slot that a test leaves fails it, and is dropped', async () => {
  const db = await testDatabase(server)
  await makeSlot(db, 'forgotten_slot')
  await expect(db[Symbol.asyncDispose]()).rejects.toThrow(/left behind .*\n.*replication slot "forgotten_slot"/)
  await using next = await testDatabase(server)
  expect(await next.query('SELECT 1 FROM pg_replication_slots')).toEqual([])
})

test('its end waits for nothing when the server crashed, or was stopped', async () => {
  await using db = await testDatabase(server)
  await server.crash()
  await expect(db.query('SELECT 1')).rejects.toThrow()
  await db[Symbol.asyncDispose]()
  await server.restart()
})

test('a failure inside the scope is not hidden by one at its end', async () => {
  const scope = async () => {
    await using db = await testDatabase(server)
    await makeSlot(db, 'after_failure')
    throw new Error('the first failure')
  }
  await expect(scope()).rejects.toThrow(/^the first failure\n\(and then .* left behind/)
})

test('waitFor says what it waited for and what it saw', async () => {
  const never = waitFor(() => 0, { what: 'the moon', timeoutMs: 30 })
  await expect(never).rejects.toThrow('waited 30 ms for the moon; the last look gave 0')
})

async function makeSlot(db: TestDatabase, name: string): Promise<void> {
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [name])
}
