import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace, tailrace } from '../../support/tailrace.js'
import { waitFor } from '../../support/waitFor.js'
import { streamArgs, summary } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)'

test.concurrent('--until current writes what was committed before the start, asynchronously too, and ends', async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  const args = streamArgs(db, 't', '--slot', db.name, '--until', 'current')
  expect((await tailrace(args)).code).toBe(0)
  await db.query('INSERT INTO t SELECT generate_series(2, 5000)')
  await db.query('SET synchronous_commit = off')
  for (let id = 5001; id <= 5100; id++) await db.query('INSERT INTO t VALUES ($1)', [id])
  const { code, stderr, records } = await tailrace(args)
  expect(code, stderr).toBe(0)
  expect(records.map(({ key }) => key!.id)).toEqual(Array.from({ length: 5099 }, (_, index) => index + 2))
})

test.concurrent('--until current ends on a database where nothing happens, and in one where others write without pause', async () => {
  await using db = await testDatabase(server, TABLE)
  await using busy = await testDatabase(server, 'CREATE TABLE noise (v text)')
  let stop = false
  const writing = (async () => {
    while (!stop) await busy.query(`INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 20)`)
  })()
  try {
    const { code, stderr, records } = await tailrace(streamArgs(db, 't', '--until', 'current'))
    expect([code, summary(records)], stderr).toEqual([0, ['snapshot 1']])
  } finally {
    stop = true
    await writing
  }
})

test.concurrent('--until LSN ends when everything that committed before it is written', async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  const args = streamArgs(db, 't', '--slot', db.name)
  expect((await tailrace([...args, '--until', 'current'])).code).toBe(0)
  await db.query('INSERT INTO t VALUES (2)')
  const [row] = await db.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')
  await db.query('INSERT INTO t VALUES (3)')
  const first = await tailrace([...args, '--until', row!.lsn])
  expect([first.code, summary(first.records).slice(0, 1)], first.stderr).toEqual([0, ['create 2']])
  // What came along in the same moment may stand there too, but nothing is lost or written twice.
  const second = await tailrace([...args, '--until', 'current'])
  expect([...summary(first.records), ...summary(second.records)]).toEqual(['create 2', 'create 3'])
})

test.concurrent('--idle-timeout ends when no record came for so long', async () => {
  await using db = await testDatabase(server, TABLE)
  await using running = startTailrace(streamArgs(db, 't', '--idle-timeout', '1.5'))
  await running.says('streaming from')
  // Each one keeps it going, for longer than the timeout.
  const since = performance.now()
  for (let id = 2; performance.now() - since < 2500; id++) {
    await db.query('INSERT INTO t VALUES ($1)', [id])
    await waitFor(() => running.collected.includes(`"key":{"id":${id}}`), { what: `row ${id}`, intervalMs: 300 })
  }
  expect(running.running).toBe(true)
  expect(await running.ended).toEqual({ code: 0, signal: null })
})

test.concurrent('--idle-timeout does not count what a slow reader takes', async () => {
  await using db = await testDatabase(server, TABLE)
  await using running = startTailrace(streamArgs(db, 't', '--idle-timeout', '1.5'), { output: 'unread' })
  await running.says('streaming from')
  await db.query('INSERT INTO t SELECT generate_series(2, 30000)')
  const since = performance.now()
  await waitFor(() => performance.now() - since > 4500, { what: 'three times the timeout to pass' })
  let bytes = ''
  running.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    bytes += chunk
  })
  expect(await running.ended).toEqual({ code: 0, signal: null })
  await waitFor(() => running.stdout.readableEnded, { what: 'the rest of the pipe' })
  expect(bytes.split('\n')).toHaveLength(30_001)
})

test.concurrent('--snapshot never gives changes from now on, and only is rows alone', async () => {
  await using db = await testDatabase(server, TABLE)
  await using never = startTailrace(streamArgs(db, 't', '--snapshot', 'never'))
  await never.says('streaming from')
  await db.query('INSERT INTO t VALUES (2)')
  await never.waitFor(() => never.records.length > 0, 'the new row comes')
  never.kill('SIGTERM')
  expect(await never.ended).toMatchObject({ code: 0 })
  expect(summary(never.records)).toEqual(['create 2'])
  const only = await tailrace(streamArgs(db, 't', '--snapshot', 'only'))
  expect([only.code, summary(only.records)], only.stderr).toEqual([0, ['snapshot 1', 'snapshot 2']])
})
