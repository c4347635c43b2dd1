import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { requireTable } from '../../support/sourceCapture.js'
import { readSource } from '../../support/sourceReader.js'
import { requireOrder } from '../../support/sourceReplay.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const ROWS = 20_000
const MANY = `
  CREATE TABLE t (id int PRIMARY KEY, n int, note text);
  INSERT INTO t SELECT id, 0, repeat('x', 100) FROM generate_series(1, ${ROWS}) id`

test.concurrent('an idle table is read whole, in order, and then the stream goes on', async () => {
  await using db = await testDatabase(server, MANY)
  db.expectSlots = true
  await using reader = readSource({ url: db.url, tables: 't', slot: `s_${db.name}`, strategy: 'incremental' })
  await reader.told('snapshot-finished')
  await db.query("INSERT INTO t VALUES (1000000, 2, 'late')")
  await reader.seen(({ key }) => key?.id === 1_000_000, 'the last row')
  await reader.close()
  expect(reader.snapshotOf('t')).toHaveLength(ROWS)
  await requireTable(db, reader.records, 't')
  requireOrder(reader.records)
})

test.concurrent('what changes while it is read comes once, in order', async () => {
  await using db = await testDatabase(server, MANY)
  db.expectSlots = true
  await using reader = readSource({ url: db.url, tables: 't', slot: `s_${db.name}`, strategy: 'incremental' })
  let over = false
  const writing = (async () => {
    for (let round = 0; !over; round++) {
      const id = 1 + Math.floor(Math.random() * ROWS)
      await db.query(`
        UPDATE t SET n = n + 1 WHERE id % 97 = ${round % 97};
        DELETE FROM t WHERE id = ${id}; UPDATE t SET id = -id WHERE id = ${ROWS - id};
        INSERT INTO t VALUES (${ROWS + round + 1}, ${round}, 'new')`)
    }
  })()
  try {
    await reader.told('snapshot-finished')
  } finally {
    over = true
    await writing
  }
  await db.query("INSERT INTO t VALUES (1000000, 2, 'late')")
  await reader.seen(({ key }) => key?.id === 1_000_000, 'the last row')
  await reader.close()
  await requireTable(db, reader.records, 't')
  requireOrder(reader.records)
})
