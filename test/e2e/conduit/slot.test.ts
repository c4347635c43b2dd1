import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { parseLsn } from '../../../src/postgres/lsn.js'
import { launch } from '../../support/conduit/conduitHost.js'
import { Pipeline, shortOf } from '../../support/conduit/pipeline.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

const TABLES = 'CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE others (id int)'

async function database(server: EmbeddedPostgres, sql = TABLES): Promise<TestDatabase> {
  const db = await testDatabase(server, sql)
  db.expectSlots = true
  return db
}

function settings(db: TestDatabase, others: Record<string, string> = {}): Record<string, string> {
  return { url: db.url, tables: 'orders', 'logrepl.slotName': db.name, ...others }
}

async function confirmedOf(db: TestDatabase): Promise<bigint> {
  const [slot] = await db.query<{ lsn: string }>(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [db.name],
  )
  return parseLsn(slot!.lsn)!
}

async function insertLsn(db: TestDatabase): Promise<bigint> {
  const [row] = await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
  return parseLsn(row!.lsn)!
}

describeEachMajor('behind idle tables', (postgres) => {
  test('the slot holds no WAL, and what is committed right behind an idle advance still comes', async () => {
    await using db = await database(postgres.server, `${TABLES}; INSERT INTO orders VALUES (1)`)
    await using pipeline = new Pipeline(settings(db))
    await pipeline.start()
    await pipeline.has(1)
    await db.query('INSERT INTO others SELECT n FROM generate_series(1, 100) AS n')
    const written = await insertLsn(db)
    await waitFor(async () => (await confirmedOf(db)) > written - 8n, {
      what: 'the slot to follow',
      timeoutMs: 20_000,
    })
    // At a record's end there is no mark: somebody else would have moved it.
    expect((await confirmedOf(db)) % 8n).not.toBe(0n)
    // The commit record is to begin right where the slot stands: what comes before it was written to the disk.
    await db.query('BEGIN')
    await db.query('INSERT INTO orders VALUES (2)')
    await db.query(`PREPARE TRANSACTION '${db.name}'`)
    const prepared = await insertLsn(db)
    await waitFor(async () => (await confirmedOf(db)) > prepared - 8n, {
      what: 'the slot to follow',
      timeoutMs: 20_000,
    })
    await pipeline.crash()
    await db.query(`COMMIT PREPARED '${db.name}'`)
    await pipeline.start()
    await pipeline.has(1)
    expect(pipeline.stream.records.map(shortOf)).toEqual([['create', { id: 2 }]])
    await pipeline.stop()
  })
})

describe('a slot', () => {
  let server: EmbeddedPostgres
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  async function ranOnce(db: TestDatabase): Promise<Pipeline> {
    const pipeline = new Pipeline(settings(db))
    await pipeline.start()
    await db.query('INSERT INTO orders VALUES (1)')
    await pipeline.has(1)
    await pipeline.stop()
    return pipeline
  }

  test('that was dropped is an error of Open that names the way out, and not a gap', async () => {
    await using db = await database(server)
    await using pipeline = await ranOnce(db)
    await db.query('SELECT pg_drop_replication_slot($1)', [db.name])
    await expect(pipeline.start()).rejects.toThrow(/^SLOT_MISSING: .*onSlotLost/)
    await pipeline.host.teardown()
    expect(await pipeline.host.kill()).toMatchObject({ killed: false })
  })

  test('that was dropped and made anew is told from the one that was there', async () => {
    await using db = await database(server)
    await using pipeline = await ranOnce(db)
    await db.query('SELECT pg_drop_replication_slot($1)', [db.name])
    await db.query('INSERT INTO orders VALUES (2)')
    await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [db.name])
    await expect(pipeline.start()).rejects.toThrow(/^SLOT_AHEAD: /)
  })

  test('of a host that forgot what it acknowledged goes on behind it: those records were stored', async () => {
    await using db = await database(server)
    await using pipeline = await ranOnce(db)
    const older = pipeline.stored
    await pipeline.start()
    await db.query('INSERT INTO orders VALUES (2)')
    await pipeline.has(1)
    await pipeline.stop()
    pipeline.stored = older
    await db.query('INSERT INTO orders VALUES (3)')
    await pipeline.start()
    await pipeline.has(1)
    expect(pipeline.stream.records.map(shortOf)).toEqual([['create', { id: 3 }]])
    await pipeline.stop()
  })

  test('is free again when the plugin is killed, and when it is torn down without Run', async () => {
    await using db = await database(server)
    await using pipeline = await ranOnce(db)
    const active = async () =>
      (await db.query('SELECT active FROM pg_replication_slots WHERE slot_name = $1', [db.name]))[0]!.active
    await pipeline.start()
    await waitFor(active, { what: 'the slot to be read' })
    await pipeline.crash()
    await waitFor(async () => !(await active()), { what: 'the slot to be free' })
    await using host = await launch()
    await host.configure(settings(db))
    await host.open(pipeline.stored)
    await waitFor(active, { what: 'the slot to be read' })
    await host.teardown()
    expect(await active()).toBe(false)
  })

  test('with onSlotLost: resnapshot is made anew, and all rows come once more', async () => {
    await using db = await database(server)
    await using pipeline = await ranOnce(db)
    await db.query('SELECT pg_drop_replication_slot($1)', [db.name])
    await using again = new Pipeline(settings(db, { onSlotLost: 'resnapshot' }))
    again.stored = pipeline.stored
    await again.start()
    await again.has(1)
    await db.query('INSERT INTO orders VALUES (2)')
    await again.has(2)
    await again.stop()
    expect(again.records.map(shortOf)).toEqual([
      ['snapshot', { id: 1 }],
      ['create', { id: 2 }],
    ])
  })

  test('keeps a transaction until all of it is stored: it is gone on with by every position of it', async () => {
    await using db = await database(server)
    await using whole = new Pipeline(settings(db))
    await whole.start()
    await whole.host.says('streaming from')
    await db.query('INSERT INTO orders SELECT n FROM generate_series(1, 3) AS n')
    await db.query('INSERT INTO orders SELECT n FROM generate_series(4, 6) AS n')
    await whole.has(6)
    const positions = whole.stream.records.map(({ position }) => position)
    // Nothing of these was acknowledged to the plugin: the server keeps it.
    await whole.crash()
    for (const [index, position] of positions.entries()) {
      await using pipeline = new Pipeline(settings(db), { ackAfterMs: undefined, here: true })
      pipeline.stored = position
      await pipeline.start()
      await pipeline.has(5 - index)
      await pipeline.stop()
      expect(pipeline.records.map((record) => shortOf(record)[1])).toEqual(
        [1, 2, 3, 4, 5, 6].slice(index + 1).map((id) => ({ id })),
      )
    }
  })
})
