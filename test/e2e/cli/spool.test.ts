import { execFile } from 'node:child_process'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'
import { recordsIn, streamArgs } from './streaming.js'

const run = promisify(execFile)

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id serial PRIMARY KEY, v text)'
const ROWS = 20_000
const FILL = `INSERT INTO t (v) SELECT md5(i::text) FROM generate_series(1, ${ROWS}) i`
const SPOOLED = ['--spool-memory-bytes', '0', '--logical-decoding-work-mem', '64kB']

const filesIn = async (folder: string) =>
  (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.spool'))

test('what is spooled is gone when a run ends, and what a killed one left when the next begins', async () => {
  await using db = await testDatabase(server, TABLE)
  await using folder = await temporaryFolder()
  db.expectSlots = true
  const spool = join(folder.path, 'spool')
  await mkdir(spool)
  const output = join(folder.path, 'out.ndjson')
  const args = streamArgs(db, 't', '--output', output, '--state', join(folder.path, 'state'))
  args.push('--spool-folder', spool, ...SPOOLED)
  const writer = await db.connect()
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
    await using running = startTailrace(args)
    await running.says('streaming from')
    await writer.query(`BEGIN; ${FILL}`)
    await running.waitFor(async () => (await filesIn(spool)).length > 0, 'spooled')
    running.kill(signal)
    await running.ended
    if (signal === 'SIGTERM') expect(await readdir(spool)).toEqual([])
    else expect(await filesIn(spool)).not.toEqual([])
    await writer.query('COMMIT')
  }
  await using last = startTailrace([...args, '--until', 'current'])
  expect((await last.ended).code, last.stderr).toBe(0)
  expect((await recordsIn(output)).length).toBe(3 * ROWS)
  expect(await readdir(spool)).toEqual([])
})

/** Takes root, and a kernel that lets root do so. */
async function tinyDisk(path: string): Promise<boolean> {
  await mkdir(path)
  return run('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', path]).then(
    () => true,
    () => false,
  )
}

test('where the disk is full large transactions are read without a spool', async ({ skip }) => {
  await using db = await testDatabase(server, TABLE)
  await using folder = await temporaryFolder()
  db.expectSlots = true
  const disk = join(folder.path, 'disk')
  if (process.platform !== 'linux' || !(await tinyDisk(disk))) return skip()
  try {
    const output = join(folder.path, 'out.ndjson')
    await using running = startTailrace(
      streamArgs(
        db,
        't',
        '--slot',
        `s_${db.name}`,
        '--snapshot',
        'never',
        '--output',
        output,
        '--spool-folder',
        disk,
        ...SPOOLED,
      ),
    )
    await running.says('streaming from')
    await db.query(FILL)
    await waitFor(async () => (await recordsIn(output).catch(() => [])).length === ROWS, { what: 'every row' })
    expect(running.stderr).toMatch(/warning: SPOOL_FULL: .* ENOSPC/)
    running.kill('SIGTERM')
    expect((await running.ended).code).toBe(0)
    expect(await readdir(disk)).toEqual([])
  } finally {
    await run('umount', [disk])
  }
})
