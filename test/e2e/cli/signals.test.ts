import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { constants } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { parseLines, startTailrace, tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'
import { recordsIn, streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)'
/** More than a pipe and our own buffers hold. */
const ROWS = 60_000
const FILL = `INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, ${ROWS}) i`

/** The snapshot's reader takes nothing any more: all buffers up to the server's are full. */
async function stalled(db: TestDatabase): Promise<void> {
  let before: string | undefined
  const stands = async () => {
    const [row] = await db.query<{ bytes: string }>('SELECT bytes_processed::text AS bytes FROM pg_stat_progress_copy')
    const same = row !== undefined && row.bytes === before
    before = row?.bytes
    return same
  }
  await waitFor(stands, { what: 'the snapshot to stand still', intervalMs: 300 })
}

test.each(SIGNALS)(
  '%s in the middle of a transaction leaves whole lines, exit code 0, and the rest to the next run',
  async (signal) => {
    await using db = await testDatabase(server, TABLE)
    await using folder = await temporaryFolder()
    db.expectSlots = true
    const output = join(folder.path, 'out')
    const args = streamArgs(db, 't', '--output', output, '--state', join(folder.path, 'state'))
    await using running = startTailrace(args)
    await running.says('streaming from')
    const filling = db.query(FILL)
    await running.waitFor(async () => (await stat(output)).size > 0, 'the first lines', { intervalMs: 1 })
    running.kill(signal)
    expect(await running.ended).toEqual({ code: 0, signal: null })
    expect(running.stderr).not.toMatch(/tailrace: [A-Z_]+: /)
    await filling
    await recordsIn(output)
    const next = await tailrace([...args, '--until', 'current'])
    expect(next.code, next.stderr).toBe(0)
    expect((await recordsIn(output)).map(({ key }) => key!.id)).toEqual(Array.from({ length: ROWS }, (_, i) => i + 1))
  },
)

test.each(SIGNALS)('a second %s ends at once what the first one cannot', async (signal) => {
  await using db = await testDatabase(server, `${TABLE}; ${FILL}`)
  await using running = startTailrace(streamArgs(db, 't', '--max-bytes', '65536'), { output: 'unread' })
  await stalled(db)
  // What was read is to be written, and nobody takes it: a first signal alone would end with 0, or not at all.
  const ended = () => {
    running.kill(signal)
    return !running.running
  }
  await waitFor(ended, { what: 'the end', intervalMs: 100 })
  expect(await running.ended).toEqual({ code: 128 + constants.signals[signal], signal: null })
})

test('SIGINT in the middle of a snapshot ends when a slow reader has taken what was being written', async () => {
  await using db = await testDatabase(server, `${TABLE}; ${FILL}`)
  await using running = startTailrace(streamArgs(db, 't', '--max-bytes', '65536'), { output: 'unread' })
  await stalled(db)
  running.kill('SIGINT')
  let text = ''
  running.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  expect(await running.ended).toEqual({ code: 0, signal: null })
  await waitFor(() => running.stdout.readableEnded, { what: 'the rest of the pipe' })
  const lines = parseLines(text).length
  expect(lines).toBeGreaterThan(0)
  expect(lines).toBeLessThan(ROWS)
})

test('SIGINT ends a run that waits for a host, or for another transaction', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as { port: number }
  await using connecting = startTailrace(['stream', '--url', `postgres://u@127.0.0.1:${port}/d`, '--tables', 't'])
  await once(silent, 'connection')
  await using db = await testDatabase(server, TABLE)
  await db.query('BEGIN; INSERT INTO t VALUES (1)')
  await using waiting = startTailrace(streamArgs(db, 't'))
  await waiting.says('waiting for running transactions')
  for (const running of [connecting, waiting]) {
    const since = performance.now()
    running.kill('SIGINT')
    expect(await running.ended, running.stderr).toEqual({ code: 0, signal: null })
    expect(performance.now() - since).toBeLessThan(5000)
  }
  await db.query('ROLLBACK')
  silent.close()
})
