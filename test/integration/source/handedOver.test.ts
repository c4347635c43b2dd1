import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { PositionJson } from '../../../src/core/record.js'
import type { Batch } from '../../../src/source/batch.js'
import { testDatabase } from '../../support/database.js'
import { changeRows, folded, present, tableOf, withoutKnown } from '../../support/handedOver.js'
import { startServer } from '../../support/servers.js'
import { readSource, readToCurrent, type SourceRecord } from '../../support/sourceReader.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ settings: { max_replication_slots: '20', max_wal_senders: '20' } })
})
afterAll(() => server?.[Symbol.asyncDispose]())

const ROWS = 3000

interface Consumer {
  readonly options: Parameters<typeof readSource>[0]
  readonly has: SourceRecord[]
  stored: PositionJson | undefined
}

/** Takes so many records, of which the last `behind` stand behind the position that is stored. */
async function takeAndDie(consumer: Consumer, count: number, behind: number): Promise<void> {
  const { options, has, stored } = consumer
  await using reader = readSource({ ...options, position: stored }, {
    ack: ({ length, position }) => {
      if (length === 0 && reader.records.length === 0) consumer.stored = position.toJSON()
      return length === 0
    },
  } as Parameters<typeof readSource>[1])
  await reader.until(() => reader.records.length >= count, { what: `${count} records` })
  await reader.close()
  has.push(...reader.records)
  consumer.stored = reader.records.at(-1 - behind)?.position ?? consumer.stored
}

test.concurrent.each([
  ['consistent', 'before any of them a position was stored', 1500, 1500],
  ['consistent', 'behind a row in their midst', 1500, 500],
  ['incremental', 'before any of them a position was stored', 1500, 1500],
  ['incremental', 'behind a row in their midst', 1500, 500],
] as const)(
  'rows of a snapshot (%s) that were handed over and are gone before they are read again do not stay: %s',
  { timeout: 120_000 },
  async (strategy, _, count, behind) => {
    await using db = await testDatabase(server, tableOf(ROWS))
    db.expectSlots = true
    const slot = `h_${db.name}`
    const options = { url: db.url, tables: 't', slot, strategy, maxBytes: 65536, snapshotWorkers: 1 }
    const consumer: Consumer = { options, has: [], stored: undefined }
    await takeAndDie(consumer, count, behind)
    for (let round = 0; round < 3; round++) {
      await changeRows(db, ROWS, round)
      if (round < 2) await takeAndDie(consumer, 200, 100)
    }
    const rest = await readToCurrent({ ...options, position: consumer.stored } as never)
    const all = [...consumer.has, ...rest.records]
    expect(folded(all)).toEqual(await present(db))
    expect(folded(withoutKnown(all))).toEqual(await present(db))
  },
)

test.concurrent('who leaves out what he knows is not left with an older row by a delete that comes late', async () => {
  await using db = await testDatabase(server, `${tableOf(ROWS)}; CREATE TABLE other (id int PRIMARY KEY)`)
  db.expectSlots = true
  const slot = `h_${db.name}`
  const options = {
    url: db.url,
    tables: 't,other',
    slot,
    strategy: 'incremental',
    maxBytes: 65536,
    snapshotWorkers: 1,
  } as const
  let stored: PositionJson | undefined
  const toldOf = () => (stored?.snapshot as { tables?: unknown } | undefined)?.tables !== undefined
  let goOn = () => {}
  const isMade = new Promise<void>((resolve) => {
    goOn = resolve
  })
  await using first = readSource(options, {
    ack: ({ length, position }) => {
      if (length > 0 || toldOf()) return false
      stored = position.toJSON()
      return true
    },
    onBatch: (batch) => (batch.length > 0 ? isMade : undefined),
  })
  await waitFor(toldOf, { what: 'a position that tells of the tables' })
  // The stream has them before the rows, which show them.
  await db.query(`INSERT INTO other SELECT generate_series(1, 60000); DELETE FROM t WHERE id = ${ROWS}`)
  await db.query(`INSERT INTO t VALUES (${ROWS}, 1, 'again'); UPDATE t SET n = 2 WHERE id = ${ROWS}`)
  goOn()
  const last = ({ key, operation }: SourceRecord) => key?.id === ROWS && operation !== 'delete'
  await first.seen(last, 'the row')
  await db.query(`UPDATE t SET n = 3, big = 'later' WHERE id = ${ROWS}`)
  await first.seen(({ after }) => after?.n === 3, 'a change behind it')
  await first.close()
  const rest = await readToCurrent({ ...options, position: stored } as never)
  const all = [...first.records, ...rest.records].filter(({ table }) => table === 't')
  expect(all.some(({ operation }) => operation === 'delete')).toBe(true)
  expect(folded(all)).toEqual(await present(db))
  expect(folded(withoutKnown(all))).toEqual(await present(db))
})

