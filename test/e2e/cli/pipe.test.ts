import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { parseLines, startTailrace } from '../../support/tailrace.js'
import { waitFor } from '../../support/waitFor.js'
import { streamArgs } from './streaming.js'

const WAL_SENDER_TIMEOUT_MS = 1000

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ settings: { wal_sender_timeout: `${WAL_SENDER_TIMEOUT_MS}ms` } })
})
afterAll(() => server[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)'
/** More than a pipe and our own buffers hold. */
const ROWS = 60_000
const FILL = `INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, ${ROWS}) i`

async function walsender(db: TestDatabase): Promise<unknown> {
  return (await db.query('SELECT active_pid FROM pg_replication_slots WHERE database = $1', [db.name]))[0]?.active_pid
}

test.concurrent('a reader that sleeps for several times wal_sender_timeout keeps its connection and gets everything', async () => {
  await using db = await testDatabase(server, TABLE)
  await using running = startTailrace(streamArgs(db, 't', '--max-bytes', '65536'), { output: 'unread' })
  await running.says('streaming from')
  const pid = await walsender(db)
  await db.query(FILL)
  const since = performance.now()
  await waitFor(() => performance.now() - since > 4 * WAL_SENDER_TIMEOUT_MS, { what: 'it to sleep' })
  expect(await walsender(db)).toBe(pid)
  let text = ''
  running.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await running.waitFor(() => text.endsWith('\n') && text.includes(`"key":{"id":${ROWS}}`), 'the last row')
  expect(await walsender(db)).toBe(pid)
  running.kill('SIGTERM')
  expect(await running.ended).toEqual({ code: 0, signal: null })
  expect(parseLines(text).map(({ key }) => key!.id)).toEqual(Array.from({ length: ROWS }, (_, i) => i + 1))
  expect(running.stderr).not.toMatch(/trying again/)
})

test.concurrent('the same while the snapshot is read', async () => {
  await using db = await testDatabase(server, `${TABLE}; ${FILL}`)
  await using running = startTailrace(streamArgs(db, 't', '--max-bytes', '65536'), { output: 'unread' })
  await running.says('snapshot of')
  await db.query(`INSERT INTO t VALUES (${ROWS + 1})`)
  const since = performance.now()
  await waitFor(() => performance.now() - since > 4 * WAL_SENDER_TIMEOUT_MS, { what: 'it to sleep' })
  let text = ''
  running.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await running.waitFor(() => text.endsWith('\n') && text.includes(`"key":{"id":${ROWS + 1}}`), 'the change behind it')
  running.kill('SIGTERM')
  expect(await running.ended).toEqual({ code: 0, signal: null })
  const ids = parseLines(text).map(({ key }) => Number(key!.id))
  expect(ids.at(-1)).toBe(ROWS + 1)
  expect(new Set(ids).size).toBe(ROWS + 1)
})

test.concurrent('standard output closed by its reader: exit code 141, no complaint, nothing left on the server', async () => {
  await using db = await testDatabase(server, `${TABLE}; ${FILL}`)
  await using running = startTailrace(streamArgs(db, 't'), { output: 'unread' })
  await running.says('snapshot of')
  running.stdout.destroy()
  expect(await running.ended).toEqual({ code: 141, signal: null })
  expect(running.stderr).not.toMatch(/tailrace: [A-Z_]+: |rror/)
  await waitFor(async () => (await walsender(db)) === undefined, { what: 'the temporary slot to go' })
  expect(await db.query('SELECT pubname FROM pg_publication')).toEqual([])
})

test.concurrent('standard error closed by its reader: the lines go on', async () => {
  await using db = await testDatabase(server, `${TABLE}; INSERT INTO t VALUES (1)`)
  await using running = startTailrace(streamArgs(db, 't'))
  running.closeStderr()
  await running.waitFor(() => running.records.length === 1, 'the row')
  await db.query('INSERT INTO t VALUES (2)')
  await running.waitFor(() => running.records.length === 2, 'the change')
  running.kill('SIGINT')
  expect(await running.ended).toEqual({ code: 0, signal: null })
})
