import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { SourceOptions } from '../../../src/source/options.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { readSource, readToCurrent, type SourceReader, type SourceRecord } from '../../support/sourceReader.js'
import { requireOrder } from '../../support/sourceReplay.js'
import { publicationsOf, slotsOf } from '../../support/sourceSlots.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  // As little as a server may have: no WAL to decode, no slots, no walsenders.
  server = await startServer({
    settings: { wal_level: 'minimal', max_wal_senders: '0', max_replication_slots: '0' },
  })
})
afterAll(() => server?.[Symbol.asyncDispose]())

const FAST = { cdcMode: 'long_polling', pollIntervalMs: 20 } as const

type Position = SourceOptions['position']

/** One complete poll, from `position` on. */
async function poll(db: TestDatabase, options: Partial<SourceOptions> = {}): Promise<SourceReader> {
  const reader = await readToCurrent({ url: db.url, tables: 't', ...FAST, ...options } as SourceOptions)
  requireOrder(reader.records)
  return reader
}

function positionOf(reader: SourceReader, before?: Position): Position {
  return reader.batches.at(-1)?.position.toJSON() ?? before
}

const told = ({ operation, after }: SourceRecord) => [operation, after!.id]

describe('long polling', () => {
  test.concurrent('gives all rows, then those that come, and makes nothing on the server', async () => {
    await using db = await testDatabase(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, v text, "T s" timestamptz[]);
       INSERT INTO t SELECT i, 'v' || i, ARRAY['2026-01-01'::timestamptz] FROM generate_series(1, 3) i`,
    )
    await using reader = readSource({ url: db.url, tables: 't', ...FAST })
    await reader.told('polling')
    expect(reader.records.map(told)).toEqual([
      ['snapshot', 1],
      ['snapshot', 2],
      ['snapshot', 3],
    ])
    await db.query("INSERT INTO t VALUES (5, 'tab\there', NULL)")
    const { id, position, xid, ...record } = await reader.seen(({ operation }) => operation === 'create', 'the new row')
    expect(record).toEqual({
      operation: 'create',
      schema: 'public',
      table: 't',
      key: { id: 5 },
      after: { id: 5, v: 'tab\there', 'T s': null },
    })
    const [row] = await db.query<{ xid: number }>('SELECT xmin::text::int AS xid FROM t WHERE id = 5')
    expect([id, xid]).toEqual([`${row!.xid}/public.t/5`, row!.xid])
    const [given] = [...reader.batches.at(-1)!].slice(-1)
    if (given !== undefined) expect(given.id).toBe(id)
    expect([await slotsOf(db), await publicationsOf(db)]).toEqual([[], []])
    const codes = reader.events.flatMap((event) => (event.type === 'warning' ? [event.code] : []))
    expect(codes).toEqual(['POLLING_WITHOUT_DELETES', 'POLLING_READS_WHOLE_TABLES'])
    requireOrder(reader.records)
  })

  test.concurrent('a run goes on where any record of the one before stood', async () => {
    await using db = await testDatabase(
      server,
      "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(1, 2000) i",
    )
    const first = await poll(db, { maxBytes: 65536 })
    expect(first.records.filter(({ operation }) => operation === 'snapshot')).toHaveLength(2000)
    for (const index of [0, 1, 326, 327, 700, 1998, 1999]) {
      const { position } = first.records[index]!
      const rest = await poll(db, { position, maxBytes: 65536 })
      const seen = [...first.records.slice(0, index + 1), ...rest.records]
      expect(seen.map(({ key }) => key!.id)).toEqual(Array.from({ length: 2000 }, (_, i) => i + 1))
    }
    await db.query("INSERT INTO t VALUES (0, 'first'), (3000, 'last')")
    const second = await poll(db, { position: positionOf(first) })
    expect(second.records.map(told)).toEqual([
      ['create', 0],
      ['create', 3000],
    ])
    const third = await poll(db, { position: second.records[0]!.position })
    expect(third.records.map(told)).toEqual([['create', 3000]])
  })
})
