import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { DEFAULT_MAJOR, startServer } from '../../support/servers.js'
import { slotsOf } from '../../support/sourceSlots.js'
import { startTailrace, tailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test('a server without slots, then one in use and one that nobody reads, for people and as JSON', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
  db.expectSlots = true
  const empty = await tailrace(['slots', '--url', db.url])
  expect(empty).toMatchObject({ code: 0, stdout: 'The server has no replication slots.\n', stderr: '' })
  expect(JSON.parse((await tailraceHere(['slots', '--url', db.url, '--json'])).stdout)).toEqual({ slots: [] })

  await db.query(`SELECT pg_create_logical_replication_slot('nobodys', 'test_decoding')`)
  await using reader = startTailrace(streamArgs(db, 't', '--slot', 'busy', '--snapshot', 'never'))
  await reader.says('streaming from')
  const listed = await tailraceHere(['slots'], { env: { TAILRACE_URL: db.url } })
  expect({ code: listed.code, stderr: listed.stderr }).toEqual({ code: 0, stderr: '' })
  expect(listed.stdout).toMatch(/^NAME +PLUGIN +DATABASE +ACTIVE +RETAINED +LAG +HEALTH\n/)
  expect(listed.stdout).toMatch(/^busy +pgoutput +\S+ +pid \d+ \(tailrace\) +[\d.]+ (bytes|kB|MB) +\d.* ok$/m)
  expect(listed.stdout).toMatch(
    /^nobodys +test_decoding +\S+ +no +[\d.]+ \w+ +[\d.]+ \w+ +inactive( since 2\S+Z \(\d+ s\))?$/m,
  )

  const { stdout } = await tailraceHere(['slots', '--url', db.url, '--json'])
  const { slots } = JSON.parse(stdout) as { slots: Record<string, unknown>[] }
  expect(slots.map(({ name }) => name)).toEqual(['busy', 'nobodys'])
  expect(slots[1]).toEqual({
    name: 'nobodys',
    type: 'logical',
    plugin: 'test_decoding',
    database: db.name,
    temporary: false,
    twoPhase: false,
    active: false,
    pid: null,
    application: null,
    restartLsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
    confirmedFlushLsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
    retainedBytes: expect.any(Number),
    lagBytes: expect.any(Number),
    safeWalBytes: null,
    walStatus: 'reserved',
    invalidation: null,
    inactiveSince: DEFAULT_MAJOR >= 17 ? expect.stringMatching(/^2\S+Z$/) : null,
    health: 'inactive',
    healthText: expect.stringContaining('inactive'),
  })
})

test('drop: an inactive slot, an active one with --force, a mistyped one with the nearest name', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
  await db.query(`SELECT pg_create_logical_replication_slot('nightly', 'pgoutput')`)
  const drop = (...args: string[]) => tailraceHere(['slots', 'drop', ...args, '--url', db.url])
  const typo = await drop('nigtly')
  expect(typo).toMatchObject({ code: 1, stdout: '' })
  expect(typo.stderr).toMatch(/^tailrace: SLOT_UNKNOWN: .*"nigtly"\. Did you mean "nightly"\?\n$/)
  expect(await drop('nightly')).toMatchObject({ code: 0, stdout: 'Dropped replication slot nightly.\n', stderr: '' })
  expect(await slotsOf(db)).toEqual([])

  await using reader = startTailrace(streamArgs(db, 't', '--slot', 'busy', '--snapshot', 'never'))
  await reader.says('streaming from')
  const refused = await drop('busy')
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toMatch(/^tailrace: SLOT_IN_USE: .* by process \d+ \(tailrace\)\. .*--force.*\n$/)
  expect(await slotsOf(db)).toEqual(['busy'])
  expect(await drop('busy', '--force', '--json')).toMatchObject({ code: 0, stdout: '{"dropped":"busy"}\n' })
  expect(await slotsOf(db)).toEqual([])
  // The reader comes back, and is told.
  expect(await reader.ended).toMatchObject({ code: 1 })
  expect(reader.stderr).toContain('SLOT_MISSING')
})

test.concurrent.each<[string, string[], RegExp]>([
  ['no URL', ['slots'], /CONNECTION_MISSING: /],
  ['a URL that is none', ['slots', '--url', 'shop'], /CONNECTION_STRING_INVALID/],
  ['drop without a name', ['slots', 'drop', '--url', 'postgres://h/d'], /missing required argument 'name'/],
  ['an unknown option of drop', ['slots', 'drop', 'a', '--forse', '--url', 'postgres://h/d'], /Did you mean --force\?/],
  ['an unknown subcommand', ['slots', 'remove', 'a', '--url', 'postgres://h/d'], /too many arguments/],
])('wrong usage: %s', async (_, args, says) => {
  const { code, stdout, stderr } = await tailraceHere(args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(says)
})

test('a server that is not there is an error', async () => {
  const { code, stderr } = await tailraceHere(['slots', '--url', 'postgres://u:s3cret@127.0.0.1:1/d'])
  expect(code).toBe(1)
  expect(stderr).toMatch(/^tailrace: CONNECTION_FAILED: [^\n]+\n$/)
  expect(stderr).not.toContain('s3cret')
})
