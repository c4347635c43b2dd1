import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { DestinationPluginService } from '../../../src/homes/conduit/proto/connector/v2/destination.js'
import { launch } from '../../support/conduit/conduitHost.js'
import { record, Sink } from '../../support/conduit/sink.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const ORDERS = 'CREATE TABLE orders (id int PRIMARY KEY, total numeric, note text)'

const order = (id: number, note = `n${id}`) => record('create', 'orders', { key: { id }, after: { id, note } })
const orders = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => order(from + i))

async function countOf(db: TestDatabase): Promise<number> {
  const [row] = await db.query<{ count: number }>('SELECT count(*)::int AS count FROM orders')
  return row!.count
}

const writers = (db: TestDatabase) =>
  db.query<{ pid: number }>(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name NOT LIKE '%test%' AND backend_type = 'client backend'",
  )

describe.each(['v1', 'v2'] as const)('the engine %s', (engine) => {
  test('every operation, a batch with a bad record, stop and start', async () => {
    await using db = await testDatabase(server, ORDERS)
    await using sink = await Sink.started({ url: db.url }, { engine })
    const errors = await sink.deliver(
      record('snapshot', 'orders', { key: { id: 1 }, after: { id: 1, total: '1.50', note: 'a' } }),
      record('create', 'orders', { key: { id: 2 }, after: { id: 2, total: 2, note: null } }),
      record('create', 'orders', { key: { id: 3 }, after: { id: 3, total: 'much', note: 'bad' } }),
      record('create', 'orders', { key: { id: 4 }, after: { id: 4, total: 4, note: 'd' } }),
      record('update', 'orders', { key: { id: 1 }, after: { id: 1, total: '1.75', note: 'b' } }),
      record('delete', 'orders', { key: { id: 4 } }),
      record('delete', 'orders', { key: { id: 99 } }),
    )
    expect(errors.map((error) => error !== '')).toEqual([false, false, true, false, false, false, false])
    expect(errors[2]).toMatch(
      /^RECORD_REJECTED: table public\.orders rejects a record \(create of id=3\).*\[SQLSTATE 22P02\], column total/,
    )
    expect(await rowsOf(db, 'orders')).toEqual(['(1,1.75,b)', '(2,2,)'])
    await sink.stop()
    expect(sink.host.logs.filter(({ level }) => level === 'error')).toEqual([])
    await sink.start()
    const more = record('update', 'orders', { key: { id: 5 }, after: { id: 5, note: 'new' } })
    expect(await sink.deliver(more)).toEqual([''])
    await sink.stop()
    expect(await rowsOf(db, 'orders')).toEqual(['(1,1.75,b)', '(2,2,)', '(5,,new)'])
  })

  test('ten thousand records at once: acknowledged each, in order, and there when they are', async () => {
    await using db = await testDatabase(server, ORDERS)
    await using sink = await Sink.started({ url: db.url }, { engine })
    const errors = await sink.deliver(...orders(1, 10_000))
    expect(errors.every((error) => error === '')).toBe(true)
    expect(await countOf(db)).toBe(10_000)
    // Single records are gathered, a message of several is never parted.
    if (engine === 'v1') expect(sink.stream.messages.length).toBeLessThan(1000)
    else expect(sink.stream.messages).toEqual([10_000])
    await sink.stop()
  })

  test('cancelled without Stop in the middle of a batch: what was acknowledged is there, and the connection is gone', async () => {
    await using db = await testDatabase(server, ORDERS)
    await using sink = await Sink.started({ url: db.url }, { engine })
    await sink.deliver(...orders(1, 10))
    const locker = await db.connect()
    await locker.query('BEGIN; LOCK TABLE orders IN EXCLUSIVE MODE')
    sink.stream.send(orders(11, 500))
    await waitFor(async () => (await db.query('SELECT FROM pg_locks WHERE NOT granted')).length > 0, {
      what: 'the write to wait',
    })
    sink.stream.cancel()
    await sink.host.call(DestinationPluginService.teardown, {})
    expect(await sink.host.kill()).toMatchObject({ killed: false })
    await waitFor(async () => (await writers(db)).length === 0, { what: 'the connection to be gone' })
    await locker.query('ROLLBACK')
    expect(await countOf(db)).toBe(10)
    // What was not acknowledged comes again.
    await sink.start()
    await sink.deliver(...orders(11, 500))
    await sink.stop()
    expect(await countOf(db)).toBe(500)
  })

  test('a lost connection in the middle: written again, and nothing is missing', async () => {
    await using db = await testDatabase(server, ORDERS)
    await using sink = await Sink.started({ url: db.url }, { engine })
    await sink.deliver(...orders(1, 10))
    for (let round = 0; round < 5; round++) {
      const from = 11 + round * 1000
      const delivered = sink.deliver(...orders(from, from + 999))
      for (const { pid } of await writers(db)) await db.query('SELECT pg_terminate_backend($1)', [pid])
      expect((await delivered).every((error) => error === '')).toBe(true)
    }
    expect(await countOf(db)).toBe(5010)
    await sink.stop()
  })
})

