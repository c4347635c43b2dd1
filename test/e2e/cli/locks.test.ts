import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { parseLines, startTailrace } from '../../support/tailrace.js'
import { waitFor } from '../../support/waitFor.js'
import { streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

/** More than a pipe and our own buffers hold. */
const ROWS = 60_000
const TABLES = `
  CREATE TABLE large (id int PRIMARY KEY, v text);
  INSERT INTO large SELECT i, repeat('x', 100) FROM generate_series(1, ${ROWS}) i;
  CREATE TABLE small (id int PRIMARY KEY);
  INSERT INTO small VALUES (1)`

test.each(['1', '3'])('a migration that waits for the snapshot does not stop it, with %s workers', async (workers) => {
  await using db = await testDatabase(server, TABLES)
  const args = streamArgs(
    db,
    'large,small',
    '--snapshot-workers',
    workers,
    '--max-bytes',
    '65536',
    '--until',
    'current',
  )
  await using running = startTailrace(args, { output: 'unread' })
  await running.says('snapshot of')
  const migration = await db.connect()
  const migrated = migration.query('ALTER TABLE small ALTER id TYPE int8')
  migrated.catch(() => {})
  const waiting = () => db.query(`SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'`)
  await waitFor(async () => (await waiting()).length > 0, { what: 'the migration to wait' })
  let text = ''
  running.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await running.waitFor(() => running.stderr.includes('snapshot finished'), 'the snapshot is finished')
  await migrated
  expect(await running.ended, running.stderr).toEqual({ code: 0, signal: null })
  await waitFor(() => running.stdout.readableEnded, { what: 'the rest of the pipe' })
  expect(parseLines(text).filter(({ operation }) => operation === 'snapshot')).toHaveLength(ROWS + 1)
})

test('a session that holds a table is waited for, and SIGINT ends that', async () => {
  await using db = await testDatabase(server, TABLES)
  const holder = await db.connect()
  await holder.query('BEGIN; LOCK TABLE small')
  await using running = startTailrace(streamArgs(db, 'small'))
  const waiting = () =>
    db.query(`SELECT FROM pg_stat_activity WHERE application_name = 'tailrace' AND wait_event_type = 'Lock'`)
  await waitFor(async () => (await waiting()).length > 0, { what: 'tailrace to wait' })
  running.kill('SIGINT')
  const ended = await Promise.race([running.ended, waitFor(() => false, { what: 'its end' }).catch(() => undefined)])
  expect(ended).toEqual({ code: 0, signal: null })
  await holder.query('ROLLBACK')
  expect(await db.query('SELECT pubname FROM pg_publication')).toEqual([])
})