test.concurrent('no row comes before who stores positions late has one that tells of the tables', async () => {
  for (const strategy of ['consistent', 'incremental'] as const) {
    await using db = await testDatabase(server, tableOf(ROWS))
    db.expectSlots = true
    let stored: PositionJson | undefined
    const late = async (batch: Batch) => {
      await sleep(100)
      stored = batch.position.toJSON()
      await batch.ack().catch(() => {})
    }
    await using reader = readSource(
      { url: db.url, tables: 't', slot: `h_${db.name}`, strategy },
      {
        ack: (batch) => {
          void late(batch)
          return false
        },
      },
    )
    await reader.seen(({ operation }) => operation === 'snapshot', 'a row')
    expect(stored?.snapshot).toMatchObject({ tables: [{ name: 't' }] })
    expect(stored?.snapshot).not.toHaveProperty('intent')
  }
})

test.concurrent('who has nothing behind the position that he gives is told of nothing that he has not', async () => {
  await using db = await testDatabase(server, tableOf(ROWS))
  db.expectSlots = true
  const slot = `h_${db.name}`
  const options = { url: db.url, tables: 't', slot, maxBytes: 65536, snapshotWorkers: 1, positionWithData: true }
  const consumer: Consumer = { options, has: [], stored: undefined }
  await takeAndDie(consumer, 1500, 500)
  const had = consumer.has.slice(0, -500)
  await changeRows(db, ROWS, 0)
  const { records } = await readToCurrent({ ...options, position: consumer.stored } as never)
  expect(folded([...had, ...records])).toEqual(await present(db))
  const seen = new Set(had.map(({ key }) => key!.id))
  for (const { operation, key, oldKey } of records) {
    if (operation === 'delete' || oldKey !== undefined) expect(seen).toContain((oldKey ?? key)!.id)
    seen.add(key!.id)
  }
})

test.concurrent('of a table that was added, and a slot that was taken over, no handed row stays that is gone', async () => {
  await using db = await testDatabase(server, `${tableOf(ROWS)}; CREATE TABLE other (id int PRIMARY KEY)`)
  db.expectSlots = true
  await db.query(`SELECT pg_create_logical_replication_slot('h_${db.name}', 'pgoutput')`)
  const options = { url: db.url, slot: `h_${db.name}`, maxBytes: 65536, snapshotWorkers: 1 }
  const consumer: Consumer = {
    options: { ...options, tables: 't', existingSlot: 'snapshot' },
    has: [],
    stored: undefined,
  }
  await takeAndDie(consumer, 1500, 1500)
  await changeRows(db, ROWS, 0)
  await using one = readSource({ ...consumer.options, position: consumer.stored, until: 'current' })
  await one.ended
  expect(folded([...consumer.has, ...one.records])).toEqual(await present(db))

  const added: Consumer = { options: { ...options, tables: 't,other' }, has: [], stored: undefined }
  await using without = await readToCurrent({ ...options, tables: 'other', position: one.batches.at(-1)!.position })
  added.stored = without.batches.at(-1)!.position.toJSON()
  const from = added.stored
  await takeAndDie(added, 1500, 1500)
  // Nothing was stored at all: the table is as new as it was.
  await changeRows(db, ROWS, 1)
  const rest = await readToCurrent({ ...added.options, position: from } as never)
  const of = [...added.has, ...rest.records].filter(({ table }) => table === 't')
  expect(folded(of)).toEqual(await present(db))
})

