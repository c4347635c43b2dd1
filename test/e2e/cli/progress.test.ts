import { execFile, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { cliPath } from '../../support/cli.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace, tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLES = 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)'
const UNTIL = ['--until', 'current']

test('what a run does is told in lines where nobody watches it being drawn', async () => {
  await using db = await testDatabase(server, `${TABLES}; ANALYZE t`)
  await using running = startTailrace(streamArgs(db, 't'))
  await running.says('streaming from')
  await db.query('INSERT INTO t SELECT generate_series(3, 12)')
  await running.says('tailrace: streaming: 10 records')
  running.kill('SIGTERM')
  await running.ended
  expect(
    running.stderr.split('\n').map((line) => line.replaceAll(/[\dA-F]+\/[\dA-F]+|tailrace_tmp\w+|[\d.]+ s/g, '…')),
  ).toEqual([
    'tailrace: snapshot of 1 table, about 2 rows',
    'tailrace: snapshot finished: 2 rows in …',
    'tailrace: streaming from … (slot …)',
    'tailrace: streaming: 10 records, at …, caught up',
    '',
  ])
})

test('--quiet says nothing of it, but what goes wrong', async () => {
  await using db = await testDatabase(server, TABLES)
  expect(await tailrace(streamArgs(db, 't', '--quiet', ...UNTIL))).toMatchObject({ code: 0, stderr: '' })
  const failed = await tailrace(streamArgs(db, 'nothing', '--quiet', ...UNTIL))
  expect(failed.stderr).toMatch(/^tailrace: TABLE_NOT_FOUND: [^\n]+\n$/)
})

test('--verbose says what is connected to, made and finished', async () => {
  await using db = await testDatabase(server, TABLES)
  const { stderr } = await tailrace(streamArgs(db, 't', ...UNTIL), { env: { TAILRACE_VERBOSE: '1' } })
  for (const text of [
    'connected to database',
    'made the publication',
    'made the temporary slot',
    'of public.t finished: 2 rows',
  ]) {
    expect(stderr).toContain(text)
  }
})

test('--log json is an object a line, errors too', async () => {
  await using db = await testDatabase(server, TABLES)
  const run = await tailrace(streamArgs(db, 't', '--log', 'json', '--verbose', ...UNTIL))
  const lines = run.stderr.trimEnd().split('\n')
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(events.map(({ level, event }) => [level, event])).toEqual([
    ['debug', 'connected'],
    ['debug', 'capturing'],
    ['debug', 'publication-created'],
    ['debug', 'slot-created'],
    ['info', 'snapshot-started'],
    ['debug', 'snapshot-table-finished'],
    ['info', 'snapshot-finished'],
    ['info', 'streaming'],
  ])
  expect(events[5]).toMatchObject({ table: 'public.t', rows: 2, message: 'snapshot of public.t finished: 2 rows' })
  expect(Date.parse(String(events[0]!.time))).toBeGreaterThan(Date.now() - 60_000)
  const failed = await tailrace(streamArgs(db, 'nothing', '--log', 'json', ...UNTIL))
  expect(JSON.parse(failed.stderr)).toMatchObject({
    level: 'error',
    code: 'TABLE_NOT_FOUND',
    hint: expect.any(String),
    message: expect.stringContaining('nothing'),
  })
})

/** util-linux's `script` runs a command on a terminal of its own. */
const noScript = process.env.CI === undefined && spawnSync('script', ['--version']).status !== 0

test.skipIf(noScript)('on a terminal it is drawn, and the lines stand above', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (id int PRIMARY KEY, fill text); INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(1, 400000) i; ANALYZE t`,
  )
  await using folder = await temporaryFolder()
  const args = streamArgs(db, 't', '--output', join(folder.path, 'out'), ...UNTIL).map((one) => `'${one}'`)
  const typescript = join(folder.path, 'typescript')
  const env = { PATH: process.env.PATH, TERM: 'xterm', LANG: 'C.UTF-8' }
  await promisify(execFile)('script', ['-qec', `${process.execPath} ${cliPath} ${args.join(' ')}`, typescript], { env })
  const seen = await readFile(typescript, 'utf8')
  expect(seen).toMatch(/█░.* \d+% public\.t {2}[\d,]+ rows, [\d,]+ a second/)
  expect(seen).toMatch(/tailrace: snapshot finished: 400,000 rows/)
  expect(seen.lastIndexOf('\u001b[?25h'), 'the cursor is shown again').toBeGreaterThan(seen.lastIndexOf('\u001b[?25l'))
})
