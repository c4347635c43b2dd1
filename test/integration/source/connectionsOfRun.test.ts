import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { parseConnectionString } from '../../../src/postgres/connectionString.js'
import { Connections } from '../../../src/source/connections.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { TcpProxy } from '../../support/tcpProxy.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

let db: TestDatabase
let abort: AbortController
let connections: Connections
beforeEach(async () => {
  db = await testDatabase(server, 'CREATE TABLE t (id int)')
  abort = new AbortController()
  connections = connectionsTo(db.url)
})
// Fails if a connection is left.
afterEach(async () => {
  await connections.close()
  await db[Symbol.asyncDispose]()
})

function connectionsTo(url: string): Connections {
  const options = parseConnectionString(url)
  return new Connections(options, options, abort.signal)
}

/** Queries of ours that the server is busy with. */
async function waiting(): Promise<string[]> {
  const rows = await db.query<{ query: string }>(
    `SELECT query FROM pg_stat_activity
      WHERE application_name = 'tailrace' AND datname = current_database() AND wait_event_type = 'Lock'`,
  )
  return rows.map(({ query }) => query)
}

async function connected(): Promise<number> {
  const sql = `SELECT FROM pg_stat_activity WHERE application_name = 'tailrace' AND datname = current_database()`
  return (await db.query(sql)).length
}

async function cutAll(): Promise<void> {
  await db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tailrace'")
}

describe('the control session', () => {
  test('is opened anew once, however many queries find it cut, and none is left at the end', async () => {
    await connections.control.query('SELECT 1')
    await cutAll()
    const answers = await Promise.all([1, 2, 3].map((n) => connections.control.query('SELECT $1::int4 AS n', [n])))
    expect(answers.flat()).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    expect(await connected()).toBe(1)
    await connections.close()
    await waitFor(async () => (await connected()) === 0, { what: 'the connection to be gone' })
  })

  test('queries that are cut while they run are asked again', async () => {
    const holder = await db.connect()
    await holder.query('BEGIN; LOCK TABLE t')
    const asked = [1, 2].map((n) =>
      connections.control.query(`SELECT ${n} AS n FROM (SELECT count(*) FROM public.t) c`),
    )
    await waitFor(async () => (await waiting()).length > 0, { what: 'a query that waits' })
    await cutAll()
    await waitFor(async () => (await waiting()).length > 0, { what: 'the query to wait again' })
    await holder.query('COMMIT')
    expect((await Promise.all(asked)).flat()).toEqual([{ n: 1 }, { n: 2 }])
  })

  test('an error of the statement is told at once, and the session goes on', async () => {
    await connections.control.query('SELECT 1')
    await expect(connections.control.query('SELECT 1 / 0')).rejects.toMatchObject({ details: { sqlstate: '22012' } })
    await connections.control.query('SELECT 1')
    expect(await connected()).toBe(1)
  })

  test('is refused after close()', async () => {
    await connections.control.query('SELECT 1')
    await connections.close()
    await expect(connections.control.query('SELECT 1')).rejects.toThrow('the run is over')
    await expect(connections.ordinary()).rejects.toThrow('the run is over')
  })

  test('a query outlasts a restart of the server', async () => {
    await using restarted = await startServer()
    await using other = await testDatabase(restarted)
    const over = new AbortController()
    const options = parseConnectionString(other.url)
    const lasting = new Connections(options, options, over.signal)
    await lasting.control.query('SELECT 1')
    await restarted.stop('fast')
    const asked = lasting.control.query('SELECT 2 AS n')
    const waited = lasting.control.query('SELECT 3 AS n')
    await restarted.restart()
    expect((await Promise.all([asked, waited])).flat()).toEqual([{ n: 2 }, { n: 3 }])
    await restarted.stop('fast')
    const aborted = lasting.control.query('SELECT 4 AS n')
    over.abort(new Error('stop it'))
    await expect(aborted).rejects.toThrow('stop it')
    await restarted.restart()
    await lasting.close()
  })

  test('a server that never was there is told of at once', async () => {
    const nowhere = connectionsTo('postgres://nobody@127.0.0.1:1/nothing')
    const since = performance.now()
    await expect(nowhere.control.query('SELECT 1')).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(performance.now() - since).toBeLessThan(5000)
    await nowhere.close()
  })
})

