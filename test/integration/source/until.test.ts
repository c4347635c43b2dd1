import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { readSource, readToCurrent, type SourceReader } from '../../support/sourceReader.js'
import { requireOrder } from '../../support/sourceReplay.js'
import { confirmedLsn, publicationsOf, slotsOf } from '../../support/sourceSlots.js'
import { WRITTEN_TABLES, Writers } from '../../support/sourceWriters.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, fill text); CREATE TABLE other (id int)'

function fromSlot(db: TestDatabase) {
  return { url: db.url, tables: 't', slot: `u_${db.name}`, snapshot: 'never', existingSlot: 'resume' } as const
}

function ids(reader: SourceReader): unknown[] {
  return reader.records.map(({ key }) => key!.id)
}

describe('until: current', () => {
  test.concurrent('gives the snapshot, what was committed before its end, and ends', async () => {
    await using db = await testDatabase(server, `${TABLE}; INSERT INTO t SELECT generate_series(1, 1000)`)
    let writing: Promise<unknown> | undefined
    await using reader = readSource(
      { url: db.url, tables: 't', until: 'current' },
      {
        // Committed while the snapshot is read.
        onBatch: ({ length }) => {
          if (length > 0) writing ??= db.query('INSERT INTO t VALUES (1001)')
          return writing
        },
      },
    )
    await reader.ended
    expect(reader.records.map(({ operation }) => operation).filter((operation) => operation !== 'snapshot')).toEqual([
      'create',
    ])
    expect(reader.records).toHaveLength(1001)
    expect([await slotsOf(db), await publicationsOf(db)]).toEqual([[], []])
  })

  test.concurrent('run after run gives everything once, each confirming what it gave', async () => {
    await using db = await testDatabase(server, TABLE)
    db.expectSlots = true
    await readToCurrent(fromSlot(db))
    for (let run = 1; run <= 3; run++) {
      await db.query(`INSERT INTO t VALUES (${run}); INSERT INTO other VALUES (1)`)
      const reader = await readToCurrent(fromSlot(db))
      expect(ids(reader)).toEqual([run])
      expect(await confirmedLsn(db, fromSlot(db).slot)).toBe(reader.batches.at(-1)!.position.toJSON().end)
    }
    expect(ids(await readToCurrent(fromSlot(db)))).toEqual([])
  })

  test.concurrent('includes commits that do not wait for the disk', async () => {
    await using db = await testDatabase(server, TABLE)
    db.expectSlots = true
    await readToCurrent(fromSlot(db))
    for (let id = 1; id <= 5; id++) {
      await db.query(`SET synchronous_commit = off; INSERT INTO t VALUES (${id})`)
      expect(ids(await readToCurrent(fromSlot(db)))).toEqual([id])
    }
  })

  test.concurrent('ends where the WAL ends at the border of a page', async () => {
    await using db = await testDatabase(server, TABLE)
    db.expectSlots = true
    await readToCurrent(fromSlot(db))
    let borders = 0
    for (let id = 1; borders < 3 && id < 4000; id++) {
      // One message moves the end by some bytes, until it is right behind a page's header.
      await db.query("SELECT pg_logical_emit_message(true, '', repeat('x', (random() * 60)::int))")
      const [{ offset }] = (await db.query("SELECT (pg_current_wal_insert_lsn() - '0/0') % 8192 AS offset")) as [
        { offset: string },
      ]
      if (Number(offset) !== 24 && Number(offset) !== 40) continue
      borders++
      await readToCurrent(fromSlot(db))
    }
    expect(borders).toBe(3)
  })

  test.concurrent('ends while others go on writing, and what comes after is left to the next', async () => {
    await using db = await testDatabase(server, WRITTEN_TABLES)
    db.expectSlots = true
    const options = { ...fromSlot(db), tables: 'items,marker' }
    await readToCurrent(options)
    await using writers = new Writers(db, 2)
    await writers.start()
    let records: SourceReader['records'] = []
    for (let run = 0; run < 3; run++) {
      await writers.committed(10)
      // Acknowledgements come late, the last one too, while the server has more to send.
      await using reader = readSource(
        { ...options, until: 'current', maxBytes: 65536 },
        { onBatch: () => new Promise((resolve) => setTimeout(resolve, 5)) },
      )
      await reader.ended
      records = records.concat(reader.records)
    }
    await writers.stop()
    records = records.concat((await readToCurrent(options)).records)
    requireOrder(records)
    // Followed from the empty table on, they lead to what is there.
    const count = new Map<unknown, number>()
    for (const { operation, key, oldKey } of records) {
      if (operation === 'delete') count.delete(key!.id)
      else count.set(key!.id, 1)
      if (oldKey !== undefined) count.delete(oldKey.id)
    }
    const rows = await db.query<{ id: string }>('SELECT id FROM items')
    expect([...count.keys()].map(Number).sort()).toEqual(rows.map(({ id }) => Number(id)).sort())
  })

  test.concurrent('a consumer that does not acknowledge the last batch is not waited for long', async () => {
    await using db = await testDatabase(server, TABLE)
    db.expectSlots = true
    await readToCurrent(fromSlot(db))
    await db.query('INSERT INTO t VALUES (1)')
    const begin = await confirmedLsn(db, fromSlot(db).slot)
    await using reader = readSource({ ...fromSlot(db), until: 'current' }, { ack: false })
    await reader.ended
    expect(ids(reader)).toEqual([1])
    expect(await confirmedLsn(db, fromSlot(db).slot)).toBe(begin)
  })
})

