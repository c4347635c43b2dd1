import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { urlAs } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { startTailrace, tailrace } from '../../support/tailrace.js'
import { streamArgs } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  const hba = `host all guarded all scram-sha-256\nhost all all all trust\nhost replication all all trust`
  server = await startServer({ hba, settings: { max_replication_slots: '10' } })
})
afterAll(() => server[Symbol.asyncDispose]())

/** Ends with exit code 1 and one line that matches; leaves nothing in the database. */
async function failure(args: readonly string[], says: RegExp, db?: TestDatabase): Promise<void> {
  const { code, signal, stdout, stderr } = await tailrace(args)
  expect({ code, signal, stdout }, stderr).toEqual({ code: 1, signal: null, stdout: '' })
  expect(stderr).toMatch(/^tailrace: [A-Z_]+: [^\n]+\n$/)
  expect(stderr).toMatch(says)
  expect(stderr).not.toContain('s3cret')
  if (db === undefined) return
  expect(await db.query('SELECT pubname FROM pg_publication')).toEqual([])
  expect(await db.query('SELECT slot_name FROM pg_replication_slots WHERE database = $1', [db.name])).toEqual([])
}

test.concurrent('an unknown table, with the nearest one', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE orders (id int PRIMARY KEY)')
  await failure(
    streamArgs(db, 'ordesr'),
    /TABLE_NOT_FOUND: no table is named ordesr\. Did you mean public\.orders\?/,
    db,
  )
  await failure(streamArgs(db, 'sales.*'), /TABLE_NOT_FOUND: no table is named sales\.\*/, db)
  await failure(streamArgs(db, 'orders', '--exclude', '*'), /NO_TABLES/, db)
})

test.concurrent('a table named in --tables that is gone at the next start', async () => {
  await using db = await testDatabase(
    server,
    'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)',
  )
  db.expectSlots = true
  const args = streamArgs(db, 't,u', '--slot', db.name, '--until', 'current')
  expect((await tailrace(args)).code).toBe(0)
  await db.query('DROP TABLE u')
  await failure(args, /TABLE_NOT_FOUND: no table is named u\./)
})

test.concurrent('what is no table that can be captured', async () => {
  await using db = await testDatabase(
    server,
    'CREATE VIEW v AS SELECT 1 AS one; CREATE UNLOGGED TABLE u (id int PRIMARY KEY)',
  )
  await failure(streamArgs(db, 'v'), /TABLE_NOT_CAPTURABLE: .*v cannot be captured: it is a view/, db)
  await failure(streamArgs(db, 'u'), /TABLE_NOT_CAPTURABLE: .*unlogged/, db)
})

test.concurrent('a table without replica identity, and a key outside of it', async () => {
  await using db = await testDatabase(
    server,
    'CREATE TABLE log (v text); CREATE TABLE t (id int PRIMARY KEY, number int NOT NULL UNIQUE)',
  )
  await failure(
    streamArgs(db, 'log'),
    /REPLICA_IDENTITY_MISSING: .*log.*ALTER TABLE public\.log REPLICA IDENTITY FULL;.*keyless/,
    db,
  )
  await failure(streamArgs(db, 't', '--key', 't:number'), /KEY_OUTSIDE_IDENTITY: key \(number\) of public\.t/, db)
})

test.concurrent('a column that is not there, or of a table that is not captured, is wrong usage', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY, total int); CREATE TABLE u (id int)')
  for (const [selection, says] of [
    ['t:totl', /COLUMN_NOT_FOUND: .*Did you mean total\?/],
    ['u:id', /KEY_TABLE_UNKNOWN: "u:id" names a table that is not captured/],
  ] as const) {
    const { code, stdout, stderr } = await tailrace(streamArgs(db, 't', '--columns', selection))
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(says)
  }
})

