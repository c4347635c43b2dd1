import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { urlAs } from '../../support/openSession.js'
import { DEFAULT_MAJOR, startServer } from '../../support/servers.js'
import { capture } from '../../support/sourceCapture.js'
import { readSource } from '../../support/sourceReader.js'
import { slotsOf } from '../../support/sourceSlots.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { serverTls, testCa } from '../../support/tls.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ tls: serverTls, unixSocket: true })
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLE =
  "CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT id, repeat('x', 200) FROM generate_series(1, 5000) id"

/** Rows, then more changes than go into one chunk, then a new shape, for which the catalog is asked. */
async function worksOver(db: TestDatabase, url: string, more: object = {}): Promise<unknown[]> {
  const transports: unknown[] = []
  const reader = await capture(db, { tables: 't', url, ...more }, async () => {
    const backends = `SELECT s.ssl, a.client_addr IS NULL AS socket, a.usename AS name
      FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid)
     WHERE a.datname = current_database() AND a.application_name LIKE 'tailrace%' AND a.application_name <> 'tailrace test'`
    transports.push(...(await db.query(backends)))
    await db.query(
      "INSERT INTO t SELECT id, repeat('y', 200) FROM generate_series(5001, 10000) id; ALTER TABLE t ADD n int",
    )
    await db.query('INSERT INTO t VALUES (0, NULL, 7)')
  })
  const ids = reader.records
    .filter(({ table, operation }) => table === 't' && operation !== 'schema')
    .map(({ key }) => key!.id)
  expect(new Set(ids).size).toBe(10_001)
  expect(ids).toHaveLength(10_001)
  return transports
}

test.concurrent('over TLS, the whole stream of it', async () => {
  await using db = await testDatabase(server, TABLE)
  await using folder = await temporaryFolder()
  const ca = join(folder.path, 'ca.crt')
  await writeFile(ca, testCa)
  const url = `${db.url.replace('127.0.0.1', 'localhost')}?sslmode=verify-full&sslrootcert=${ca}`
  const transports = await worksOver(db, url)
  expect(transports.length).toBeGreaterThanOrEqual(2)
  expect(transports).toMatchObject(transports.map(() => ({ ssl: true })))
})

test.concurrent('sslmode=prefer takes TLS where it is to be had, disable does not', async () => {
  for (const [mode, ssl] of [
    ['prefer', true],
    ['disable', false],
  ] as const) {
    await using db = await testDatabase(server, TABLE)
    const transports = await worksOver(db, `${db.url}?sslmode=${mode}`)
    expect(transports).toMatchObject(transports.map(() => ({ ssl })))
  }
})

test.concurrent('over a Unix socket', async () => {
  await using db = await testDatabase(server, TABLE)
  const url = `postgres://postgres@/${db.name}?host=${encodeURIComponent(server.socketFolder)}&port=${server.port}`
  const transports = await worksOver(db, url)
  expect(transports.length).toBeGreaterThanOrEqual(2)
  expect(transports).toMatchObject(transports.map(() => ({ socket: true })))
})

test.concurrent('with a URL of its own for replication', async () => {
  await using db = await testDatabase(server, TABLE)
  const replicationUrl = `postgres://postgres@/${db.name}?host=${encodeURIComponent(server.socketFolder)}&port=${server.port}&application_name=tailrace_replication`
  const reader = readSource({ url: db.url, replicationUrl, tables: 't' })
  await reader.told('streaming')
  const backends = await db.query(
    `SELECT application_name AS name, client_addr IS NULL AS socket FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'walsender'`,
  )
  expect(backends).toEqual([{ name: 'tailrace_replication', socket: true }])
  await reader.close()
})