describe('Stop', () => {
  test('waits for the record that it names, though others are to come with it, and for its acknowledgement', async () => {
    await using db = await testDatabase(server, ORDERS)
    const settings = { url: db.url, 'sdk.batch.size': '1000', 'sdk.batch.delay': '1h' }
    await using sink = await Sink.started(settings)
    sink.stream.send(orders(1, 3))
    await sleep(300)
    expect(sink.stream.acks).toEqual([])
    const last = order(4)
    const stopped = sink.host.call(DestinationPluginService.stop, { lastPosition: last.position })
    await sleep(200)
    sink.stream.send([last])
    await stopped
    await sink.stream.hasAcked(4)
    expect(await countOf(db)).toBe(4)
    await sink.stop()
  })

  test('with no record at all returns at once', async () => {
    await using db = await testDatabase(server, ORDERS)
    await using sink = await Sink.started({ url: db.url, 'sdk.batch.delay': '1h' }, { here: true })
    await sink.stop()
  })
})

describe('batches', () => {
  test('sdk.batch.size parts what comes, sdk.batch.delay waits for more', async () => {
    await using db = await testDatabase(server, ORDERS)
    const settings = { url: db.url, 'sdk.batch.size': '4', 'sdk.batch.delay': '200ms' }
    await using sink = await Sink.started(settings, { engine: 'v2', here: true })
    await sink.deliver(...orders(1, 10))
    expect(sink.stream.messages).toEqual([4, 4, 2])
    sink.stream.send(orders(11, 12))
    await sleep(50)
    sink.stream.send(orders(13, 14))
    await sink.stream.hasAcked(14)
    expect(sink.stream.messages).toEqual([4, 4, 2, 4])
    await sink.stop()
  })

  test('sdk.rate.perSecond holds the average, and the burst', async () => {
    await using db = await testDatabase(server, ORDERS)
    const settings = { url: db.url, 'sdk.rate.perSecond': '100', 'sdk.rate.burst': '10' }
    await using sink = await Sink.started(settings, { engine: 'v2', here: true })
    const since = performance.now()
    await sink.deliver(...orders(1, 110))
    expect(performance.now() - since).toBeGreaterThan(950)
    expect(Math.max(...sink.stream.messages)).toBe(10)
    await sink.stop()
  })
})

describe('faults', () => {
  test('a server that cannot be reached is told by Open', async () => {
    await using host = await launch()
    await host.call(DestinationPluginService.configure, { config: { url: 'postgres://nobody@127.0.0.1:1/none' } })
    await expect(host.call(DestinationPluginService.open, {})).rejects.toThrow(/^SERVER_UNREACHABLE|^CONNECTION/)
    await host.call(DestinationPluginService.teardown, {})
    expect(await host.kill()).toMatchObject({ killed: false })
  })

  test('a server that is read-only ends the run after retryTimeout, with nothing acknowledged', async () => {
    await using db = await testDatabase(server, ORDERS)
    await using sink = await Sink.started({ url: db.url, retryTimeout: '300ms' }, { here: true })
    await sink.deliver(order(1))
    await db.query(`ALTER DATABASE ${db.name} SET default_transaction_read_only = on`)
    for (const { pid } of await writers(db)) await db.query('SELECT pg_terminate_backend($1)', [pid])
    sink.stream.send([order(2)])
    expect(await sink.stream.fails()).toMatch(/^TARGET_READ_ONLY: .* \[SQLSTATE 25006\]/)
    expect(sink.stream.acks).toEqual([''])
    await db.query(`ALTER DATABASE ${db.name} RESET default_transaction_read_only`)
    await sink.start()
    await sink.deliver(order(2))
    await sink.stop()
  })

  test('killed in the middle of a write: what the server had of it is never written over what comes next', async () => {
    await using db = await testDatabase(server, `${ORDERS}; INSERT INTO orders VALUES (1)`)
    await using sink = await Sink.started({ url: db.url })
    const locker = await db.connect()
    await locker.query('BEGIN; UPDATE orders SET total = 1')
    sink.stream.send([order(1, 'old')])
    await waitFor(async () => (await db.query('SELECT FROM pg_locks WHERE NOT granted')).length > 0, {
      what: 'the write to wait',
    })
    sink.host.child.kill('SIGKILL')
    await sink.host.ended
    await sink.start()
    const delivered = sink.deliver(order(1, 'new'))
    await sleep(200)
    await locker.query('ROLLBACK')
    expect(await delivered).toEqual([''])
    await sink.stop()
    expect(await rowsOf(db, 'orders')).toEqual(['(1,,new)'])
  })

  test('the host is killed: the process ends, and its connection is gone', async () => {
    await using db = await testDatabase(server, ORDERS)
    await using sink = await Sink.started({ url: db.url })
    await sink.deliver(order(1))
    sink.host.child.kill('SIGKILL')
    await sink.host.ended
    await waitFor(async () => (await writers(db)).length === 0, { what: 'the connection to be gone' })
  })
})

test('tables that are first seen while a batch is written are looked up when it is: nothing is stuck, or acked too early', async () => {
  const tables = Array.from({ length: 20 }, (_, index) => `t${index}`)
  await using db = await testDatabase(
    server,
    `${ORDERS}; ${tables.map((name) => `CREATE TABLE ${name} (LIKE orders INCLUDING ALL)`).join(';')}`,
  )
  await using sink = await Sink.started({ url: db.url }, { engine: 'v2' })
  for (const [index, name] of tables.entries()) {
    sink.stream.send(orders(2000 * index + 1, 2000 * index + 2000))
    sink.stream.send([record('create', name, { key: { id: 1 }, after: { id: 1, note: name } })])
  }
  await sink.stream.hasAcked(tables.length * 2001)
  expect(await countOf(db)).toBe(tables.length * 2000)
  for (const name of tables) expect(await rowsOf(db, name)).toEqual([`(1,,${name})`])
  await sink.stop()
})