test.concurrent('until an LSN: what committed before it, and little more, however much follows', async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  await readToCurrent(fromSlot(db))
  const transactions = (first: number, last: number) =>
    db.query(`
      DO $$ BEGIN
        FOR n IN ${first}..${last} LOOP
          INSERT INTO t SELECT 50 * n + i, repeat('x', 100) FROM generate_series(1, 50) i;
          COMMIT;
        END LOOP;
      END $$`)
  await transactions(1, 10)
  const [{ lsn }] = (await db.query('SELECT pg_current_wal_lsn()::text AS lsn')) as [{ lsn: string }]
  await transactions(11, 400)
  await using reader = readSource({ ...fromSlot(db), until: lsn })
  await reader.ended
  // What came before it was known whether the slot is ours is handed on, too.
  expect(reader.records.length).toBeLessThan(5000)
  expect(ids(reader)).toEqual(Array.from({ length: Math.max(500, reader.records.length) }, (_, n) => 51 + n))
})

describe('snapshot', () => {
  test.concurrent('only: all rows, nothing is made on the server, and it ends', async () => {
    await using db = await testDatabase(
      server,
      `${TABLE}; INSERT INTO t SELECT generate_series(1, 1000); INSERT INTO other VALUES (1), (1)`,
    )
    await using reader = readSource({ url: db.url, tables: '*', snapshot: 'only' })
    await reader.ended
    expect(new Set(reader.records.map(({ operation }) => operation))).toEqual(new Set(['snapshot']))
    expect([reader.snapshotOf('t').length, reader.snapshotOf('other').length]).toEqual([1000, 2])
    expect(reader.events.map(({ type }) => type)).not.toContain('slot-created')
    expect([await slotsOf(db), await publicationsOf(db)]).toEqual([[], []])
    // It cannot be resumed, and says so.
    await using next = readSource({ url: db.url, tables: 't', position: reader.records[0]!.position })
    await expect(next.ended).rejects.toMatchObject({ code: 'POSITION_NOT_RESUMABLE' })
  })

  test.concurrent('never: changes from now on, and no rows', async () => {
    await using db = await testDatabase(server, `${TABLE}; INSERT INTO t VALUES (1), (2)`)
    await using reader = readSource({ url: db.url, tables: 't', snapshot: 'never' })
    await reader.told('streaming')
    await db.query('DELETE FROM t WHERE id = 1')
    await reader.seen(() => true, 'the delete')
    expect(reader.records.map(({ operation, key }) => [operation, key!.id])).toEqual([['delete', 1]])
  })
})

test('only: works with wal_level = replica, where changes cannot be had', async () => {
  await using replica = await startServer({ settings: { wal_level: 'replica' } })
  await using db = await testDatabase(replica, `${TABLE}; INSERT INTO t VALUES (1)`)
  await using reader = readSource({ url: db.url, tables: 't', snapshot: 'only' })
  await reader.ended
  expect(ids(reader)).toEqual([1])
  await using changes = readSource({ url: db.url, tables: 't' })
  await expect(changes.ended).rejects.toMatchObject({ code: 'WAL_LEVEL' })
})
