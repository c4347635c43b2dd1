import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { urlAs } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { startTailrace, tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { streamArgs } from './streaming.js'

/** Nobody waits longer than this to be told of a mistake. */
const WITHIN_MS = 15_000

let server: EmbeddedPostgres
let replica: EmbeddedPostgres
let other: TestDatabase
beforeAll(async () => {
  const hba = 'host all guarded all scram-sha-256\nhost all all all trust\nhost replication all all trust'
  ;[server, replica] = await Promise.all([startServer({ hba }), startServer({ settings: { wal_level: 'replica' } })])
})
beforeAll(async () => {
  other = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
})
afterAll(() => other?.[Symbol.asyncDispose]())
afterAll(() => Promise.all([server, replica].map((one) => one?.[Symbol.asyncDispose]())))

interface Case {
  readonly db: TestDatabase
  readonly folder: string
}

const SLOT = (plugin: string) => `SELECT pg_create_logical_replication_slot($1, '${plugin}')`

/** The mistakes of the README's reader: what is done first, and what is run then. */
const MISTAKES: readonly (readonly [
  mistake: string,
  code: string,
  exitCode: 1 | 2,
  args: (given: Case) => readonly string[] | Promise<readonly string[]>,
])[] = [
  ['an unknown table', 'TABLE_NOT_FOUND', 1, ({ db }) => streamArgs(db, 'tt')],
  [
    'no privilege',
    'TABLE_NOT_READABLE',
    1,
    async ({ db }) => {
      await db.query(`CREATE ROLE ${db.name}_reader LOGIN REPLICATION`)
      return ['stream', '--url', urlAs(db.url, `${db.name}_reader`), '--tables', 't']
    },
  ],
  ['wal_level = replica', 'WAL_LEVEL', 1, () => ['stream', '--url', replica.url(), '--tables', 'pg_catalog.pg_class']],
  [
    'a slot of another plugin',
    'SLOT_OTHER_PLUGIN',
    1,
    async ({ db }) => {
      await db.query(SLOT('test_decoding'), [db.name])
      return streamArgs(db, 't', '--slot', db.name)
    },
  ],
  [
    'a slot of another database',
    'SLOT_OTHER_DATABASE',
    1,
    async ({ db }) => {
      await db.query(SLOT('pgoutput'), [db.name])
      return ['stream', '--url', other.url, '--tables', 't', '--slot', db.name]
    },
  ],
  [
    'a slot that is gone',
    'SLOT_MISSING',
    1,
    async ({ db, folder }) => {
      const args = streamArgs(db, 't', '--state', join(folder, 'state'), '--slot', db.name, '--until', 'current')
      expect((await tailrace(args)).code).toBe(0)
      await db.query('SELECT pg_drop_replication_slot($1)', [db.name])
      return args
    },
  ],
  [
    'a wrong password',
    'LOGIN_REFUSED',
    1,
    async ({ db }) => {
      const url = new URL(urlAs(db.url, 'guarded'))
      url.password = 's3cret'
      return ['stream', '--url', url.href, '--tables', 't']
    },
  ],
  [
    'a host that is not there',
    'CONNECTION_FAILED',
    1,
    () => ['stream', '--url', 'postgres://u:s3cret@127.0.0.1:1/d', '--tables', 't'],
  ],
  [
    'a URL that is none',
    'CONNECTION_STRING_INVALID',
    2,
    () => ['stream', '--url', 'postgres://u:s3cret@h:x/d', '--tables', 't'],
  ],
  [
    'a server without a free connection',
    'CONNECTIONS_EXHAUSTED',
    1,
    async ({ db }) => {
      await db.query(`CREATE ROLE ${db.name}_last LOGIN REPLICATION CONNECTION LIMIT 0`)
      return ['stream', '--url', urlAs(db.url, `${db.name}_last`), '--tables', 't']
    },
  ],
  ['an unknown option', 'OPTION_UNKNOWN', 2, ({ db }) => streamArgs(db, 't', '--slots', 'x')],
  [
    'a state of another database',
    'POSITION_OTHER_DATABASE',
    1,
    async ({ db, folder }) => {
      const state = ['--state', join(folder, 'state'), '--until', 'current']
      expect((await tailrace(streamArgs(db, 't', ...state, '--slot', db.name))).code).toBe(0)
      return ['stream', '--url', other.url, '--tables', 'nothing', '--slot', db.name, ...state]
    },
  ],
  [
    'a corrupt state file',
    'STATE_CORRUPT',
    1,
    async ({ db, folder }) => {
      await writeFile(join(folder, 'state'), '{"version":1,"posi')
      return streamArgs(db, 't', '--state', join(folder, 'state'))
    },
  ],
  ['a full disk', 'OUTPUT_FAILED', 1, ({ db }) => streamArgs(db, 't', '--output', '/dev/full')],
  ['a table without replica identity', 'REPLICA_IDENTITY_MISSING', 1, ({ db }) => streamArgs(db, 'keyless')],
]

test.concurrent.each(MISTAKES)('%s: %s', async (_, code, exitCode, args) => {
  await using db = await testDatabase(
    server,
    'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE keyless (v text)',
  )
  db.expectSlots = true
  await using folder = await temporaryFolder()
  const wrong = await args({ db, folder: folder.path })
  const begun = performance.now()
  const ended = await tailrace(wrong)
  expect(performance.now() - begun).toBeLessThan(WITHIN_MS)
  expect(ended).toMatchObject({ code: exitCode, stdout: '' })
  const lines = ended.stderr.trimEnd().split('\n')
  // What is wrong. What to do.
  expect(lines.at(-1)).toMatch(new RegExp(`^tailrace: ${code}: .+[.?] .+[.?;]$`))
  expect(lines.filter((line) => /^tailrace: [A-Z_]+: /.test(line))).toHaveLength(1)
  expect(ended.stderr).not.toContain('s3cret')
})

test.concurrent('a slot that another run reads: SLOT_ACTIVE', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
  db.expectSlots = true
  await using first = startTailrace(streamArgs(db, 't', '--slot', db.name))
  await first.says('streaming from')
  const begun = performance.now()
  const second = await tailrace(streamArgs(db, 't', '--slot', db.name))
  expect(performance.now() - begun).toBeLessThan(WITHIN_MS)
  expect(second).toMatchObject({ code: 1, stdout: '' })
  expect(second.stderr).toMatch(
    /\ntailrace: SLOT_ACTIVE: replication slot "\w+" is in use by the server's process \d+ \("tailrace" from 127\.0\.0\.1\)\. [^\n]+\n$/,
  )
})
