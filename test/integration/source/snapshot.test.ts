import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { requireTable } from '../../support/sourceCapture.js'
import { readSource, type SourceReader } from '../../support/sourceReader.js'
import { requireOrder } from '../../support/sourceReplay.js'
import { publicationsOf, slotsOf } from '../../support/sourceSlots.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const ROWS = 20_000
/** More than a source may read ahead. */
const MANY = `
  CREATE TABLE t (id int PRIMARY KEY, n int, note text);
  INSERT INTO t SELECT id, 0, repeat('x', 100) FROM generate_series(1, ${ROWS}) id`

/** A reader that stands still in the middle of the snapshot until `go` is called. */
function halfway(db: TestDatabase, options: object = {}) {
  let go = () => {}
  const gate = new Promise<void>((resolve) => (go = resolve))
  const reader = readSource({ url: db.url, tables: 't', slot: `s_${db.name}`, maxBytes: 65536, ...options } as never, {
    onBatch: (batch) => (batch.at(0)?.operation === 'snapshot' ? gate : undefined),
  })
  const stands = () => reader.seen(() => true, 'the first rows')
  return { reader, go, stands }
}

async function failureOf(reader: SourceReader): Promise<unknown> {
  return reader.ended.then(
    () => undefined,
    (error) => error,
  )
}

test.concurrent('what is committed while the snapshot is read comes after it, once', async () => {
  await using db = await testDatabase(server, MANY)
  db.expectSlots = true
  const { reader, go, stands } = halfway(db)
  await stands()
  await db.query(`
    UPDATE t SET n = 1 WHERE id % 3 = 0; DELETE FROM t WHERE id % 5 = 0; UPDATE t SET id = -id WHERE id % 7 = 0;
    INSERT INTO t VALUES (1000000, 2, 'late')`)
  go()
  await reader.seen(({ key }) => key!.id === 1_000_000, 'the last row')
  await reader.close()
  expect(reader.snapshotOf('t')).toHaveLength(ROWS)
  await requireTable(db, reader.records, 't')
  requireOrder(reader.records)
})

test.concurrent.each([false, true])(
  'a first row that no chunk of the socket holds is read (binary: %s)',
  async (takesBinary) => {
    await using db = await testDatabase(
      server,
      `
    CREATE TABLE t (id int PRIMARY KEY, note text);
    INSERT INTO t SELECT id, repeat('x', 200000) FROM generate_series(1, 5) id`,
    )
    db.expectSlots = true
    const host = { owner: 'test', takesBinary }
    await using reader = readSource({ url: db.url, tables: 't', slot: `s_${db.name}`, host } as never)
    await reader.until(() => reader.snapshotOf('t').length === 5, { what: 'five rows' })
    await requireTable(db, reader.records, 't')
  },
)

test.concurrent('a rewrite waits until the table is read, and is told of', async () => {
  await using db = await testDatabase(server, MANY)
  db.expectSlots = true
  const { reader, go, stands } = halfway(db)
  await stands()
  const other = await db.connect({ application_name: 'migration' })
  const altering = other.query('ALTER TABLE t ALTER n TYPE int8')
  expect(await reader.told('lock-waited-for')).toMatchObject({ table: 'public.t' })
  go()
  await altering
  await db.query("INSERT INTO t VALUES (1000000, 2, 'late')")
  await reader.seen(({ key }) => key?.id === 1_000_000, 'the last row')
  await reader.close()
  expect(reader.snapshotOf('t')).toHaveLength(ROWS)
  expect(reader.changesOf('t').map(({ operation }) => operation)).toEqual(['schema', 'create'])
})

