import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { PostgresSource } from '../../../src/index.js'
import { cliPath } from '../../support/cli.js'
import { REPOSITORY } from '../../support/compiled.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace, type TailraceProcess } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const TABLE = `CREATE TABLE t (id int PRIMARY KEY, at timestamptz, v text);
  CREATE PUBLICATION p FOR TABLE t`
const ROWS = 50_000
const FILL = `INSERT INTO t SELECT i, '2026-01-01'::timestamptz + i * interval '1.5 s', i || ' "' || repeat('x', 500)
  FROM generate_series(1, ${ROWS}) i`
/** More output than of the large batches behind which the thread is begun, and less than there is. */
const BEGUN_BYTES = 14_000_000
const IN_THREAD = 'in a thread from now on'

/** A large transaction behind a slot, and its lines as the library makes them, without a thread. */
async function largeTransaction(db: TestDatabase, slot: string): Promise<Buffer> {
  db.expectSlots = true
  const client = await db.connect()
  for (const name of [slot, `${slot}_library`]) {
    await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [name])
  }
  await client.query(FILL)
  const lines: Uint8Array[] = []
  const options = { url: db.url, tables: 't', publication: 'p', snapshot: 'never', existingSlot: 'resume' } as const
  for await (const batch of new PostgresSource({ ...options, slot: `${slot}_library`, until: 'current' })) {
    lines.push(batch.toNdjson())
    await batch.ack()
  }
  return Buffer.concat(lines)
}

function argsFor(db: TestDatabase, slot: string): string[] {
  const args = ['--slot', slot, '--publication', 'p', '--snapshot', 'never', '--until', 'current', '--verbose']
  return streamArgs(db, 't', ...args)
}

/** Its output; in the midst of that the reader waits until the thread is there. */
async function outputOf(running: TailraceProcess): Promise<Buffer> {
  const read: Buffer[] = []
  let bytes = 0
  const { stdout } = running
  const enough = new Promise<void>((resolve) => {
    stdout.on('data', (chunk: Buffer) => {
      read.push(chunk)
      bytes += chunk.length
      if (bytes < BEGUN_BYTES || bytes - chunk.length >= BEGUN_BYTES) return
      stdout.pause()
      resolve()
    })
  })
  const ended = new Promise((resolve) => stdout.once('end', resolve))
  await Promise.race([enough, ended])
  await running.says(IN_THREAD)
  stdout.resume()
  await ended
  await running.ended
  return Buffer.concat(read)
}

test('lines of a large transaction are made in a thread, and are the same', async () => {
  await using db = await testDatabase(server, TABLE)
  const slot = `s_${db.name}`
  const expected = await largeTransaction(db, slot)
  await using running = startTailrace(argsFor(db, slot), { output: 'unread' })
  const output = await outputOf(running)
  expect((await running.ended).code, running.stderr).toBe(0)
  expect(running.stderr).toMatch(/transaction \d+ has not committed yet: [\d.]+ MB received/)
  expect(output.equals(expected)).toBe(true)
})

test('a thread that fails ends the run with ENCODER_FAILED, and what was not written comes again', async () => {
  await using db = await testDatabase(server, TABLE)
  await using folder = await temporaryFolder()
  const slot = `s_${db.name}`
  const expected = await largeTransaction(db, slot)
  const dist = join(folder.path, 'dist/cli')
  await mkdir(dist, { recursive: true })
  await copyFile(join(REPOSITORY, 'package.json'), join(folder.path, 'package.json'))
  await copyFile(cliPath, join(dist, 'main.js'))
  const broken = `import { parentPort } from 'node:worker_threads'
    parentPort.on('message', () => { throw new Error('out of order') })
    parentPort.postMessage('ready')`
  await writeFile(join(dist, 'encoderWorker.js'), broken)
  await using running = startTailrace(argsFor(db, slot), { output: 'unread', cli: join(dist, 'main.js') })
  const output = await outputOf(running)
  expect((await running.ended).code).toBe(1)
  expect(running.stderr).toContain('ENCODER_FAILED: the thread that makes lines of rows has failed: out of order.')
  expect(output.length).toBeLessThan(expected.length)
  expect(output.equals(expected.subarray(0, output.length))).toBe(true)

  await using again = startTailrace(argsFor(db, slot), { output: 'unread' })
  expect((await outputOf(again)).equals(expected)).toBe(true)
})
