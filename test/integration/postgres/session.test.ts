import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { CopyOut } from '../../../src/postgres/copy/copyOut.js'
import { testDatabase } from '../../support/database.js'
import { openSession } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { TcpProxy } from '../../support/tcpProxy.js'
import { serverTls } from '../../support/tls.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

test('queries asked at once are answered each by its own, and the driver warns of nothing', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error) => warnings.push(warning)
  process.on('warning', onWarning)
  try {
    await using db = await testDatabase(server)
    await using session = await openSession(db.url)
    const asked = [1, 2, 3, 4].map((n) => session.query<{ n: number }>('SELECT $1::int4 AS n', [n]))
    const failing = session.query('SELECT 1 / 0')
    const behind = session.query<{ n: number }>('SELECT 5 AS n')
    expect(session.busy).toBe(true)
    await expect(failing).rejects.toMatchObject({ code: 'SERVER_ERROR', details: { sqlstate: '22012' } })
    expect((await Promise.all([...asked, behind])).flat()).toEqual([1, 2, 3, 4, 5].map((n) => ({ n })))
    expect(session.busy).toBe(false)
  } finally {
    await new Promise((resolve) => setImmediate(resolve)) // warnings are told in the next tick
    process.off('warning', onWarning)
  }
  expect(warnings).toEqual([])
})

test('the process id is the one the server knows', async () => {
  await using db = await testDatabase(server)
  await using session = await openSession(db.url, { replication: true })
  const [row] = await session.query<{ pid: string }>('SELECT pg_catalog.pg_backend_pid() AS pid')
  expect(session.processId).toBe(Number(row!.pid))
})

test('whoever wants to know hears of a lost connection, also who asks later', async () => {
  await using db = await testDatabase(server)
  const session = await openSession(db.url)
  const heard: string[] = []
  session.onLost(() => heard.push('first'))
  session.onLost(() => heard.push('second'))
  await db.query('SELECT pg_terminate_backend($1)', [session.processId])
  await session.gone
  session.onLost(() => heard.push('late'))
  expect(heard).toEqual(['first', 'second', 'late'])
})

test('close() waits for the server, and not for one that does not answer', async () => {
  await using db = await testDatabase(server)
  await using proxy = await TcpProxy.to(server.port)
  const session = await openSession(proxy.url(db.url))
  proxy.swallow()
  const since = performance.now()
  await Promise.all([session.close(), session.close()])
  expect(performance.now() - since).toBeGreaterThan(1000)
  expect(performance.now() - since).toBeLessThan(6000)
  await session.gone
})

test('TLS: queries, a socket taken over and given back, and what is too long for one packet', async () => {
  await using secure = await startServer({ tls: serverTls })
  await using db = await testDatabase(secure)
  for (const sslmode of ['require', 'prefer']) {
    await using session = await openSession(`${db.url}?sslmode=${sslmode}`)
    const sql = 'SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()'
    expect(await session.query(sql)).toEqual([{ ssl: true }])
    const rows: number[] = []
    const copy = new CopyOut(session, 'COPY (SELECT generate_series(1, 100000)) TO STDOUT', {
      row: (bytes, start, end) => rows.push(Number(bytes.toString('latin1', start, end))),
      chunkEnd: () => {},
    })
    await copy.done
    expect([rows.length, rows.at(-1)]).toEqual([100_000, 100_000])
    const [{ text }] = (await session.query("SELECT repeat('x', 1000000) AS text")) as [{ text: string }]
    expect(text).toBe('x'.repeat(1_000_000))
  }
})

// In two parts they come to a reader that has the header only.
test.each([
  ['a negative length', ['58ffffffff']],
  ['a negative length in two parts', ['58ffff', 'ffff00000000']],
  ['an authentication request without any', ['5200000004']],
])('what answers with %s is no PostgreSQL, and connecting ends', async (_, parts) => {
  const stranger = createServer(async (socket) => {
    socket.setNoDelay(true).on('error', () => {})
    for (const part of parts) await new Promise((resolve) => socket.write(Buffer.from(part, 'hex'), resolve))
  })
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = stranger.address() as { port: number }
    const url = `postgres://nobody@127.0.0.1:${port}/nothing?connect_timeout=1&sslmode=disable`
    await expect(openSession(url)).rejects.toMatchObject({
      code: expect.stringMatching(/^(CONNECTION_FAILED|SERVER_UNAVAILABLE)$/),
    })
  } finally {
    stranger.close()
  }
})

test('an error is told when the server is ready again: what follows on the raw socket is not answered by what was late', async () => {
  await using db = await testDatabase(server)
  await using proxy = await TcpProxy.to(server.port)
  await using session = await openSession(proxy.url(db.url))
  proxy.holdBack(6, 20) // a ReadyForQuery, which the server sends apart from the error
  for (const values of [undefined, []]) {
    await expect(session.query('SELECT 1 / 0', values)).rejects.toMatchObject({ details: { sqlstate: '22012' } })
    let rows = 0
    await new CopyOut(session, 'COPY (SELECT generate_series(1, 30000)) TO STDOUT', { row: () => void rows++ }).done
    expect(rows).toBe(30000)
  }
})
