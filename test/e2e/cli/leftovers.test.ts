import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace, tailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { waitFor } from '../../support/waitFor.js'
import { streamArgs, summary } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const TABLES = 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE log (v text); INSERT INTO t VALUES (1)'
const KEYLESS = ['--keyless', 'inserts']

/** Slots and publications on the server. */
async function left(db: TestDatabase): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `SELECT slot_name::text AS name FROM pg_replication_slots WHERE database = $1 UNION ALL SELECT pubname FROM pg_publication`,
    [db.name],
  )
  return rows.map(({ name }) => name)
}

/** The server has noticed that a session is gone. */
async function slotGone(db: TestDatabase): Promise<void> {
  const gone = async () =>
    (await db.query('SELECT FROM pg_replication_slots WHERE database = $1', [db.name])).length === 0
  await waitFor(gone, { what: 'the temporary slot to go' })
}

test('without --state and --slot nothing is left on the server at the end', async () => {
  await using db = await testDatabase(server, TABLES)
  const { code, stderr, records } = await tailrace(streamArgs(db, 't,log', ...KEYLESS, '--until', 'current'))
  expect([code, summary(records)], stderr).toEqual([0, ['snapshot 1']])
  await slotGone(db)
  expect(await left(db)).toEqual([])
})

test.each(['SIGINT', 'SIGTERM'] as const)('nor after %s', async (signal) => {
  await using db = await testDatabase(server, TABLES)
  await using running = startTailrace(streamArgs(db, 't,log', ...KEYLESS))
  await running.says('streaming from')
  expect(await left(db)).toHaveLength(3)
  running.kill(signal)
  expect(await running.ended).toEqual({ code: 0, signal: null })
  expect(summary(running.records)).toEqual(['snapshot 1'])
  await slotGone(db)
  expect(await left(db)).toEqual([])
})

test('nor after an error', async () => {
  await using db = await testDatabase(server, TABLES)
  await using running = startTailrace(streamArgs(db, 't,log', ...KEYLESS))
  await running.says('streaming from')
  await db.query(
    'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = $1 AND active_pid IS NOT NULL',
    [db.name],
  )
  expect(await running.ended).toEqual({ code: 1, signal: null })
  expect(running.stderr).toMatch(/\ntailrace: TEMPORARY_SLOT_LOST: .*\n$/)
  await slotGone(db)
  expect(await left(db)).toEqual([])
})

test('what a killed run leaves goes with the start of the next one', async () => {
  await using db = await testDatabase(server, TABLES)
  await using killed = startTailrace(streamArgs(db, 't,log', ...KEYLESS))
  await killed.says('streaming from')
  killed.kill('SIGKILL')
  await killed.ended
  await slotGone(db)
  const abandoned = await left(db)
  expect(abandoned).toHaveLength(2)
  await using alive = startTailrace(streamArgs(db, 't'))
  await alive.says('streaming from')
  // Another run that is alive keeps its own.
  await using next = startTailrace(streamArgs(db, 't'))
  await next.says('streaming from')
  const publications = (await left(db)).filter((name) => !abandoned.includes(name))
  expect(await left(db)).toEqual(publications)
  expect(publications).toHaveLength(4)
  for (const running of [alive, next]) {
    running.kill('SIGINT')
    expect(await running.ended).toMatchObject({ code: 0 })
  }
  await slotGone(db)
  expect(await left(db)).toEqual([])
})

test('--snapshot only makes nothing on the server, and works without logical replication', async () => {
  await using minimal = await startServer({ settings: { wal_level: 'minimal', max_wal_senders: '0' } })
  await using db = await testDatabase(minimal, `${TABLES}; INSERT INTO log VALUES ('a'), ('a')`)
  await db.query('SET default_transaction_read_only = on')
  const { code, stderr, records } = await tailraceHere(streamArgs(db, 't,log', '--snapshot', 'only'))
  expect([code, summary(records)], stderr).toEqual([
    0,
    expect.arrayContaining(['snapshot 1', 'snapshot ', 'snapshot ']),
  ])
  expect(records).toHaveLength(3)
  expect(new Set(records.map(({ id }) => id)).size).toBe(3)
  const streaming = await tailraceHere(streamArgs(db, 't'))
  expect([streaming.code, streaming.stdout]).toEqual([1, ''])
  expect(streaming.stderr).toMatch(/^tailrace: WAL_LEVEL: .*ALTER SYSTEM SET wal_level = logical.*\n$/)
  expect(await left(db)).toEqual([])
})
