import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace, tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'
import { recordsIn, streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const ROWS = 150_000
const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)'
const FILL = `INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, ${ROWS}) i`
const IDS = Array.from({ length: ROWS }, (_, index) => index + 1)

async function cutAll(db: TestDatabase): Promise<void> {
  await db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tailrace'`)
}

test('a snapshot that loses its connections goes on by itself with --state, else ends with an error', async () => {
  await using db = await testDatabase(server, `${TABLE}; ${FILL}`)
  await using folder = await temporaryFolder()
  db.expectSlots = true
  const output = join(folder.path, 'out')
  const args = streamArgs(db, 't', '--output', output, '--until', 'current')
  const someRows = async (path: string) => ((await stat(path).catch(() => undefined))?.size ?? 0) > 100_000
  await using running = startTailrace([...args, '--state', join(folder.path, 'state')])
  await running.waitFor(() => someRows(output), 'some rows', { intervalMs: 1 })
  await cutAll(db)
  expect(await running.ended, running.stderr).toEqual({ code: 0, signal: null })
  expect(running.stderr).toMatch(/tailrace: the snapshot was interrupted: [^\n]+ trying again\n/)
  const ids = (await recordsIn(output)).map(({ key }) => Number(key!.id))
  expect(ids.sort((a, b) => a - b)).toEqual(IDS)

  const other = join(folder.path, 'other')
  await using alone = startTailrace(streamArgs(db, 't', '--output', other))
  await alone.waitFor(() => someRows(other), 'some rows', { intervalMs: 1 })
  await cutAll(db)
  expect(await alone.ended).toEqual({ code: 1, signal: null })
  expect(alone.stderr).toMatch(/\ntailrace: SNAPSHOT_INTERRUPTED: [^\n]+\n$/)
})

test('a stream over lost connections and a server that crashes has every record once', async () => {
  await using own = await startServer()
  await using db = await testDatabase(own, TABLE)
  await using folder = await temporaryFolder()
  db.expectSlots = true
  const output = join(folder.path, 'out')
  const args = streamArgs(db, 't', '--output', output, '--state', join(folder.path, 'state'))
  await using running = startTailrace(args)
  await running.says('streaming from')
  await db.query(FILL)
  await running.waitFor(async () => (await stat(output)).size > 0, 'the first lines', { intervalMs: 1 })
  await cutAll(db)
  await running.says('; trying again in')
  await own.crash()
  await own.restart()
  const client = await db.connect()
  await client.query(`INSERT INTO t VALUES (${ROWS + 1})`)
  const last = async () => (await recordsIn(output).catch(() => [])).at(-1)?.key?.id === ROWS + 1
  await running.waitFor(last, 'the last row', { intervalMs: 200 })
  running.kill('SIGTERM')
  expect(await running.ended).toEqual({ code: 0, signal: null })
  expect((await recordsIn(output)).map(({ key }) => key!.id)).toEqual([...IDS, ROWS + 1])
  await waitFor(async () => (await tailrace([...args, '--until', 'current'])).code === 0, { what: 'a last run' })
  expect(await recordsIn(output)).toHaveLength(ROWS + 1)
})
