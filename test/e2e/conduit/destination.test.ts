import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { record, Sink } from '../../support/conduit/sink.js'
import { testDatabase } from '../../support/database.js'
import { rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const ORDERS = 'CREATE TABLE orders (id int PRIMARY KEY, total numeric, note text)'

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
    expect(await sink.deliver(record('update', 'orders', { key: { id: 5 }, after: { id: 5, note: 'new' } }))).toEqual([
      '',
    ])
    await sink.stop()
    expect(await rowsOf(db, 'orders')).toEqual(['(1,1.75,b)', '(2,2,)', '(5,,new)'])
  })
})
