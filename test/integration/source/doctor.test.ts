import { connect, createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { parseConnectionString } from '../../../src/postgres/connectionString.js'
import { diagnose } from '../../../src/source/doctor/diagnose.js'
import type { Finding } from '../../../src/source/doctor/finding.js'
import { connectReadOnly, readFacts } from '../../../src/source/doctor/readFacts.js'
import { parseOptions, type SourceOptions } from '../../../src/source/options.js'
import { testDatabase } from '../../support/database.js'
import { urlAs } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { publicationsOf, slotsOf } from '../../support/sourceSlots.js'

const HBA = `
host closed all all reject
host all    all all trust`

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({
    hba: HBA,
    settings: { max_slot_wal_keep_size: '2GB', log_statement: 'all', autovacuum: 'off' },
  })
})
afterAll(() => server[Symbol.asyncDispose]())

async function examine(options: Omit<SourceOptions, 'tables'> & { tables?: string }): Promise<Finding[]> {
  const parsed = parseOptions({ ...options, tables: options.tables ?? '*' })
  return diagnose(await readFacts({ options: parsed, tablesNamed: options.tables !== undefined }))
}

const verdicts = (findings: readonly Finding[]) => findings.map(({ status, code }) => `${status} ${code}`)
const failing = (findings: readonly Finding[]) => verdicts(findings.filter(({ status }) => status !== 'ok'))

test('a database that is ready passes every check, and stays as it was', async () => {
  await using db = await testDatabase(
    server,
    'CREATE TABLE orders (id int PRIMARY KEY, total int); CREATE PUBLICATION mine FOR TABLE orders',
  )
  const state = () => db.query('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid')
  const before = await state()
  const logged = server.log.length
  const findings = await examine({ url: db.url, tables: 'orders', slot: 'nightly', publication: 'mine' })
  expect(failing(findings)).toEqual([])
  expect(verdicts(findings)).toEqual([
    'ok CONNECTION',
    'ok REPLICATION_CONNECTION',
    'ok POOLER',
    'ok VERSION',
    'ok KNOWN_FAULTS',
    'ok WAL_LEVEL',
    'ok PRIMARY',
    'ok REPLICATION_PRIVILEGE',
    'ok WAL_SENDER_TIMEOUT',
    ...(findings.some(({ code }) => code === 'IDLE_SLOT_TIMEOUT') ? ['ok IDLE_SLOT_TIMEOUT'] : []),
    'ok FREE_SLOTS',
    'ok FREE_WAL_SENDERS',
    'ok MAX_SLOT_WAL_KEEP_SIZE',
    'ok SLOT',
    'ok READABLE',
    'ok KEY',
    'ok TOAST',
    'ok PUBLICATION',
    'ok RUNNING_TRANSACTIONS',
  ])
  // Not even a transaction id was given out, and no statement was one that writes.
  expect(await state()).toEqual(before)
  expect(await slotsOf(db)).toEqual([])
  expect(await publicationsOf(db)).toEqual(['mine'])
  const statements = [...server.log.slice(logged).matchAll(/(?:statement|execute [^:]*): +(\S+)/g)].map(
    ([, word]) => word,
  )
  expect(statements.length).toBeGreaterThan(5)
  expect(new Set(statements)).toEqual(new Set([...statements].filter((word) => /^(SELECT|SHOW|SET|WITH)$/.test(word!))))
})

test('its session could not write if it wanted to', async () => {
  await using db = await testDatabase(server)
  await using session = await connectReadOnly(parseConnectionString(db.url))
  for (const sql of ['CREATE TABLE t ()', 'CREATE PUBLICATION p', 'ALTER ROLE postgres REPLICATION']) {
    await expect(session.query(sql)).rejects.toMatchObject({ details: { sqlstate: '25006' } })
  }
})

