import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { changeRows, folded, present, tableOf } from '../../support/handedOver.js'
import { startServer } from '../../support/servers.js'
import { type OutputRecord, startTailrace, tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const ROWS = 40_000
const KILLS = 3

type Command = (db: TestDatabase, folder: string, last: boolean) => Promise<readonly string[]>

const stream: Command = async (db, folder, last) => {
  const source = ['--url', db.url, '--tables', 't', '--strategy', 'incremental', '--max-bytes', '65536']
  const until = last ? ['--until', 'current'] : []
  return ['stream', ...source, '--state', join(folder, 't.state'), '--no-control', ...until]
}

const pipeline: Command = async (db, folder, last) => {
  const file = join(folder, 'shop.yaml')
  const until = last ? ', until: current' : ''
  const source = `url: "${db.url}", tables: [t], slot: ${db.name}, max_bytes: 65536, snapshot_workers: 1${until}`
  await writeFile(file, `source: {${source}}\nsinks:\n  all: {type: stdout}\n`)
  return ['run', file, '--no-control']
}

test.each([
  ['tailrace stream --state in a pipe', stream],
  ['tailrace run with the sink stdout', pipeline],
])(
  '%s, killed while rows are read: what was read from it by key amounts to the table',
  async (_, command) => {
    await using db = await testDatabase(server, tableOf(ROWS))
    db.expectSlots = true
    await using folder = await temporaryFolder()
    const has: OutputRecord[] = []
    for (let kill = 0; kill < KILLS; kill++) {
      await using running = startTailrace(await command(db, folder.path, false))
      const some = () => running.collected.length > 300_000 * (kill + 1)
      await running.waitFor(some, 'it has handed rows over', { timeoutMs: 30_000 })
      running.kill('SIGKILL')
      await running.ended
      const { records } = running
      has.push(...records)
      expect(records.filter(({ operation }) => operation === 'snapshot').length).toBeLessThan(0.9 * ROWS)
      await changeRows(db, ROWS, kill)
    }
    const { code, stderr, records } = await tailrace(await command(db, folder.path, true))
    expect(code, stderr).toBe(0)
    expect(folded([...has, ...records])).toEqual(await present(db))
  },
  120_000,
)
