import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'
import { TcpProxy } from '../../support/tcpProxy.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const between = (tables: string, sql: string, targetSql?: string) =>
  Replication.between(server, server, tables, sql, targetSql)

/** A table that shows each row that was written twice, and one that shows each that is wrong. */
const LOG = 'CREATE TABLE log (n int, pad text); CREATE TABLE t (id int PRIMARY KEY, n int)'
const INSERTS = { source: { keyless: 'inserts' } } as const

/** The server's processes that write into the target. Asked outside of it, where no transaction holds the answer fast. */
async function writers({ from, to }: Replication, condition = 'true'): Promise<number[]> {
  const rows = await from.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tailrace' AND ${condition}`,
    [to.name],
  )
  return rows.map(({ pid }) => pid)
}

describe('each row exactly once', () => {
  test('through connections that are cut at any moment', async () => {
    await using pair = await between('log,t', LOG)
    await using proxy = await TcpProxy.to(server.port)
    await pair.from.query(`INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i`)
    await pair.run(INSERTS)
    for (let round = 0; round < 20; round++) {
      await pair.from.query(`
        INSERT INTO log SELECT ${round}, repeat('x', 1000) FROM generate_series(1, 200); UPDATE t SET n = n + 1; UPDATE t SET id = -id`)
    }
    let cuts = 0
    let batches = 0
    await pair.run({
      source: { ...INSERTS.source, maxBytes: 64 * 1024 },
      destination: { url: proxy.url(pair.to.url), retryMs: 30_000 },
      onBatch: async () => {
        if (++batches % 2 === 0) return
        setTimeout(
          () => {
            if (proxy.connections > 0) cuts++
            proxy.cut()
          },
          (batches * 7) % 23,
        )
      },
    })
    expect(cuts).toBeGreaterThan(2)
    for (const table of ['log', 't']) expect(await rowsOf(pair.to, table)).toEqual(await rowsOf(pair.from, table))
  })

  test('where the session is ended in the middle of a batch', async () => {
    await using pair = await between('log,t', LOG)
    await pair.from.query('INSERT INTO t VALUES (1, 1)')
    await pair.run(INSERTS)
    await pair.from.query("INSERT INTO log VALUES (1, 'x'); UPDATE t SET n = 2")
    await pair.to.query('BEGIN; LOCK TABLE t')
    const running = pair.run(INSERTS)
    const waiting = () => writers(pair, "wait_event_type = 'Lock'")
    await waitFor(async () => (await waiting()).length > 0, { what: 'the batch to wait' })
    const [pid] = await waiting()
    await pair.to.query(`SELECT pg_terminate_backend(${pid})`)
    await waitFor(async () => (await waiting()).some((one) => one !== pid), { what: 'another session to wait' })
    await pair.to.query('COMMIT')
    await running
    for (const table of ['log', 't']) expect(await rowsOf(pair.to, table)).toEqual(await rowsOf(pair.from, table))
  })

  test('an abort or a close ends what waits; whether the server still writes it, each row is there once in the end', async () => {
    await using pair = await between('log,t', LOG)
    await pair.run(INSERTS)
    await pair.from.query("INSERT INTO t VALUES (1, 1); INSERT INTO log VALUES (1, 'x')")
    await pair.to.query('BEGIN; LOCK TABLE t')
    const abort = new AbortController()
    const running = failureOf(pair.run({ ...INSERTS, destination: { signal: abort.signal } }))
    await waitFor(async () => (await writers(pair, "wait_event_type = 'Lock'")).length > 0, {
      what: 'the batch to wait',
    })
    const reason = new Error('enough')
    abort.abort(reason)
    expect(await running).toBe(reason)
    const closed = pair.destination()
    const closing = failureOf(
      pair.run({ ...INSERTS, writing: closed }).then(() => {
        throw new Error('it was written')
      }),
    )
    await waitFor(async () => (await writers(pair, "wait_event_type = 'Lock'")).length > 0, {
      what: 'the next to wait',
    })
    await closed.close()
    expect((await closing)?.code).toMatch(/^CONNECTION_LOST|DESTINATION_CLOSED$/)
    await pair.to.query('COMMIT')
    await pair.expectSame('t', INSERTS)
    expect(await rowsOf(pair.to, 'log')).toEqual(await rowsOf(pair.from, 'log'))
  })

  test('where a batch was committed and its answer was lost', async () => {
    await using pair = await between('log,t', LOG)
    await pair.run(INSERTS)
    await pair.from.query("INSERT INTO log VALUES (1, 'x'), (1, 'x')")
    await pair.to.query("SET synchronous_commit = 'local'")
    const standbys = async (names: string) => {
      await pair.to.query(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`)
      await pair.to.query('SELECT pg_reload_conf()')
    }
    // Until nobody's standby has it a commit is there, but not told of.
    const running = (async () => {
      let isFirst = true
      await pair.run({
        ...INSERTS,
        onBatch: async ({ length }) => {
          if (length === 0 || !isFirst) return
          isFirst = false
          await standbys('nobody')
          await sleep(300)
        },
      })
    })()
    const waiting = () => writers(pair, "wait_event = 'SyncRep'")
    await waitFor(async () => (await waiting()).length > 0, { what: 'the commit to wait' })
    const [pid] = await waiting()
    await standbys('')
    await pair.to.query(`SELECT pg_terminate_backend(${pid})`)
    await running
    expect(await rowsOf(pair.to, 'log')).toEqual(['(1,x)', '(1,x)'])
  })

  test('a second writer takes over, and the first can write no more', async () => {
    await using pair = await between('log,t', LOG)
    await using second = pair.destination()
    await pair.from.query("INSERT INTO log VALUES (1, 'x')")
    const first = await failureOf(
      pair.run({
        ...INSERTS,
        onBatch: async ({ length }) => {
          if (length > 0) await second.open()
        },
      }),
    )
    expect(first).toMatchObject({ code: 'DESTINATION_FENCED', message: expect.stringContaining('"test"') })
    expect(await rowsOf(pair.to, 'log')).toEqual([])
    expect(await writers(pair)).toHaveLength(1)
    await second.close()
    await pair.expectSame('log t', INSERTS)
  })

  test('a target that is read-only for a while is waited for; not longer than is set', async () => {
    await using pair = await between('t', LOG)
    await pair.run()
    await pair.from.query('INSERT INTO t VALUES (1, 1)')
    const readOnly = (value: string) =>
      pair.to.query(`ALTER DATABASE ${pair.to.name} SET default_transaction_read_only = ${value}`)
    await using writing = pair.destination()
    await writing.open()
    await readOnly('on')
    const refused = await failureOf(pair.run({ destination: { retryMs: 200 } }))
    expect(refused).toMatchObject({ code: 'TARGET_READ_ONLY' })
    const running = pair.run({ destination: { retryMs: 20_000 } })
    await sleep(600)
    await pair.to.query('BEGIN READ WRITE')
    await readOnly('off')
    await pair.to.query('COMMIT')
    await running
    expect(await rowsOf(pair.to, 't')).toEqual(['(1,1)'])
  })
})

test('an interrupted first copy of a table without a key leaves nothing twice', async () => {
  await using pair = await between('log,t', LOG)
  await pair.from.query(`
    INSERT INTO log SELECT i, repeat('x', 200) FROM generate_series(1, 5000) i; INSERT INTO t SELECT i, i FROM generate_series(1, 500) i`)
  const source = { ...INSERTS.source, maxBytes: 64 * 1024, snapshotWorkers: 1 }
  let rows = 0
  const stopped = await failureOf(
    pair.run({
      source,
      onBatch: async (batch) => {
        rows += batch.length
        if (rows > 3000) throw new Error('stopped by the test')
      },
    }),
  )
  expect(stopped!.message).toBe('stopped by the test')
  expect(await rowsOf(pair.to, 'log')).toEqual([])
  rows = 0
  const ended = await failureOf(
    pair.run({
      source,
      onBatch: async (batch) => {
        rows += batch.length
        if (rows > 3000)
          for (const pid of await writers(pair)) await pair.from.query(`SELECT pg_terminate_backend(${pid})`)
      },
    }),
  )
  expect(ended!.code).toMatch(/^CONNECTION_LOST|SERVER_UNAVAILABLE$/)
  expect(await rowsOf(pair.to, 'log')).toEqual([])
  await pair.from.query("INSERT INTO log VALUES (0, 'new')")
  await pair.expectSame('log t', { source })
})