test.concurrent('a wrong password, an unknown user and database', async () => {
  await using db = await testDatabase(server, `CREATE TABLE t (id int PRIMARY KEY)`)
  await db.query(`CREATE ROLE guarded LOGIN REPLICATION PASSWORD 'right'`)
  const guarded = new URL(urlAs(db.url, 'guarded'))
  guarded.password = 's3cret'
  await failure(
    ['stream', '--url', guarded.href, '--tables', 't'],
    /LOGIN_REFUSED: .*password authentication failed.*28P01/,
    db,
  )
  await failure(
    ['stream', '--url', urlAs(db.url, 'nobody'), '--tables', 't'],
    /LOGIN_REFUSED: .*role "nobody" does not exist/,
  )
  await failure(
    ['stream', '--url', server.url('nowhere'), '--tables', 't'],
    /LOGIN_REFUSED: .*database "nowhere" does not exist/,
  )
  await db.query('DROP ROLE guarded')
})

test.concurrent('no privilege to read, to publish or to replicate: each with the SQL', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE poor_${process.pid} LOGIN`,
  )
  const role = `poor_${process.pid}`
  const args = (...more: string[]) => ['stream', '--url', urlAs(db.url, role), '--tables', 't', ...more]
  await failure(
    args(),
    new RegExp(`TABLE_NOT_READABLE: role ${role} may not read public\\.t.*GRANT SELECT ON public\\.t`),
    db,
  )
  await db.query(`GRANT SELECT ON t TO ${role}`)
  await failure(args(), new RegExp(`REPLICATION_DENIED: role ${role} .*ALTER ROLE ${role} REPLICATION;`), db)
  await db.query(`ALTER ROLE ${role} REPLICATION`)
  await failure(args(), /PUBLICATION_DENIED: .*CREATE PUBLICATION \S+ FOR TABLE public\.t/, db)
  await db.query(`ALTER TABLE t ENABLE ROW LEVEL SECURITY`)
  await failure(args(), /ROW_SECURITY_ACTIVE: .*BYPASSRLS/, db)
  await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
})

test.concurrent('a host that is not there, and one that does not speak our language', async () => {
  const refuses = await freePort()
  await failure(
    ['stream', '--url', `postgres://u:s3cret@127.0.0.1:${refuses}/d`, '--tables', 't'],
    /CONNECTION_FAILED: cannot connect to postgres:\/\/u@127\.0\.0\.1:\d+\/d: .*ECONNREFUSED/,
  )
  await failure(
    ['stream', '--url', 'postgres://u:s3cret@host.invalid/d', '--tables', 't'],
    /CONNECTION_FAILED: .*(ENOTFOUND|EAI_AGAIN)/,
  )
  const chatty = createServer((socket) => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  }).listen(0, '127.0.0.1')
  await once(chatty, 'listening')
  const { port } = chatty.address() as { port: number }
  await failure(
    ['stream', '--url', `postgres://u:s3cret@127.0.0.1:${port}/d`, '--tables', 't'],
    /CONNECTION_FAILED|FRAME_INVALID/,
  )
  chatty.close()
})

test.concurrent('a server that goes away for good in mid-stream is waited for', async () => {
  await using gone = await startServer()
  await using db = await testDatabase(gone, 'CREATE TABLE t (id int PRIMARY KEY)')
  await using running = startTailrace(streamArgs(db, 't', '--slot', 'waiting'))
  await running.says('streaming from')
  await gone.crash()
  await running.says('; trying again in')
  running.kill('SIGINT')
  expect(await running.ended).toEqual({ code: 0, signal: null })
})

test.concurrent('a table dropped in mid-stream is told, and the others go on', async () => {
  await using db = await testDatabase(
    server,
    'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE "Odd" (id int PRIMARY KEY)',
  )
  await using running = startTailrace(streamArgs(db, 't,"Odd"'))
  await running.says('streaming from')
  await db.query('INSERT INTO "Odd" VALUES (1); DROP TABLE "Odd"; INSERT INTO t VALUES (1)')
  await running.waitFor(() => running.records.length === 2, 'both rows')
  expect(running.records.map(({ table }) => table)).toEqual(['Odd', 't'])
  await running.says('tailrace: warning: table public."Odd" was dropped; the others go on')
  await db.query('INSERT INTO t VALUES (2)')
  await running.waitFor(() => running.records.length === 3, 'the next row')
  running.kill('SIGTERM')
  expect(await running.ended).toEqual({ code: 0, signal: null })
  expect(running.stderr.match(/was dropped/g)).toHaveLength(1)
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  return port
}
