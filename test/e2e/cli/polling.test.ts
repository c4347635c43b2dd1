import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace, tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { recordsIn, streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ settings: { wal_level: 'replica' } })
})
afterAll(() => server[Symbol.asyncDispose]())

const POLLING = ['--cdc-mode', 'long_polling', '--poll-interval-ms', '10'] as const

test('killed again and again, in the first poll and in later ones, every row stands once in the output', async () => {
  await using db = await testDatabase(
    server,
    "CREATE TABLE t (id serial PRIMARY KEY, v text, at timestamptz DEFAULT now()); INSERT INTO t (v) SELECT repeat('x', 100) FROM generate_series(1, 50000) i",
  )
  await using folder = await temporaryFolder()
  const [output, state] = [join(folder.path, 'out'), join(folder.path, 'state')]
  const args = streamArgs(db, 't', ...POLLING, '--cursor', 't:at', '--output', output, '--state', state)
  const stored = async () => (await readFile(state, 'utf8').catch(() => '')).match(/"count":(\d+)/)?.[1] ?? '0'
  let writing = true
  const writer = (async () => {
    while (writing) await db.query("INSERT INTO t (v) SELECT 'y' FROM generate_series(1, 100)")
  })()
  let last = '0'
  for (let kills = 0; kills < 3; kills++) {
    await using running = startTailrace(args)
    await running.waitFor(async () => (await stored()) !== last, 'the state moves')
    last = await stored()
    running.kill('SIGKILL')
    await running.ended
  }
  writing = false
  await writer
  const { code, stderr } = await tailrace([...args, '--until', 'current'])
  expect(code, stderr).toBe(0)
  const ids = (await recordsIn(output)).map(({ key }) => key!.id as number)
  const [count] = await db.query<{ n: number }>('SELECT count(*)::int AS n FROM t')
  expect([ids.length, new Set(ids).size]).toEqual([count!.n, count!.n])
})

test('it says at start what it does not see; auto says why it polls; --idle-timeout ends it', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)')
  const args = streamArgs(db, 't', '--cdc-mode', 'auto', '--poll-interval-ms', '100', '--idle-timeout', '0.3')
  const { code, stderr, records } = await tailrace(args)
  expect(code).toBe(0)
  expect(records.map(({ operation }) => operation)).toEqual(['snapshot'])
  expect(stderr).toContain(
    'warning: LOGICAL_UNAVAILABLE: there is no logical replication here, so the tables are polled: wal_level is "replica"',
  )
  expect(stderr).toContain('warning: POLLING_WITHOUT_DELETES: long polling sees no deletes')
  expect(stderr).toContain('polling 1 table, 0.1 s between two polls')
})

test('wrong use is told before anything is connected to', async () => {
  const wrong = await tailrace(['stream', '--tables', 't', '--cdc-mode', 'longpolling'])
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('logical, long_polling, auto') })
  const until = await tailrace([
    'stream',
    '--url',
    'postgres://localhost/x',
    '--tables',
    't',
    ...POLLING,
    '--until',
    '0/1',
  ])
  expect(until).toMatchObject({ code: 2, stderr: expect.stringContaining('SETTING_INVALID') })
})