test.concurrent('whatever odd settings and limits the role has', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (id int PRIMARY KEY, b bytea, at timestamptz, d date, i interval, f float8, n numeric, money money, a text[], j jsonb);
     INSERT INTO t VALUES (1, '\\x00ff', '2026-01-02 03:04:05.678+00', '2026-01-02', '1 year 2 days', 0.1, 1.50, 12.34, '{a,NULL}', '{"a": "\\\\"}')`,
  )
  const role = `odd_${db.name}`
  await db.query(`CREATE ROLE ${role} LOGIN SUPERUSER`)
  const settings = {
    statement_timeout: '300ms',
    lock_timeout: '300ms',
    idle_in_transaction_session_timeout: '300ms',
    idle_session_timeout: '300ms',
    ...(DEFAULT_MAJOR >= 17 && { transaction_timeout: '300ms' }),
    bytea_output: 'escape',
    DateStyle: 'German, DMY',
    IntervalStyle: 'postgres_verbose',
    TimeZone: 'Asia/Kolkata',
    extra_float_digits: '-10',
    search_path: 'nowhere',
    quote_all_identifiers: 'on',
    standard_conforming_strings: 'off',
    array_nulls: 'off',
    client_encoding: 'LATIN1',
    default_transaction_isolation: 'serializable',
    row_security: 'on',
    xmlbinary: 'hex',
  }
  for (const [name, value] of Object.entries(settings)) await db.query(`ALTER ROLE ${role} SET ${name} = '${value}'`)
  const open = await db.connect()
  await open.query('BEGIN; SELECT txid_current()')
  const reading = capture(db, { tables: 't', url: urlAs(db.url, role) }, () =>
    db.query('INSERT INTO t SELECT 2, b, at, d, i, f, n, money, a, j FROM t'),
  )
  // Longer than any of the limits the slot waits for this transaction, with locks and snapshot in idle sessions.
  await sleep(1000)
  await open.query('COMMIT')
  const reader = await reading
  const [first, second] = reader.records
  expect(first!.after).toEqual({
    id: 1,
    b: '\\x00ff',
    at: '2026-01-02T03:04:05.678+00:00',
    d: '2026-01-02',
    i: 'P1Y2D',
    f: 0.1,
    n: 1.5,
    money: expect.stringContaining('12.34'),
    a: ['a', null],
    j: { a: '\\' },
  })
  expect(second!.after).toEqual({ ...first!.after, id: 2 })
  await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
})

describe('a role that may not', () => {
  async function asRole(db: TestDatabase, grants: string): Promise<string> {
    const role = `poor_${db.name}`
    await db.query(`CREATE ROLE ${role} LOGIN REPLICATION; ${grants.replaceAll('ROLE', role)}`)
    return urlAs(db.url, role)
  }

  async function refusal(db: TestDatabase, url: string, options: object = {}): Promise<unknown> {
    const reader = readSource({ url, tables: 't', ...options })
    const failure = await reader.ended.then(
      () => undefined,
      (error) => error,
    )
    expect(await slotsOf(db)).toEqual([])
    await db.query(`DROP OWNED BY poor_${db.name}; DROP ROLE poor_${db.name}`)
    return failure
  }

  test.concurrent('read the table is told the SQL', async ({ expect }) => {
    await using db = await testDatabase(server, TABLE)
    const url = await asRole(db, '')
    expect(await refusal(db, url)).toMatchObject({
      code: 'TABLE_NOT_READABLE',
      hint: expect.stringContaining(`GRANT SELECT ON public.t TO poor_${db.name};`),
    })
  })

  test.concurrent('see all rows is refused: a snapshot would lack them without a word', async ({ expect }) => {
    await using db = await testDatabase(
      server,
      `${TABLE}; ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY even ON t USING (id % 2 = 0); CREATE PUBLICATION tailrace FOR TABLE t`,
    )
    const url = await asRole(db, 'GRANT SELECT ON t TO ROLE')
    expect(await refusal(db, url)).toMatchObject({
      code: 'ROW_SECURITY_ACTIVE',
      hint: expect.stringContaining(`ALTER ROLE poor_${db.name} BYPASSRLS;`),
    })
  })

  test.concurrent('see all rows any more, since a moment before the reading, is refused too', async ({ expect }) => {
    await using db = await testDatabase(
      server,
      `${TABLE}; CREATE POLICY even ON t USING (id % 2 = 0); CREATE PUBLICATION made FOR TABLE t`,
    )
    const url = await asRole(db, 'GRANT SELECT ON t TO ROLE')
    const other = await db.connect()
    await other.query('BEGIN; ALTER TABLE t ENABLE ROW LEVEL SECURITY')
    const reader = readSource({ url, tables: 't', publication: 'made' })
    const waits =
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LOCK TABLE%' AND state = 'active'"
    await reader.until(async () => (await db.query(waits)).length > 0, { what: 'the wait for the lock' })
    await other.query('COMMIT')
    await expect(reader.ended).rejects.toThrow(/row.level security/)
    expect(reader.snapshotOf('t')).toEqual([])
    await reader.close()
    await db.query(`DROP OWNED BY poor_${db.name}; DROP ROLE poor_${db.name}`)
  })

  test.concurrent('make a publication is told the SQL', async ({ expect }) => {
    await using db = await testDatabase(server, TABLE)
    const url = await asRole(db, 'GRANT SELECT ON t TO ROLE')
    expect(await refusal(db, url)).toMatchObject({
      code: 'PUBLICATION_DENIED',
      hint: expect.stringContaining('CREATE PUBLICATION'),
    })
  })

  test.concurrent('replicate is told the SQL', async ({ expect }) => {
    await using db = await testDatabase(server, TABLE)
    const url = await asRole(db, 'GRANT SELECT ON t TO ROLE; ALTER USER ROLE NOREPLICATION')
    expect(await refusal(db, url)).toMatchObject({
      code: 'REPLICATION_DENIED',
      hint: expect.stringContaining(`ALTER ROLE poor_${db.name} REPLICATION;`),
    })
  })

  test.concurrent('create anything reads with a publication that somebody made for it', async ({ expect }) => {
    await using db = await testDatabase(server, `${TABLE}; CREATE PUBLICATION made FOR TABLE t`)
    const url = await asRole(db, 'GRANT SELECT ON t TO ROLE')
    const reader = readSource({ url, tables: 't', publication: 'made' })
    await reader.told('streaming')
    await db.query('DELETE FROM t WHERE id = 1')
    await reader.seen(({ operation }) => operation === 'delete', 'the delete')
    await reader.close()
    expect(reader.snapshotOf('t')).toHaveLength(5000)
    await db.query(`DROP OWNED BY poor_${db.name}; DROP ROLE poor_${db.name}`)
  })
})
