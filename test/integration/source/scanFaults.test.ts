import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { PostgresSource } from '../../../src/source/postgresSource.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { rowsOf } from '../../support/sourceCapture.js'
import { readSource, type SourceRecord } from '../../support/sourceReader.js'
import { byField, replay, requireOrder, sorted } from '../../support/sourceReplay.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ settings: { max_replication_slots: '30', max_wal_senders: '30' } })
})
afterAll(() => server?.[Symbol.asyncDispose]())

const MANY = `
  CREATE TABLE t (id int PRIMARY KEY, n int, note text);
  INSERT INTO t SELECT id, 0, repeat('x', 100) FROM generate_series(1, 20000) id`

async function requireTable(db: TestDatabase, records: readonly SourceRecord[]): Promise<void> {
  const rows = (await rowsOf(db, 't', 'id')) as Record<string, unknown>[]
  expect(replay(records, 't').sort(byField('id'))).toEqual(rows.map(sorted))
}

/** Does `work` when the first rows are there and the consumer holds up what is read behind them. */
function whenBegun(work: (source: PostgresSource) => Promise<unknown>) {
  let done: Promise<unknown> | undefined
  let source: PostgresSource | undefined
  return {
    attach: (attached: PostgresSource) => {
      source = attached
    },
    onBatch: async ({ length }: { readonly length: number }) => {
      if (length === 0 || done !== undefined) return
      done = work(source!)
      await done
    },
  }
}

test.concurrent('a truncate in the middle: its rows come again under other ids, and no more than that', async () => {
  await using db = await testDatabase(server, MANY)
  db.expectSlots = true
  const { attach, onBatch } = whenBegun(() =>
    db.query("TRUNCATE t; INSERT INTO t SELECT id, 1, 'new' FROM generate_series(1, 3000) id"),
  )
  const options = { url: db.url, tables: 't', slot: `s_${db.name}`, strategy: 'incremental' as const, maxBytes: 65536 }
  await using reader = readSource(options, { onBatch })
  attach(reader.source)
  await reader.seen(({ operation }) => operation === 'truncate', 'the truncate')
  await db.query("INSERT INTO t VALUES (1000000, 2, 'late')")
  await reader.seen(({ key }) => key?.id === 1_000_000, 'the last row')
  await reader.until(() => replay(reader.records, 't').length === 3001, { what: 'all rows' })
  await reader.close()
  await requireTable(db, reader.records)
  requireOrder(reader.records)
})