describe('an abort', () => {
  test('cuts what waits for a lock, on the server too while the lock is held', async () => {
    const holder = await db.connect()
    await holder.query('BEGIN; LOCK TABLE t')
    const session = await connections.ordinary()
    const asked = [
      connections.control.query('CREATE PUBLICATION too_late FOR TABLE public.t'),
      session.query('SELECT count(*) FROM public.t'),
    ]
    const settled = Promise.allSettled(asked)
    await waitFor(async () => (await waiting()).length === 2, { what: 'both to wait' })
    abort.abort(new Error('stop it'))
    const [control, ordinary] = await settled
    expect(control).toMatchObject({ status: 'rejected', reason: { message: 'stop it' } })
    expect(ordinary).toMatchObject({ status: 'rejected', reason: { code: 'CONNECTION_LOST' } })
    await connections.close()
    await waitFor(async () => (await connected()) === 0, { what: 'their processes to be gone' })
    await holder.query('COMMIT')
    expect(await db.query('SELECT FROM pg_publication')).toEqual([])
  })

  test('leaves a replication session to whoever streams in it, and ends an idle one', async () => {
    const idle = await connections.replication()
    const streaming = await connections.replication()
    const frames: number[] = []
    const taken = streaming.takeOver({ onFrame: (tag) => frames.push(tag), onFailure: () => frames.push(-1) })
    abort.abort()
    await idle.gone
    expect(frames).toEqual([])
    taken.release()
    await streaming.query('SELECT 1')
    await connections.close()
    await streaming.gone
  })

  test('leaves the clean-up, which has a connection of its own', async () => {
    await connections.control.query('CREATE PUBLICATION p FOR TABLE public.t')
    abort.abort()
    await connections.cleanup((queryable) => queryable.query('DROP PUBLICATION p'))
    expect(await db.query('SELECT FROM pg_publication')).toEqual([])
    await expect(connections.ordinary()).rejects.toThrow()
  })

  test('ends in a few seconds when the network is gone', async () => {
    await using proxy = await TcpProxy.to(server.port)
    const distant = connectionsTo(proxy.url(db.url))
    await distant.control.query('SELECT 1')
    await distant.ordinary()
    const waits = distant.control.query('SELECT pg_sleep(600)')
    const rejected = expect(waits).rejects.toThrow('stop it')
    proxy.swallow()
    const since = performance.now()
    abort.abort(new Error('stop it'))
    await rejected
    await expect(distant.cleanup((queryable) => queryable.query('SELECT 1'))).rejects.toThrow()
    await distant.close()
    expect(performance.now() - since).toBeLessThan(15_000)
  })
})

test('the clean-up of a run that was not aborted is limited too', async () => {
  await using proxy = await TcpProxy.to(server.port)
  const distant = connectionsTo(proxy.url(db.url))
  await distant.control.query('SELECT 1')
  proxy.swallow()
  const since = performance.now()
  await expect(distant.cleanup((queryable) => queryable.query('SELECT 1'))).rejects.toThrow()
  await distant.close()
  expect(performance.now() - since).toBeLessThan(15_000)
})

test('a session that was lost or closed is forgotten', async () => {
  const lost = await connections.ordinary()
  const closed = await connections.replication()
  const open = await connections.ordinary()
  expect(connections.open).toBe(3)
  await db.query('SELECT pg_terminate_backend($1)', [lost.processId])
  await closed.close()
  await Promise.all([lost.gone, closed.gone])
  expect(connections.open).toBe(1)
  await open.query('SELECT 1')
})
