import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { Pipeline, shortOf } from '../../support/conduit/pipeline.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const ORDERS = 'CREATE TABLE orders (id int PRIMARY KEY, total numeric, note text)'

async function database(sql: string): Promise<TestDatabase> {
  const db = await testDatabase(server, sql)
  db.expectSlots = true
  return db
}

function idOf(record: Parameters<typeof shortOf>[0]): number {
  return (shortOf(record)[1] as { readonly id: number }).id
}

/** Operation and row. */
function nameOf(record: Parameters<typeof shortOf>[0]): string {
  return `${shortOf(record)[0]} ${idOf(record)}`
}

function settings(db: TestDatabase, others: Record<string, string> = {}): Record<string, string> {
  return { url: db.url, tables: 'orders', 'logrepl.slotName': db.name, ...others }
}

async function slotOf(db: TestDatabase): Promise<{ confirmed: string; active: boolean } | undefined> {
  const [slot] = await db.query<{ confirmed: string; active: boolean }>(
    'SELECT confirmed_flush_lsn::text AS confirmed, active FROM pg_replication_slots WHERE slot_name = $1',
    [db.name],
  )
  return slot
}

describe.each(['v1', 'v2'] as const)('the engine %s', (engine) => {
  test('snapshot, changes, stop and start: every record once', async () => {
    await using db = await database(`${ORDERS}; INSERT INTO orders VALUES (1, 1.50, 'a'), (2, NULL, NULL)`)
    await using pipeline = new Pipeline(settings(db), { engine })
    await pipeline.start()
    await pipeline.has(2)
    await db.query("INSERT INTO orders VALUES (3, 3, 'c')")
    await db.query("UPDATE orders SET note = 'b' WHERE id = 2")
    await pipeline.has(4)
    await db.query('DELETE FROM orders WHERE id = 1')
    await pipeline.has(5)
    await pipeline.stop()
    expect((await slotOf(db))!.active).toBe(false)
    await db.query("INSERT INTO orders VALUES (4, 4, 'd')")
    await pipeline.start()
    await pipeline.has(1)
    await pipeline.stop()
    expect(pipeline.records.map(shortOf)).toEqual([
      ['snapshot', { id: 1, total: '1.50', note: 'a' }],
      ['snapshot', { id: 2, total: null, note: null }],
      ['create', { id: 3, total: '3', note: 'c' }],
      ['update', { id: 2, total: null, note: 'b' }],
      ['delete', { id: 1 }],
      ['create', { id: 4, total: '4', note: 'd' }],
    ])
    expect(new Set(pipeline.records.map(({ position }) => position.toString())).size).toBe(6)
    expect(pipeline.host.logs.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([])
  })

  test('acks that come a second late, or never, hold up nothing', async () => {
    await using db = await database(`${ORDERS}; INSERT INTO orders SELECT n FROM generate_series(1, 1000) AS n`)
    for (const [index, ackAfterMs] of [undefined, 1000].entries()) {
      await using pipeline = new Pipeline(settings(db), { engine, ackAfterMs })
      await pipeline.start()
      await pipeline.has(1000)
      await db.query(`INSERT INTO orders VALUES (${2000 + index})`)
      await pipeline.has(1001 + index)
      expect(pipeline.stream.acked).toBeLessThan(1001 + index)
      await pipeline.stop()
    }
  })

  test('crashes at any moment under load: nothing is missing, and nothing that was stored comes again', async () => {
    await using db = await database(`${ORDERS}; INSERT INTO orders SELECT n FROM generate_series(1, 300) AS n`)
    await using pipeline = new Pipeline(settings(db, { 'sdk.batch.size': '7' }), { engine, ackAfterMs: 30 })
    const writer = await db.connect()
    let written = 300
    const write = async (transactions: number) => {
      for (let i = 0; i < transactions; i++) {
        const rows = 1 + (i % 5)
        await writer.query(`INSERT INTO orders SELECT n FROM generate_series(${written + 1}, ${written + rows}) AS n`)
        written += rows
      }
    }
    const stored: string[][] = []
    for (let round = 0; round < 8; round++) {
      await pipeline.start()
      const writing = write(30)
      await waitFor(() => pipeline.stream.records.length > 8 * round, { what: 'records', timeoutMs: 20_000 })
      await sleep(10 * round)
      await pipeline.crash()
      await writing
      await pipeline.stream.fails()
      await sleep(50)
      // What Conduit has of this run: the records up to the position that it stored.
      const records = pipeline.stream.records
      const last = records.findIndex(({ position }) => position.equals(pipeline.stored))
      stored.push(records.slice(0, last + 1).map(nameOf))
    }
    await pipeline.start()
    const rowsOf = (names: readonly string[]) => new Set(names.map((name) => name.split(' ')[1])).size
    const all = () => [...stored.flat(), ...pipeline.stream.records.map(nameOf)]
    await waitFor(() => rowsOf(all()) === written, { what: 'every row' })
    await pipeline.stop()
    // A row that is inserted while a snapshot is gone on with may be told of by both; but by each of them once.
    expect(new Set(all()).size).toBe(all().length)
    expect(rowsOf(all())).toBe(written)
  })
})

test('a server that is killed is waited for: the same run goes on, with no record lost or sent twice', async () => {
  await using other = await startServer()
  await using db = await testDatabase(other, `${ORDERS}; INSERT INTO orders VALUES (1)`)
  db.expectSlots = true
  await using pipeline = new Pipeline(settings(db))
  await pipeline.start()
  await pipeline.has(1)
  await db.query('INSERT INTO orders VALUES (2)')
  await pipeline.has(2)
  await other.restart('immediate')
  await pipeline.host.says('trying again in')
  const client = await db.connect()
  await client.query('INSERT INTO orders VALUES (3)')
  await pipeline.has(3)
  await pipeline.stop()
  expect(pipeline.records.map((record) => (shortOf(record)[1] as { id: number }).id)).toEqual([1, 2, 3])
})

describe('Stop', () => {
  test('gives the position of the last record sent, no record follows it, and acks that come later still count', async () => {
    await using db = await database(`${ORDERS}; INSERT INTO orders VALUES (1)`)
    await using pipeline = new Pipeline(settings(db), { engine: 'v1', ackAfterMs: 700 })
    await pipeline.start()
    await pipeline.has(1)
    await db.query('INSERT INTO orders VALUES (2)')
    await pipeline.has(2)
    const before = (await slotOf(db))!.confirmed
    const last = await pipeline.host.stop()
    expect(last).toEqual(pipeline.stream.records[1]!.position)
    expect(await pipeline.host.stop()).toEqual(last)
    await db.query('INSERT INTO orders VALUES (3)')
    await pipeline.stream.hasAcked(2)
    await waitFor(async () => (await slotOf(db))!.confirmed !== before, { what: 'the slot to move' })
    expect(pipeline.stream.records.length).toBe(2)
    await pipeline.stop()
    await pipeline.start()
    await pipeline.has(1)
    await pipeline.stop()
    expect(shortOf(pipeline.records.at(-1)!)).toEqual(['create', { id: 3, total: null, note: null }])
  })

  test('gives nothing when no record was sent, and of this run only', async () => {
    await using db = await database(ORDERS)
    await using pipeline = new Pipeline(settings(db))
    await pipeline.start()
    expect(await pipeline.stop()).toEqual(Buffer.alloc(0))
    await pipeline.start()
    await db.query('INSERT INTO orders VALUES (1)')
    await pipeline.has(1)
    await pipeline.stop()
    await pipeline.start()
    expect(await pipeline.stop()).toEqual(Buffer.alloc(0))
  })

  test('sends what waits for its batch to fill', async () => {
    await using db = await database(`${ORDERS}; INSERT INTO orders VALUES (1), (2)`)
    const slow = { 'sdk.batch.size': '100', 'sdk.batch.delay': '1h' }
    await using pipeline = new Pipeline(settings(db, slow))
    await pipeline.start()
    await pipeline.host.says('streaming from')
    await sleep(300)
    expect(pipeline.stream.records).toEqual([])
    const last = await pipeline.stop()
    expect(pipeline.records.map(({ position }) => position).at(-1)).toEqual(last)
    expect(pipeline.records.length).toBe(2)
  })
})

test('a host that is slower than the source leaves nothing behind for each time it was waited for', async () => {
  await using db = await database(
    `${ORDERS}; INSERT INTO orders SELECT n, n, repeat('x', 1000) FROM generate_series(1, 40000) n`,
  )
  await using pipeline = new Pipeline(settings(db))
  await pipeline.start()
  await pipeline.has(40_000)
  await pipeline.stop()
  // Node warns of listeners that pile up.
  expect(pipeline.host.logs.filter(({ message }) => /Warning/.test(message))).toEqual([])
})

describe('batches', () => {
  test('have sdk.batch.size records at most, and wait no longer than sdk.batch.delay', async () => {
    await using db = await database(`${ORDERS}; INSERT INTO orders SELECT n FROM generate_series(1, 25) AS n`)
    await using pipeline = new Pipeline(settings(db, { 'sdk.batch.size': '10', 'sdk.batch.delay': '300ms' }))
    await pipeline.start()
    await pipeline.has(25)
    expect(pipeline.stream.messages).toEqual([10, 10, 5])
    const since = performance.now()
    await db.query('INSERT INTO orders VALUES (26)')
    await pipeline.has(26)
    expect(performance.now() - since).toBeGreaterThan(250)
    await pipeline.stop()
  })

  test('without either are what was read together, and come at once', async () => {
    await using db = await database(`${ORDERS}; INSERT INTO orders SELECT n FROM generate_series(1, 5000) AS n`)
    await using pipeline = new Pipeline(settings(db), { engine: 'v2' })
    await pipeline.start()
    await pipeline.has(5000)
    expect(pipeline.stream.messages.length).toBeLessThan(100)
    // On a busy machine the quickest of some.
    let quickest = Number.POSITIVE_INFINITY
    for (let more = 1; more <= 20 && quickest > 250; more++) {
      const since = performance.now()
      await db.query(`INSERT INTO orders VALUES (-${more})`)
      await pipeline.has(5000 + more)
      quickest = Math.min(quickest, performance.now() - since)
    }
    expect(quickest).toBeLessThan(250)
    await pipeline.stop()
  })
})

test('a table without identity is refused with the way out, or left out with a warning: keyless', async () => {
  await using db = await database(
    `${ORDERS}; CREATE TABLE logs (n int); INSERT INTO orders VALUES (1); INSERT INTO logs VALUES (1)`,
  )
  await using refused = new Pipeline(settings(db, { tables: '*' }))
  await expect(refused.start()).rejects.toThrow(/^REPLICA_IDENTITY_MISSING: .*public\.logs.*keyless skip/s)
  await using pipeline = new Pipeline(settings(db, { tables: '*', keyless: 'skip' }))
  await pipeline.start()
  await pipeline.has(1)
  await db.query('INSERT INTO logs VALUES (2); UPDATE logs SET n = 3; INSERT INTO orders VALUES (2)')
  await pipeline.has(2)
  await pipeline.stop()
  expect(pipeline.records.map(({ metadata }) => metadata['opencdc.collection'])).toEqual(['orders', 'orders'])
  expect(pipeline.host.logs.filter(({ level }) => level === 'warn')).toMatchObject([
    { message: expect.stringMatching(/public\.logs is left out/) },
  ])
})

describe('a row that was sent and not stored, and is gone before it is read again', () => {
  test.each([
    ['before any position was stored', undefined],
    ['behind one in the midst of the snapshot', 1000],
  ])('is deleted for who has it: %s', async (_, stored) => {
    await using db = await database(`${ORDERS}; INSERT INTO orders SELECT generate_series(1, 3000)`)
    await using pipeline = new Pipeline(settings(db), { ackAfterMs: undefined })
    await pipeline.start()
    await pipeline.has(2000)
    await pipeline.crash()
    if (stored !== undefined) pipeline.stored = Buffer.from(pipeline.records[stored - 1]!.position)
    await db.query(`DELETE FROM orders WHERE id = 1500; UPDATE orders SET id = -1 WHERE id = 1600;
      DELETE FROM orders WHERE id = 1700; INSERT INTO orders VALUES (1700); INSERT INTO orders VALUES (5000)`)
    await pipeline.start()
    await db.query('INSERT INTO orders VALUES (6000)')
    await waitFor(() => pipeline.stream.records.some((one) => idOf(one) === 6000), { what: 'the last row' })
    await waitFor(() => pipeline.stream.records.some((one) => idOf(one) === 3000), {
      what: 'the last row of the snapshot',
    })
    await pipeline.stop()
    const has = new Set<number>()
    for (const record of pipeline.records) {
      const [operation] = shortOf(record)
      if (operation === 'delete') has.delete(idOf(record))
      else has.add(idOf(record))
      const before = record.payload?.before?.data
      if (operation === 'update' && before?.$case === 'structuredData' && before.value?.id !== idOf(record)) {
        has.delete(before.value?.id as number)
      }
    }
    const rows = await db.query<{ id: number }>('SELECT id FROM orders')
    expect([...has].sort((a, b) => a - b)).toEqual(rows.map(({ id }) => id).sort((a, b) => a - b))
  })
})

describe('the end of a snapshot', () => {
  test('is in the position of its last record: a table without a key does not come again', async () => {
    await using db = await database('CREATE TABLE orders (id int); INSERT INTO orders VALUES (1), (2), (3)')
    await using pipeline = new Pipeline(settings(db, { keyless: 'inserts' }))
    await pipeline.start()
    await pipeline.has(3)
    await pipeline.stop()
    await db.query('INSERT INTO orders VALUES (4)')
    await pipeline.start()
    await pipeline.has(1)
    await pipeline.stop()
    expect(pipeline.records.map(shortOf)).toEqual([
      ['snapshot', { id: 1 }],
      ['snapshot', { id: 2 }],
      ['snapshot', { id: 3 }],
      ['create', { id: 4 }],
    ])
  })

  test('that nobody acked is no end: without a position all rows come again, from the slot that is there', async () => {
    await using db = await database(`${ORDERS}; INSERT INTO orders VALUES (1), (2)`)
    await using pipeline = new Pipeline(settings(db), { ackAfterMs: undefined })
    await pipeline.start()
    await pipeline.has(2)
    await pipeline.crash()
    await db.query('INSERT INTO orders VALUES (3)')
    await db.query('DELETE FROM orders WHERE id = 1')
    await pipeline.start()
    await pipeline.has(2)
    await db.query('INSERT INTO orders VALUES (4)')
    const wanted = ['delete 1', 'snapshot 2', 'snapshot 3', 'create 4']
    await waitFor(() => wanted.every((name) => pipeline.stream.records.some((one) => nameOf(one) === name)), {
      what: 'the rows, and what happened to them',
    })
    await pipeline.crash()
    const again = pipeline.stream.records.map(nameOf)
    expect(again.filter((name) => !['create 3', 'snapshot 4'].includes(name))).toHaveLength(4)
  })

  test('snapshotMode never begins with the changes', async () => {
    await using db = await database(`${ORDERS}; INSERT INTO orders VALUES (1)`)
    await using pipeline = new Pipeline(settings(db, { snapshotMode: 'never' }))
    await pipeline.start()
    await pipeline.host.says('streaming from')
    await db.query('INSERT INTO orders VALUES (2)')
    await pipeline.has(1)
    await pipeline.stop()
    expect(pipeline.records.map(shortOf)).toEqual([['create', { id: 2, total: null, note: null }]])
  })
})
