import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, fill text)'
/** Looks come three times in it. */
const OFTEN = ['--stall-ms', '1000']

function linesWith(text: string, stderr: string): string[] {
  return stderr.split('\n').filter((line) => line.includes(text))
}

test('WAL that a slot holds is told once at each step, and the run ends at the budget if it is told to', async () => {
  await using db = await testDatabase(server, TABLE)
  const args = streamArgs(db, 't', '--wal-budget', '64MB', '--on-wal-budget', 'stop', ...OFTEN)
  await using running = startTailrace(args)
  await running.says('streaming from')
  const grow = () => db.query("SELECT pg_logical_emit_message(false, 'x', 'y'); SELECT pg_switch_wal()")
  for (let segment = 0; segment < 3; segment++) await grow()
  await running.says(' of the 64 MB (the budget) that it may')
  for (let segment = 0; segment < 3; segment++) await grow()
  expect(await running.ended).toMatchObject({ code: 1 })
  const told = linesWith('of WAL', running.stderr)
  expect(told[0]).toMatch(
    /^tailrace: slot tailrace_tmp_\w+ holds [\d.]+ MB of WAL \([\d.]+ (bytes|kB|MB) not confirmed\) of the 64 MB \(the budget\) that it may/,
  )
  expect(linesWith('over the 64 MB (the budget)', running.stderr)).toHaveLength(1)
  expect(told.length).toBeLessThanOrEqual(4) // half, perhaps near, over, the error
  expect(running.stderr).toMatch(/\ntailrace: WAL_BUDGET_REACHED: replication slot "tailrace_tmp_\w+" holds /)
})

test('a consumer that reads nothing more is told of, once, and that it goes on', async () => {
  await using db = await testDatabase(server, TABLE)
  await using running = startTailrace(streamArgs(db, 't', ...OFTEN), { output: 'unread' })
  await running.says('streaming from')
  // More than the pipe and what may be read ahead hold.
  await db.query("INSERT INTO t SELECT id, repeat('x', 1000) FROM generate_series(1, 10000) id")
  await running.says('warning: no progress, waiting for the consumer: the consumer has had a batch of ')
  running.stdout.resume()
  await running.says('it goes on after ')
  running.kill('SIGTERM')
  await running.ended
  // On a busy machine the server, too, may be waited for so long before that, and whatever stands still behind it is another one.
  const [before] = running.stderr.split('it goes on after ')
  expect(linesWith('the consumer has had a batch of', before!)).toHaveLength(1)
})

test.each([
  [['--wal-budget', 'lots'], 'It must be a size such as 512MB or 10GB.'],
  [['--wal-budget', '10XB'], 'It must be a size such as 512MB or 10GB.'],
  [['--on-wal-budget', 'stop'], 'it needs walBudgetBytes to stop at'],
])('%o is refused', async (args, says) => {
  const { code, stderr } = await tailraceHere(['stream', '--url', 'postgres://x@192.0.2.1/x', '--tables', 't', ...args])
  expect(code).toBe(2)
  expect(stderr).toContain(says)
})
