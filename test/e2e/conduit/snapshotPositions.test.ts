import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { Pipeline, shortOf } from '../../support/conduit/pipeline.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const TABLES = `
  CREATE TABLE a (place int, name text, PRIMARY KEY (place, name));
  INSERT INTO a VALUES (1, 'x'), (1, 'y "z" \\'), (1, 'ä,]}'), (2, ''), (3, E'\\n');
  CREATE TABLE b (id bigint PRIMARY KEY);
  INSERT INTO b SELECT n FROM generate_series(1, 4) AS n`

test.each(['consistent', 'incremental'])(
  'a %s snapshot is gone on with behind each of its rows: the rest comes, and nothing else, and then the changes',
  { timeout: 120_000 },
  async (strategy) => {
    await using db = await testDatabase(server, TABLES)
    db.expectSlots = true
    const settings = { url: db.url, tables: 'a,b', 'logrepl.slotName': db.name, strategy }
    await using whole = new Pipeline(settings, { ackAfterMs: undefined })
    await whole.start()
    await whole.has(9)
    await whole.crash()
    const all = whole.records.map((record) => JSON.stringify([record.metadata['opencdc.collection'], shortOf(record)]))
    expect(new Set(all).size).toBe(9)
    await db.query('INSERT INTO b VALUES (100)')
    for (const [index, { position }] of whole.records.entries()) {
      await using pipeline = new Pipeline(settings, { ackAfterMs: undefined })
      pipeline.stored = position
      await pipeline.start()
      const cameOf = (isNew: boolean) =>
        pipeline.stream.records
          .map((record) => JSON.stringify([record.metadata['opencdc.collection'], shortOf(record)]))
          .filter((one) => one.includes('"id":100}') === isNew)
      // The row that came since is streamed, or read, or both.
      await waitFor(() => cameOf(false).length >= 8 - index && cameOf(true).length > 0, { what: 'the rest' })
      await pipeline.crash()
      const came = cameOf(false)
      expect(came.sort()).toEqual(all.slice(index + 1).sort())
    }
  },
)
