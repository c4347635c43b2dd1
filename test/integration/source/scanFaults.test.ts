import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { Batch } from '../../../src/source/batch.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { requireTable } from '../../support/sourceCapture.js'
import { readSource } from '../../support/sourceReader.js'
import { byField, replay, requireOrder, sorted } from '../../support/sourceReplay.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ settings: { max_replication_slots: '30', max_wal_senders: '30' } })
})
afterAll(() => server?.[Symbol.asyncDispose]())

const MANY = `
  CREATE TABLE t (id int PRIMARY KEY, n int, note text);
  INSERT INTO t SELECT id, 0, repeat('x', 100) FROM generate_series(1, 20000) id`

/** What a position says of the rows. */
function snapshotOf(position: { toJSON(): object }): object {
  return (position.toJSON() as { snapshot?: object }).snapshot ?? {}
}

/** Does `work` when the first rows are there and the consumer holds up what is read behind them. */
function whenBegun(work: () => Promise<unknown>) {
  let done: Promise<unknown> | undefined
  return async ({ length }: { readonly length: number }) => {
    if (length === 0 || done !== undefined) return
    done = work()
    await done
  }
}

test.concurrent('a truncate in the middle: its rows come again under other ids, and no more than that', async () => {
  await using db = await testDatabase(server, MANY)
  db.expectSlots = true
  const onBatch = whenBegun(() =>
    db.query("TRUNCATE t; INSERT INTO t SELECT id, 1, 'new' FROM generate_series(1, 3000) id"),
  )
  const options = { url: db.url, tables: 't', slot: `s_${db.name}`, strategy: 'incremental' as const, maxBytes: 65536 }
  await using reader = readSource(options, { onBatch })
  await reader.seen(({ operation }) => operation === 'truncate', 'the truncate')
  await db.query("INSERT INTO t VALUES (1000000, 2, 'late')")
  await reader.seen(({ key }) => key?.id === 1_000_000, 'the last row')
  await reader.until(() => replay(reader.records, 't').length === 3001, { what: 'all rows' })
  await reader.close()
  await requireTable(db, reader.records, 't')
  requireOrder(reader.records)
})

test.concurrent('more ranges than snapshots are kept are read nevertheless', async () => {
  await using db = await testDatabase(server, MANY)
  db.expectSlots = true
  const options = { url: db.url, tables: 't', slot: `s_${db.name}`, strategy: 'incremental' as const }
  await using first = readSource(options)
  const isBeginning = ({ position }: (typeof first.batches)[number]) => 'tables' in snapshotOf(position)
  await first.until(() => first.batches.some(isBeginning), { what: 'where it begins' })
  await first.close()
  const position = JSON.parse(JSON.stringify(first.batches.find(isBeginning)!.position))
  // As many workers leave them of a consistent snapshot that was interrupted.
  const bounds = Array.from({ length: 69 }, (_, index) => ({ to: [String(200 * (index + 1))] }))
  position.snapshot.tables[0].stretches = [...bounds, {}]
  await using reader = readSource({ ...options, position, until: 'current' } as never)
  await reader.until(() => reader.snapshotOf('t').length === 20_000, { what: 'all rows', timeoutMs: 90_000 })
  await reader.ended
  await requireTable(db, reader.records, 't')
})

test.concurrent('a key column that is renamed in the middle, and rows of it that are deleted and come again', async () => {
  await using db = await testDatabase(server, MANY)
  db.expectSlots = true
  const onBatch = whenBegun(() =>
    db.query(`UPDATE t SET n = 1 WHERE id % 100 = 0;
      ALTER TABLE t RENAME id TO number;
      DELETE FROM t WHERE number % 3 = 0;
      INSERT INTO t SELECT number, 2, 'again' FROM generate_series(3, 19998, 6) number;
      UPDATE t SET n = n + 1 WHERE number % 5 = 0`),
  )
  const options = { url: db.url, tables: 't', slot: `s_${db.name}`, strategy: 'incremental' as const, maxBytes: 65536 }
  await using reader = readSource(options, { onBatch })
  await reader.told('snapshot-finished')
  await db.query("INSERT INTO t VALUES (1000000, 2, 'late')")
  await reader.seen(({ after }) => after?.number === 1_000_000, 'the last row')
  await reader.close()
  requireOrder(reader.records)
  const had = new Map<unknown, unknown>()
  for (const { operation, key, after } of reader.records) {
    const id = key?.number ?? key?.id
    if (operation === 'delete') had.delete(id)
    else if (id !== undefined) had.set(id, after!.n)
  }
  const rows = await db.query<{ number: number; n: number }>('SELECT number, n FROM t')
  expect([...had].sort()).toEqual(rows.map(({ number, n }) => [number, n]).sort())
})

test.concurrent('a column that the wanted rows are told by is renamed in the middle: all are read', async () => {
  await using db = await testDatabase(server, MANY)
  db.expectSlots = true
  const rename = whenBegun(() => db.query('ALTER TABLE t RENAME note TO remark'))
  let began = false
  const onBatch = async (batch: { readonly length: number }) => {
    if (began) await rename(batch)
  }
  const options = { url: db.url, tables: 't', slot: `s_${db.name}`, maxBytes: 65536 }
  await using reader = readSource(options, { onBatch })
  await reader.told('streaming')
  began = true
  await reader.source.resnapshot('t', { where: "note <> ''" })
  const isWhole = () => reader.records.filter(({ after }) => after?.remark !== undefined).length >= 20_000
  await reader.until(isWhole, { what: 'all rows', timeoutMs: 90_000 })
  const told = reader.events.filter((event) => event.type === 'warning' && event.code === 'CONDITION_GONE')
  expect(told).toHaveLength(1)
  const whole = reader.records.filter(({ after }) => after?.remark !== undefined)
  expect(new Set(whole.map(({ key }) => key!.id)).size).toBe(20_000)
  requireOrder(reader.records)
})