test('a database made difficult: everything is told at once', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE orders (id int PRIMARY KEY, note text);
     CREATE TABLE log (v text);
     CREATE VIEW totals AS SELECT 1 AS one;
     CREATE SCHEMA sales;
     CREATE TABLE sales.items (id int PRIMARY KEY);
     ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
     CREATE PUBLICATION mine FOR TABLE sales.items WITH (publish = 'insert')`,
  )
  const role = `${db.name}_app`
  await db.query(`CREATE ROLE ${role} LOGIN; GRANT SELECT ON orders, log TO ${role}`)
  await db.query(`SELECT pg_create_logical_replication_slot('foreign_one', 'test_decoding')`)
  const findings = await examine({
    url: urlAs(db.url, role),
    tables: 'orders,log,ordesr,totals,sales.items',
    slot: 'foreign_one',
    publication: 'mine',
  })
  await db.query(`SELECT pg_drop_replication_slot('foreign_one'); DROP OWNED BY ${role}; DROP ROLE ${role}`)
  expect(failing(findings)).toEqual([
    'problem REPLICATION_CONNECTION_PRIVILEGE',
    'problem SLOT_OTHER_PLUGIN',
    'problem TABLE_NOT_FOUND',
    'problem TABLE_NOT_CAPTURABLE',
    'problem REPLICA_IDENTITY_MISSING',
    'problem ROW_SECURITY_ACTIVE',
    'problem TABLE_NOT_READABLE',
    'warning TOAST',
    'problem PUBLICATION_TABLES_MISSING',
    'problem PUBLICATION_OPERATIONS_MISSING',
  ])
  // What cannot be run as it stands is no mend.
  const statements = findings.flatMap(({ mend }) => mend.filter(({ kind }) => kind === 'sql'))
  expect(statements.length).toBeGreaterThan(5)
})

test('the SQL that it gives mends what it found', async () => {
  await using db = await testDatabase(
    server,
    `CREATE SCHEMA sales;
     CREATE TABLE sales."Odd items" (v text, w text);
     ALTER TABLE sales."Odd items" ENABLE ROW LEVEL SECURITY;
     CREATE PUBLICATION mine WITH (publish = 'insert')`,
  )
  const role = `${db.name}_app`
  await db.query(`CREATE ROLE ${role} LOGIN`)
  const look = () => examine({ url: urlAs(db.url, role), tables: 'sales."Odd items"', publication: 'mine' })
  const before = await look()
  expect(failing(before)).toHaveLength(6)
  for (const { mend } of before.filter(({ status }) => status === 'problem')) {
    for (const { kind, text } of mend) if (kind === 'sql') await db.query(text)
  }
  expect(failing(await look())).toEqual([])
  await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
})

test('a client that pg_hba.conf does not let in for replication is told the line', async () => {
  const findings = await examine({ url: server.url(), replicationUrl: server.url('closed') })
  expect(verdicts(findings)).toContain('ok CONNECTION')
  const refused = findings.find(({ code }) => code === 'REPLICATION_CONNECTION_HBA')
  expect(refused!.mend[0]!.text).toMatch(/^pg_hba\.conf: host {2}closed {2}postgres {2}/)
})

test('a pooler is seen by the process id that it makes up', async () => {
  await using db = await testDatabase(server)
  await using pooler = await pretendingPooler(server.port)
  const findings = await examine({ url: pooler.url(db.url) })
  expect(failing(findings)).toEqual(['problem POOLER'])
  const beside = await examine({ url: pooler.url(db.url), replicationUrl: db.url })
  expect(failing(beside)).toEqual(['warning POOLER_ORDINARY'])
})

test('a server that is not there: both ways are told of, and nothing else is guessed', async () => {
  expect(verdicts(await examine({ url: 'postgres://u@127.0.0.1:1/d?sslmode=disable', tables: 't' }))).toEqual([
    'problem CONNECTION',
    'problem REPLICATION_CONNECTION',
  ])
})

/** Passes everything on, but for BackendKeyData, which poolers make up themselves. */
async function pretendingPooler(port: number) {
  const listening = createServer((client) => {
    const upstream = connect({ port, host: '127.0.0.1' })
    client.pipe(upstream)
    upstream.on('data', (chunk: Buffer) => {
      const key = chunk.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]))
      if (key >= 0) chunk.writeInt32BE(99_999_999, key + 5)
      client.write(chunk)
    })
    upstream.on('close', () => client.destroy()).on('error', () => {})
    client.on('close', () => upstream.destroy()).on('error', () => {})
  })
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  const { port: own } = listening.address() as { port: number }
  return {
    url: (url: string) => Object.assign(new URL(url), { port: String(own) }).href,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => listening.close(() => resolve())),
  }
}
