import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { findTables } from '../../../src/postgres/catalog/tables.js'
import { parseLsn } from '../../../src/postgres/lsn.js'
import { parseTablePatterns } from '../../../src/postgres/tablePattern.js'
import { lockForChunk, openChunk } from '../../../src/source/scan/openChunk.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { openSession } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { rowsOf } from '../../support/sourceCapture.js'
import { readSource } from '../../support/sourceReader.js'
import { byField, replay, requireOrder, sorted } from '../../support/sourceReplay.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  // What is committed asynchronously stays unflushed.
  server = await startServer({ settings: { wal_writer_delay: '10s' } })
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT id, 0 FROM generate_series(1, 50) id'

async function requireRows(db: TestDatabase, records: Parameters<typeof replay>[0]): Promise<void> {
  const rows = (await rowsOf(db, 't', 'id')) as Record<string, unknown>[]
  expect(replay(records, 't').sort(byField('id'))).toEqual(rows.map(sorted))
}

test('a chunk that waits for a migration reads the table as that leaves it', async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  await using reader = readSource({ url: db.url, tables: 't', slot: `s_${db.name}` })
  await reader.told('streaming')
  await using migration = await openSession(db.url)
  await migration.query('BEGIN')
  // Rewrites it: whoever took his snapshot before sees no row of the new one.
  await migration.query('ALTER TABLE public.t ALTER n TYPE int8')
  await reader.source.resnapshot('t')
  const waits = () =>
    db.query(`SELECT FROM pg_stat_activity WHERE pg_blocking_pids(pid) && ARRAY[${migration.processId}]`)
  await waitFor(async () => (await waits()).length > 0, { what: 'a chunk to wait for the migration' })
  await migration.query('COMMIT')
  await reader.until(() => reader.events.filter(({ type }) => type === 'snapshot-finished').length === 2, {
    what: 't to be read again',
  })
  await reader.until(() => reader.snapshotOf('t').length >= 100, { what: 'all rows again' })
})

test('nothing that a chunk shows is committed behind the LSN until which it is kept, asynchronous commits too', async () => {
  await using db = await testDatabase(server, TABLE)
  await using control = await openSession(db.url)
  await using session = await openSession(db.url)
  const [table] = await findTables(control, parseTablePatterns('t'), [])
  for (let round = 0; round < 5; round++) {
    await db.query('SET synchronous_commit = off; UPDATE t SET n = n + 1')
    const [after] = await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
    await lockForChunk(session, table!, control, () => {})
    const opened = await openChunk(session, table!.oid, undefined)
    await session.query('COMMIT')
    if ('standby' in opened) throw new Error('no standby')
    expect(opened.until >= parseLsn(after!.lsn)!).toBe(true)
  }
})

test('resumed behind any row of a chunk the rest comes, and no row twice', async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  const options = { url: db.url, tables: 't', slot: `s_${db.name}`, strategy: 'incremental' } as const
  await using first = readSource(options, { ack: ({ length }) => length === 0 })
  await first.until(() => first.snapshotOf('t').length === 50, { what: 'all rows' })
  await first.close()
  const rows = first.snapshotOf('t')
  for (const index of [0, 20, 48, 49]) {
    const { position } = rows[index]!
    await using resumed = readSource({ ...options, position }, { ack: false })
    await resumed.told('streaming')
    await resumed.until(() => resumed.snapshotOf('t').length >= 49 - index, { what: 'the rest' })
    await resumed.close()
    const records = [...rows.slice(0, index + 1), ...resumed.records]
    await requireRows(db, records)
    requireOrder(records)
  }
})