/** What a consumer has who finds the old row of a change by its key, as `same` has it. */
function kept(records: readonly SourceRecord[], same: (key: Readonly<Record<string, unknown>>) => unknown): string[] {
  const rows = new Map<unknown, Readonly<Record<string, unknown>>>()
  for (const { operation, key, oldKey, after } of records) {
    if (oldKey !== undefined) rows.delete(same(oldKey))
    if (operation === 'delete') rows.delete(same(key!))
    else rows.set(same(key!), after!)
  }
  return [...rows.values()].map((row) => JSON.stringify(row)).sort()
}

test.concurrent('who has rows by a key of his own loses none, and keeps none that is gone', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (id int PRIMARY KEY, email text NOT NULL, n int); ALTER TABLE t REPLICA IDENTITY FULL;
     INSERT INTO t SELECT id, 'e' || id, 0 FROM generate_series(1, ${ROWS}) id`,
  )
  db.expectSlots = true
  const table = { tables: 't', keys: { t: ['email'] }, slot: `h_${db.name}`, strategy: 'incremental' as const }
  const options = { url: db.url, ...table, maxBytes: 65536, snapshotWorkers: 1 }
  const consumer: Consumer = { options, has: [], stored: undefined }
  await takeAndDie(consumer, 1500, 500)
  const of = (rest: number) => `id <= ${ROWS} AND id % 10 = ${rest}`
  await db.query(`
    WITH gone AS (DELETE FROM t WHERE ${of(0)} RETURNING *) SELECT count(*) FROM gone;
    INSERT INTO t SELECT -id, 'e' || id, 1 FROM generate_series(10, ${ROWS}, 10) id;
    UPDATE t SET id = -id WHERE ${of(1)}; UPDATE t SET id = id + ${ROWS} WHERE ${of(2)};
    UPDATE t SET email = 'f' || id WHERE ${of(3)}; DELETE FROM t WHERE ${of(4)};
    UPDATE t SET n = 2 WHERE ${of(5)}`)
  const rest = await readToCurrent({ ...options, position: consumer.stored } as never)
  const rows = await db.query('SELECT * FROM t')
  const has = kept([...consumer.has, ...rest.records], (key) => key.email)
  expect(has).toEqual(rows.map((row) => JSON.stringify(row)).sort())
})

test.concurrent('of keys that are equal and print otherwise none is lost', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (id numeric PRIMARY KEY, n int); INSERT INTO t SELECT id, 0 FROM generate_series(1, ${ROWS}) id;
     CREATE TABLE filler (id int)`,
  )
  db.expectSlots = true
  const table = { tables: 't', slot: `h_${db.name}`, strategy: 'incremental' as const }
  const options = { url: db.url, ...table, maxBytes: 65536, snapshotWorkers: 1 }
  const consumer: Consumer = { options, has: [], stored: undefined }
  await takeAndDie(consumer, 1500, 500)
  // Rows are read before the stream comes to what they show.
  await db.query('INSERT INTO filler SELECT generate_series(1, 200000)')
  await db.query(`
    UPDATE t SET id = id::text::numeric + 0.0 WHERE id % 3 = 0;
    DELETE FROM t WHERE id % 3 = 1; INSERT INTO t SELECT id + 0.00, 1 FROM generate_series(1, ${ROWS}, 3) id`)
  const rest = await readToCurrent({ ...options, position: consumer.stored } as never)
  const rows = await db.query('SELECT * FROM t')
  const has = kept([...consumer.has, ...rest.records], ({ id }) => Number(id))
  expect(has.map((row) => Number(JSON.parse(row).id)).sort()).toEqual(rows.map(({ id }) => Number(id)).sort())
})

test.concurrent('who is held up while the place of the rows is recorded is told of', async () => {
  await using db = await testDatabase(server, tableOf(ROWS))
  db.expectSlots = true
  // What comes first only says that a slot is about to be made.
  const ack = ({ position }: Batch) => Object.hasOwn(position.toJSON().snapshot!, 'intent')
  await using reader = readSource({ url: db.url, tables: 't', slot: `h_${db.name}` }, { ack })
  await reader.until(() => reader.batches.some((one) => !ack(one)), { what: 'the place' })
  const migration = await db.connect({ application_name: 'migration' })
  const altered = migration.query('ALTER TABLE t ADD x int')
  altered.catch(() => {})
  expect(await reader.told('lock-waited-for')).toMatchObject({ table: 'public.t', application: 'migration' })
  await reader.close()
  await altered
})
