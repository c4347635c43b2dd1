import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { Pipeline, shortOf } from '../../support/conduit/pipeline.js'
import { testDatabase } from '../../support/database.js'
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
  test('snapshot, changes, stop and start: every record once', async () => {
    await using db = await testDatabase(server, `${ORDERS}; INSERT INTO orders VALUES (1, 1.50, 'a'), (2, NULL, NULL)`)
    db.expectSlots = true
    await using pipeline = new Pipeline({ url: db.url, tables: 'orders', 'logrepl.slotName': db.name }, { engine })
    await pipeline.start()
    await pipeline.has(2)
    await db.query("INSERT INTO orders VALUES (3, 3, 'c')")
    await db.query("UPDATE orders SET note = 'b' WHERE id = 2")
    await pipeline.has(4)
    await db.query('DELETE FROM orders WHERE id = 1')
    await pipeline.has(5)
    await pipeline.stop()
    await db.query("INSERT INTO orders VALUES (4, 4, 'd')")
    await pipeline.start()
    await pipeline.has(1)
    await pipeline.stop()
    expect(pipeline.records.map(shortOf)).toEqual([
      ['snapshot', { id: 1, total: '1.50', note: 'a' }],
      ['snapshot', { id: 2, total: null, note: null }],
      ['create', { id: 3, total: '3', note: 'c' }],
      ['update', { id: 2, total: null, note: 'b' }],
      ['delete', { id: 1 }],
      ['create', { id: 4, total: '4', note: 'd' }],
    ])
    expect(new Set(pipeline.records.map(({ position }) => position.toString())).size).toBe(6)
  })
})
