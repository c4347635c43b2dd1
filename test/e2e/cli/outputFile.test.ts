import { readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)'

test('an output that another run writes is refused: they would cut off each other’s lines', async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  await using folder = await temporaryFolder()
  const output = ['--output', join(folder.path, 'out')]
  await using first = startTailrace(
    streamArgs(db, 't', ...output, '--state', join(folder.path, 'a'), '--slot', `a_${db.name}`),
  )
  await first.says('streaming from')
  const second = await tailraceHere(
    streamArgs(db, 't', ...output, '--state', join(folder.path, 'b'), '--slot', `b_${db.name}`),
  )
  expect(second).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^tailrace: OUTPUT_LOCKED: .* written by process \d+\./),
  })
})

test.each([
  ['moved', (path: string) => rename(path, `${path}.1`)],
  ['deleted', (path: string) => rm(path)],
])('an output that is %s under a run stops it, and nothing of it counts as written', async (_, lose) => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  await using folder = await temporaryFolder()
  const [output, state] = [join(folder.path, 'out'), join(folder.path, 'state')]
  await using running = startTailrace(streamArgs(db, 't', '--output', output, '--state', state, '--slot', db.name))
  await running.says('streaming from')
  // The snapshot's row is recorded: nothing is under way that looked at the file before.
  const recorded = async () => JSON.parse(await readFile(state, 'utf8')).output.bytes > 0
  await running.waitFor(recorded, 'the row is recorded')
  await lose(output)
  const before = await readFile(state, 'utf8')
  await db.query('INSERT INTO t VALUES (2)')
  expect(await running.ended).toEqual({ code: 1, signal: null })
  expect(running.stderr).toMatch(/\ntailrace: OUTPUT_MOVED: /)
  expect(JSON.parse(await readFile(state, 'utf8')).output).toEqual(JSON.parse(before).output)
})

test('a state names its slot, which need not be given again', async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  await using folder = await temporaryFolder()
  const args = streamArgs(db, 't', '--state', join(folder.path, 'state'), '--until', 'current')
  expect((await tailraceHere([...args, '--slot', db.name])).records).toHaveLength(1)
  await db.query('INSERT INTO t VALUES (2)')
  expect((await tailraceHere(args)).records.map(({ key }) => key)).toEqual([{ id: 2 }])
})

test('an output is rotated by a new pair of files and the slot’s name', async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  await using folder = await temporaryFolder()
  const pair = (n: number) => ['--output', join(folder.path, `out${n}`), '--state', join(folder.path, `state${n}`)]
  const args = (n: number) => streamArgs(db, 't', ...pair(n), '--slot', db.name, '--until', 'current')
  expect((await tailraceHere(args(1))).code).toBe(0)
  await db.query('INSERT INTO t VALUES (2)')
  expect(await tailraceHere([...args(2), '--snapshot', 'never'])).toMatchObject({ code: 0 })
  await db.query('INSERT INTO t VALUES (3)')
  expect(await tailraceHere(args(2))).toMatchObject({ code: 0 })
  const [first, second] = await Promise.all([1, 2].map((n) => readFile(join(folder.path, `out${n}`), 'utf8')))
  const ids = (text: string) => [...text.matchAll(/"key":\{"id":(\d)\}/g)].map(([, id]) => id)
  expect([ids(first!), ids(second!)]).toEqual([['1'], ['2', '3']])
})