test.concurrent('a table that is moved to another schema in the middle, another one in its place', async () => {
  await using db = await testDatabase(server, `${MANY}; CREATE SCHEMA s`)
  db.expectSlots = true
  const onBatch = whenBegun(() =>
    db.query(`UPDATE t SET n = 1 WHERE id % 100 = 0;
      BEGIN; ALTER TABLE t SET SCHEMA s; CREATE TABLE t (id int PRIMARY KEY, n int, note text); COMMIT;
      DELETE FROM s.t WHERE id % 3 = 0;
      UPDATE s.t SET n = n + 1 WHERE id % 5 = 0`),
  )
  const options = { url: db.url, tables: 't', slot: `s_${db.name}`, strategy: 'incremental' as const, maxBytes: 65536 }
  await using reader = readSource(options, { onBatch })
  await reader.told('snapshot-finished')
  await db.query("INSERT INTO s.t VALUES (1000000, 2, 'late')")
  await reader.seen(({ key }) => key?.id === 1_000_000, 'the last row')
  await reader.close()
  requireOrder(reader.records)
  const rows = await db.query<{ id: number }>('SELECT * FROM s.t')
  const had = replay(reader.records, 't')
  expect(had.sort(byField('id'))).toEqual(rows.map(sorted).sort(byField('id')))
})

test.concurrent('a table that an interrupted start has published already is read behind the transactions of before', async () => {
  await using db = await testDatabase(server, `${MANY}; CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)`)
  db.expectSlots = true
  const options = { url: db.url, slot: `s_${db.name}` }
  await using first = readSource({ ...options, tables: 't' })
  await first.told('streaming')
  await first.close()
  const position = first.batches.at(-1)!.position
  const open = await db.connect()
  await open.query('BEGIN; INSERT INTO u VALUES (2)')
  // A start with u that was killed as soon as this had committed.
  await db.query('ALTER PUBLICATION tailrace ADD TABLE u')
  await using reader = readSource({ ...options, tables: 't,u', position })
  const waits = () => reader.events.some(({ type }) => type === 'waiting-for-transactions')
  await reader.until(() => waits() || reader.snapshotOf('u').length > 0, { what: 'it to wait, or to go on' })
  await open.query('INSERT INTO u VALUES (3); COMMIT')
  await reader.until(() => replay(reader.records, 'u').length >= 3, { what: 'all rows of u' })
  expect(replay(reader.records, 'u')).toHaveLength(3)
})

test.concurrent('a table that is taken out counts as one to be read from the first position on', async () => {
  await using db = await testDatabase(server, `${MANY}; CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)`)
  db.expectSlots = true
  const options = { url: db.url, slot: `s_${db.name}` }
  const reader = readSource({ ...options, tables: 't,u' })
  const other = await db.connect()
  try {
    await reader.told('streaming')
    // The publication cannot be altered meanwhile.
    await other.query('BEGIN; LOCK TABLE pg_publication_rel IN SHARE MODE')
    const removing = reader.source.removeTables('u')
    removing.catch(() => {})
    const blocked = "SELECT FROM pg_stat_activity WHERE query LIKE 'ALTER PUBLICATION%' AND wait_event_type = 'Lock'"
    await reader.until(async () => (await db.query(blocked)).length > 0, { what: 'the publication to be altered' })
    await db.query('INSERT INTO u VALUES (2); UPDATE t SET n = 1 WHERE id = 1')
    await reader.seen(({ operation }) => operation === 'update', 'the update')
  } finally {
    // As if it were killed there.
    await reader.close()
    await other.query('ROLLBACK')
  }
  const { position } = reader.records.at(-1)!
  await using next = readSource({ ...options, tables: 't,u', position })
  await next.told('snapshot-finished')
  expect(next.snapshotOf('u')).toHaveLength(2)
})

test.concurrent('a table without a key whose session is lost ends the run: no row comes twice, and it is gone on with', async () => {
  // More than is read ahead.
  await using db = await testDatabase(server, MANY.replace('PRIMARY KEY', '').replace('100)', '1000)'))
  db.expectSlots = true
  const onBatch = whenBegun(async () => {
    const reading = "query LIKE 'COPY%' AND state = 'active' AND datname = current_database()"
    expect(await db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${reading}`)).toHaveLength(1)
  })
  const base = { url: db.url, tables: 't', slot: `s_${db.name}`, keyless: 'inserts' as const }
  const options = { ...base, strategy: 'incremental' as const, maxBytes: 65536 }
  await using reader = readSource(options, { onBatch })
  const over = Promise.race([reader.ended, reader.told('snapshot-finished')])
  await expect(over).rejects.toMatchObject({ code: 'SNAPSHOT_INTERRUPTED' })
  const ids = reader.records.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.length).toBeLessThan(20_000)
  // The slot may be at the last of them.
  const isBetween = ({ position, length }: Batch) => length === 0 && 'tables' in snapshotOf(position)
  const { position } = reader.batches.findLast(isBetween)!
  await using next = readSource({ ...options, position })
  await next.told('snapshot-finished')
  expect(next.snapshotOf('t')).toHaveLength(20_000)
})