describe('an interrupted snapshot', () => {
  const backends = "application_name = 'tailrace' AND datname = current_database()"

  test.concurrent.each([
    ['the one that reads', `query LIKE 'COPY%'`, 'SNAPSHOT_INTERRUPTED'],
    ['all of them', 'true', 'SNAPSHOT_INTERRUPTED'],
  ])('by the end of %s is gone on with, behind what was acknowledged', async (_, which, code) => {
    await using db = await testDatabase(server, MANY)
    db.expectSlots = true
    const { reader, go, stands } = halfway(db)
    await stands()
    await db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${backends} AND (${which})`)
    go()
    expect(await failureOf(reader)).toMatchObject({ code, retry: 'later' })
    await db.query(
      'UPDATE t SET n = 1 WHERE id % 3 = 0; DELETE FROM t WHERE id % 5 = 0; UPDATE t SET id = -id WHERE id % 7 = 0',
    )
    const { position } = reader.records.at(-1)!
    await using next = readSource({ url: db.url, tables: 't', slot: `s_${db.name}`, position, positionWithData: true })
    await next.told('snapshot-finished')
    await db.query("INSERT INTO t VALUES (1000000, 2, 'late')")
    await next.seen(({ key }) => key?.id === 1_000_000, 'the last row')
    const records = [...reader.records, ...next.records]
    expect(reader.snapshotOf('t').length).toBeGreaterThan(0)
    expect(next.snapshotOf('t').length).toBeLessThan(ROWS)
    await requireTable(db, records, 't')
    requireOrder(records)
  })

  test.concurrent('before its first row leaves a slot that the next run makes anew', async () => {
    await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)')
    db.expectSlots = true
    const options = { url: db.url, tables: 't', slot: `s_${db.name}` }
    let intent: object | undefined
    {
      await using reader = readSource(options, {
        onBatch: async ({ position }) => {
          intent ??= position.toJSON()
        },
      })
      await reader.told('streaming')
    }
    expect(intent).toMatchObject({ snapshot: { rows: 0 } })
    await db.query('INSERT INTO t VALUES (3)')
    await using next = readSource({ ...options, position: intent } as never)
    await next.told('streaming')
    expect(next.snapshotOf('t').map(({ key }) => key!.id)).toEqual([1, 2, 3])
    expect(next.batches.at(-1)!.position.toJSON()).toMatchObject({ epoch: 2 })
    expect(next.changesOf('t')).toEqual([])
  })

  test.concurrent('where no position is kept leaves no slot', async () => {
    await using db = await testDatabase(server, MANY)
    const { reader, stands } = halfway(db, { existingSlot: 'resume' })
    await stands()
    expect(await slotsOf(db)).not.toContain(`s_${db.name}`)
    await reader.source.close().catch(() => {})
    await waitFor(async () => (await slotsOf(db)).length === 0, { what: 'no slot to be left' })
    expect(await publicationsOf(db)).toEqual(['tailrace'])
  })
})

test.concurrent('where no position is kept it is finished only when its last row is acknowledged', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)')
  db.expectSlots = true
  const slot = `s_${db.name}`
  let durable = false
  await using reader = readSource({ url: db.url, tables: 't', slot, existingSlot: 'resume' }, { ack: () => durable })
  await reader.told('snapshot-finished')
  // It is asked for again and again, by empty batches.
  const asked = () => reader.batches.slice(1 + reader.batches.findIndex(({ length }) => length === 1))
  await reader.until(() => asked().length >= 2, { what: 'a second asking' })
  for (const { length, position } of asked())
    expect([length, position.toJSON()]).toEqual([0, reader.records[0]!.position])
  expect(await slotsOf(db)).not.toContain(slot)
  durable = true
  await reader.told('streaming')
  expect(await slotsOf(db)).toEqual([slot])
})

test.concurrent('many tables in several workers, each row once, also where one table is most of it', async () => {
  const tables = Array.from(
    { length: 12 },
    (_, n) => `CREATE TABLE t${n} (id int PRIMARY KEY); INSERT INTO t${n} SELECT generate_series(1, ${n * 100})`,
  )
  // Two ranges of pages: rows of one page each.
  const wide =
    "CREATE TABLE wide (id int PRIMARY KEY, fill text); ALTER TABLE wide ALTER fill SET STORAGE PLAIN; INSERT INTO wide SELECT id, repeat('x', 4100) FROM generate_series(1, 9000) id"
  await using db = await testDatabase(server, [...tables, wide].join(';'))
  await using reader = readSource({ url: db.url, tables: '*', snapshotWorkers: 4, columns: ['wide:id'] })
  await reader.told('snapshot-finished')
  for (let n = 0; n < 12; n++) expect(reader.snapshotOf(`t${n}`)).toHaveLength(n * 100)
  expect(new Set(reader.snapshotOf('wide').map(({ key }) => key!.id)).size).toBe(9000)
  requireOrder(reader.records)
  const finished = reader.events.filter((event) => event.type === 'snapshot-table-finished')
  expect(finished.map(({ rows }) => rows).sort((a, b) => a - b)).toEqual([
    ...Array.from({ length: 12 }, (_, n) => n * 100),
    9000,
  ])
})
