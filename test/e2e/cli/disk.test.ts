import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace, tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { mayMount, tinyDisk } from '../../support/tinyDisk.js'
import { recordsIn, streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const ROWS = 20_000
const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)'
const FILL = `INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, ${ROWS}) i`
const IDS = Array.from({ length: ROWS }, (_, index) => index + 1)

test.skipIf(!(await mayMount()))(
  'a full disk stops the run, and with room again nothing is lost or written twice',
  async () => {
    await using db = await testDatabase(server, TABLE)
    await using folder = await temporaryFolder()
    db.expectSlots = true
    await using disk = await tinyDisk('1m')
    const output = join(disk.path, 'out.ndjson')
    const args = streamArgs(db, 't', '--output', output, '--state', join(folder.path, 'state'), '--until', 'current')
    expect((await tailrace(args)).code).toBe(0)
    await db.query(FILL)
    for (let attempt = 1; attempt <= 2; attempt++) {
      const full = await tailrace(args)
      expect([full.code, full.stdout], full.stderr).toEqual([1, ''])
      expect(full.stderr).toMatch(
        /\ntailrace: OUTPUT_FAILED: cannot write to \S+out\.ndjson: no space left on the device\. [^\n]+\n$/,
      )
    }
    await disk.grow('64m')
    const again = await tailrace(args)
    expect(again.code, again.stderr).toBe(0)
    expect((await recordsIn(output)).map(({ key }) => key!.id)).toEqual(IDS)
  },
)

test.skipIf(!(await mayMount()))(
  'a disk too full for the state stops the run before it confirms anything',
  async () => {
    await using db = await testDatabase(server, `${TABLE}; ${FILL}`)
    await using folder = await temporaryFolder()
    db.expectSlots = true
    await using disk = await tinyDisk('16k')
    const output = join(folder.path, 'out.ndjson')
    const state = join(disk.path, 'state')
    const args = streamArgs(db, 't', '--output', output, '--state', state)
    await using running = startTailrace(args)
    const hasPlace = async () => (await readFile(state, 'utf8').catch(() => '')).includes('"end"')
    await running.waitFor(hasPlace, 'the snapshot is recorded')
    await writeFile(join(disk.path, 'filler'), Buffer.alloc(16 * 1024)).catch(() => {})
    await db.query('UPDATE t SET v = NULL WHERE id <= 10')
    expect(await running.ended, running.stderr).toEqual({ code: 1, signal: null })
    expect(running.stderr).toMatch(/\ntailrace: STATE_FAILED: [^\n]*ENOSPC[^\n]+\n$/)
    await rm(join(disk.path, 'filler'))
    const again = await tailrace([...args, '--until', 'current'])
    expect(again.code, again.stderr).toBe(0)
    const records = await recordsIn(output)
    expect(new Set(records.map(({ id }) => id)).size).toBe(ROWS + 10)
    expect(records).toHaveLength(ROWS + 10)
  },
)

test.skipIf(!existsSync('/dev/full'))('a device that takes nothing is a failed output', async () => {
  await using db = await testDatabase(server, `${TABLE}; INSERT INTO t VALUES (1)`)
  const { code, stderr } = await tailrace(streamArgs(db, 't', '--output', '/dev/full'))
  expect(code).toBe(1)
  expect(stderr).toMatch(
    /\ntailrace: OUTPUT_FAILED: cannot write to \/dev\/full: no space left on the device\. [^\n]+\n$/,
  )
  expect(await db.query('SELECT pubname FROM pg_publication')).toEqual([])
})

test('a folder for an output, and one that is not there, are failed outputs', async () => {
  await using db = await testDatabase(server, TABLE)
  await using folder = await temporaryFolder()
  for (const output of [folder.path, join(folder.path, 'no', 'out')]) {
    const { code, stderr } = await tailrace(streamArgs(db, 't', '--output', output))
    expect(code).toBe(1)
    expect(stderr).toMatch(/^tailrace: OUTPUT_FAILED: cannot write to [^\n]+\n$/)
  }
})
