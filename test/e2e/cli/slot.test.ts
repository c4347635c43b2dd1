import { appendFile, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { startTailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { recordsIn, streamArgs, summary } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  // How long a slot in use is waited for depends on it.
  server = await startServer({ settings: { wal_sender_timeout: '1s' } })
})
afterAll(() => server[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)'
const UNTIL_CURRENT = ['--until', 'current']

test.concurrent('--slot alone holds the place: rows, then what is new, then nothing', async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  const slot = `slot_${db.name}`
  const args = streamArgs(db, 't', '--slot', slot, ...UNTIL_CURRENT)
  const run = async () => {
    const { code, stderr, records } = await tailraceHere(args)
    expect(code, stderr).toBe(0)
    return summary(records)
  }
  expect(await run()).toEqual(['snapshot 1'])
  await db.query('INSERT INTO t VALUES (2)')
  expect(await run()).toEqual(['create 2'])
  expect(await run()).toEqual([])
  expect(
    await db.query('SELECT slot_name, plugin, temporary, active FROM pg_replication_slots WHERE database = $1', [
      db.name,
    ]),
  ).toEqual([{ slot_name: slot, plugin: 'pgoutput', temporary: false, active: false }])
})

test.concurrent('a slot made beforehand is read from where it stands, without a snapshot', async () => {
  await using db = await testDatabase(server, `${TABLE}; CREATE PUBLICATION tailrace FOR TABLE t`)
  db.expectSlots = true
  await db.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [db.name])
  await db.query('INSERT INTO t VALUES (2)')
  const { code, stderr, records } = await tailraceHere(streamArgs(db, 't', '--slot', db.name, ...UNTIL_CURRENT))
  expect([code, summary(records)], stderr).toEqual([0, ['create 2']])
})

test.concurrent('a publication that was there before is altered with --manage-publication only', async () => {
  await using db = await testDatabase(
    server,
    `${TABLE}; CREATE TABLE u (id int PRIMARY KEY); CREATE PUBLICATION mine FOR TABLE t`,
  )
  db.expectSlots = true
  const published = async () =>
    (await db.query(`SELECT tablename FROM pg_publication_tables WHERE pubname = 'mine' ORDER BY 1`)).map(
      (row) => row.tablename,
    )
  const args = streamArgs(db, 't,u', '--slot', db.name, '--publication', 'mine', ...UNTIL_CURRENT)
  const off = await tailraceHere(args, { env: { TAILRACE_MANAGE_PUBLICATION: 'false' } })
  expect({ code: off.code, stdout: off.stdout }).toEqual({ code: 1, stdout: '' })
  expect(off.stderr).toMatch(/^tailrace: PUBLICATION_UNFIT: .*ALTER PUBLICATION mine .*u.*--manage-publication.*\n$/)
  expect(await published()).toEqual(['t'])
  const on = await tailraceHere([...args, '--manage-publication'])
  expect(on.code, on.stderr).toBe(0)
  expect(await published()).toEqual(['t', 'u'])
})

test.concurrent('a slot that somebody reads is waited for a moment, since it may be our own of a lost connection', async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  const args = streamArgs(db, 't', '--slot', db.name)
  await using first = startTailrace(args)
  await first.says('streaming from')
  await using second = startTailrace(args)
  await using third = startTailrace(args)
  await second.says('is in use; waited')
  second.kill('SIGINT')
  expect(await second.ended).toMatchObject({ code: 0 })
  expect(await third.ended).toMatchObject({ code: 1 })
  expect([second.collected, third.collected]).toEqual(['', ''])
  expect(third.stderr).toMatch(/\ntailrace: SLOT_ACTIVE: .*\n$/)
  await db.query('INSERT INTO t VALUES (2)')
  await first.waitFor(() => first.records.length === 2, 'the first one goes on')
  first.kill('SIGTERM')
  expect(await first.ended).toMatchObject({ code: 0 })
})

test.concurrent('a second run with the same files touches nothing, and ends at once', async () => {
  await using db = await testDatabase(server, TABLE)
  await using folder = await temporaryFolder()
  db.expectSlots = true
  const output = join(folder.path, 'out')
  const state = join(folder.path, 'state')
  const args = streamArgs(db, 't', '--output', output, '--state', state)
  await using first = startTailrace(args)
  const hasPlace = async () => (await readFile(state, 'utf8').catch(() => '')).includes('"end"')
  await first.waitFor(hasPlace, 'the state has a place')
  // As if the first one were in the middle of writing it.
  await appendFile(output, '{"operation":"cre')
  const before = await readFile(output, 'utf8')
  const second = await tailraceHere(args)
  expect({ code: second.code, stdout: second.stdout }).toEqual({ code: 1, stdout: '' })
  expect(second.stderr).toMatch(/^tailrace: STATE_LOCKED: .*\n$/)
  // Nor with another state: the output is the first one's.
  const other = await tailraceHere(args.map((arg) => (arg === state ? `${state}2` : arg)))
  expect(other.stderr).toMatch(/^tailrace: OUTPUT_LOCKED: .*\n$/)
  expect(await readFile(output, 'utf8')).toBe(before)
  first.kill('SIGKILL')
  await first.ended
  const next = await tailraceHere([...args, ...UNTIL_CURRENT])
  expect(next.code, next.stderr).toBe(0)
  expect(summary(await recordsIn(output))).toEqual(['snapshot 1'])
  expect((await readdir(folder.path)).sort()).toEqual(['out', 'state'])
})

test.concurrent('a slot that is not for us is left alone, and told apart', async () => {
  await using db = await testDatabase(server, TABLE)
  await using other = await testDatabase(server)
  db.expectSlots = other.expectSlots = true
  await db.query(`SELECT pg_create_logical_replication_slot('decoding_${db.name}', 'test_decoding')`)
  await other.query(`SELECT pg_create_logical_replication_slot('other_${db.name}', 'pgoutput')`)
  await db.query(`SELECT pg_create_physical_replication_slot('physical_${db.name}')`)
  const refused = async (kind: string) => {
    const { code, stdout, stderr } = await tailraceHere(streamArgs(db, 't', '--slot', `${kind}_${db.name}`))
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^tailrace: .*\n$/)
    return stderr
  }
  expect(await refused('decoding')).toContain('SLOT_OTHER_PLUGIN')
  expect(await refused('other')).toContain('SLOT_OTHER_DATABASE')
  expect(await refused('physical')).toContain('SLOT_PHYSICAL')
  expect(await db.query('SELECT pubname FROM pg_publication')).toEqual([])
  await db.query(`SELECT pg_drop_replication_slot('physical_${db.name}')`)
})
