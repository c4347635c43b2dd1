import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { decoded } from '../../support/avro.js'
import { Pipeline } from '../../support/conduit/pipeline.js'
import { SchemaRegistry } from '../../support/conduit/schemaRegistry.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'

/** From 200,000 on records are made in a thread. */
const ROWS = 210_000

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

test('the plugin is one file, and its thread is in it', () => {
  const plugin = readFileSync(fileURLToPath(new URL('../../../dist/tailrace-conduit.cjs', import.meta.url)), 'utf8')
  expect(plugin).not.toContain('TAILRACE_RECORD_WORKER')
  expect(plugin.length).toBeLessThan(5_000_000)
})

test('a large snapshot that is killed in the middle, and stopped, goes on behind what was acknowledged', {
  timeout: 120_000,
}, async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (id int PRIMARY KEY, n numeric(10,2));
     INSERT INTO t SELECT i, CASE WHEN i % 70000 = 0 THEN 'NaN' ELSE i / 4.0 END FROM generate_series(1, ${ROWS}) i;
     ANALYZE t`,
  )
  db.expectSlots = true
  await using schemas = await SchemaRegistry.start()
  const settings = { url: db.url, tables: 't', 'logrepl.slotName': db.name, 'sdk.batch.size': '1000' }
  await using pipeline = new Pipeline(settings, { engine: 'v1', ackAfterMs: 0, schemas })
  await pipeline.start()
  await pipeline.has(60_000)
  await pipeline.crash()
  const first = pipeline.records.findIndex(({ position }) => position.equals(pipeline.stored))
  expect(first).toBeGreaterThan(0)
  // What was not acknowledged comes again.
  pipeline.records.length = first + 1
  await pipeline.start()
  await pipeline.has(60_000)
  const last = await pipeline.stop()
  expect(last).toEqual(pipeline.records.at(-1)!.position)
  expect(pipeline.stored).toEqual(last)
  await db.query(`INSERT INTO t VALUES (0, 1)`)
  await pipeline.start()
  await pipeline.has(ROWS + 1 - pipeline.records.length)
  await pipeline.stop()
  const rows = pipeline.records.map(({ metadata, payload }) => {
    const data = payload!.after!.data!
    return decoded(schemas.schemaOf(metadata, 'payload'), data.value as Buffer)
  })
  expect(new Set(rows.map(({ id }) => id)).size).toBe(ROWS + 1)
  expect(rows).toHaveLength(ROWS + 1)
  expect(rows.filter(({ n }) => n === 'NaN').map(({ id }) => id)).toEqual(
    expect.arrayContaining([70_000, 140_000, 210_000]),
  )
})
