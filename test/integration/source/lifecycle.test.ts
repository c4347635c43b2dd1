import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { Batch } from '../../../src/source/batch.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { readSource } from '../../support/sourceReader.js'
import { publicationsOf, slotsOf } from '../../support/sourceSlots.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** Each half is more than a source may read ahead. */
const ROWS = "SELECT id, repeat('x', 100) FROM generate_series"
const MANY = `CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t ${ROWS}(1, 20000) id`

type Phase = 'snapshot' | 'stream'
type Ending = (run: { source: PostgresSource; abort: AbortController }) => Promise<unknown> | 'break' | undefined

/** Runs a source without a slot, and ends it in the middle of a phase. */
async function endIn(db: TestDatabase, phase: Phase, end: Ending): Promise<void> {
  const abort = new AbortController()
  const source = new PostgresSource({ url: db.url, tables: 't', maxBytes: 65536, signal: abort.signal })
  let writing: Promise<unknown> | undefined
  try {
    for await (const batch of source) {
      if (isIn(phase, batch)) {
        const ending = end({ source, abort })
        if (ending === 'break') break
        await ending
      }
      await batch.ack()
      if (phase === 'stream') writing ??= inTheStream(db)
    }
  } finally {
    await writing
  }
}

function isIn(phase: Phase, batch: Batch): boolean {
  return batch.at(0)?.operation === (phase === 'snapshot' ? 'snapshot' : 'create')
}

async function inTheStream(db: TestDatabase): Promise<void> {
  await waitFor(async () => (await slotsOf(db)).length > 0, { what: 'the slot' })
  await db.query(`INSERT INTO t ${ROWS}(20001, 40000) id`)
}

/** Of a run without a slot nothing is left. A backend needs a moment to notice that its client is gone. */
async function nothingIsLeft(db: TestDatabase): Promise<void> {
  const left = async () => {
    const connections = await db.query(
      "SELECT query FROM pg_stat_activity WHERE application_name = 'tailrace' AND datname = current_database()",
    )
    const publications = (await publicationsOf(db)).filter((name) => name !== 'there')
    return [...connections, ...(await slotsOf(db)), ...publications]
  }
  await waitFor(async () => (await left()).length === 0, { what: 'everything to be gone' })
}

describe.each(['snapshot', 'stream'] as const)('in the middle of the %s nothing is left on the server', (phase) => {
  test.concurrent('by a break', async () => {
    await using db = await testDatabase(server, MANY)
    await endIn(db, phase, () => 'break')
    await nothingIsLeft(db)
  })

  test.concurrent('by an error in the loop, which comes through', async ({ expect }) => {
    await using db = await testDatabase(server, MANY)
    const failing = endIn(db, phase, () => Promise.reject(new Error('the disk is full')))
    await expect(failing).rejects.toThrow('the disk is full')
    await nothingIsLeft(db)
  })

  test.concurrent('by an abort, which is no error', async () => {
    await using db = await testDatabase(server, MANY)
    await endIn(db, phase, ({ abort }) => void abort.abort())
    await nothingIsLeft(db)
  })

  test.concurrent('by close() inside the loop', async () => {
    await using db = await testDatabase(server, MANY)
    await endIn(db, phase, ({ source }) => void source.close())
    await nothingIsLeft(db)
  })

  test.concurrent('by the end of an await using scope', async () => {
    await using db = await testDatabase(server, MANY)
    {
      await using source = new PostgresSource({ url: db.url, tables: 't', maxBytes: 65536 })
      const batches = source[Symbol.asyncIterator]()
      await batches.next()
    }
    await nothingIsLeft(db)
  })
})

describe('close()', () => {
  test.concurrent('ends a loop that waits for changes, and may be called again', async () => {
    await using db = await testDatabase(server, MANY)
    const reader = readSource({ url: db.url, tables: 't' })
    await reader.told('streaming')
    await Promise.all([reader.source.close(), reader.source.close()])
    await reader.ended
    await reader.source.close()
    await nothingIsLeft(db)
  })

  test.concurrent('of a source that never ran ends what listens to it, and no run begins', async () => {
    const source = new PostgresSource({ url: 'postgres://127.0.0.1:1/nowhere', tables: 't' })
    const listening = source.events().next()
    await source.close()
    expect(await listening).toEqual({ done: true, value: undefined })
    expect(await source[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined })
  })

  test.concurrent('ends a run that waits for running transactions, on the server too', async () => {
    await using db = await testDatabase(server, MANY)
    const open = await db.connect()
    await open.query('BEGIN; UPDATE t SET id = -1 WHERE id = 1')
    const reader = readSource({ url: db.url, tables: 't' })
    const { holders } = await reader.told('waiting-for-transactions')
    expect(holders.join()).toContain('tailrace test, idle in transaction')
    await reader.close()
    await nothingIsLeft(db)
  })

  test.concurrent.each([
    ['the table', 'there', 'ACCESS EXCLUSIVE', 'LOCK TABLE'],
    ['the publication', undefined, 'SHARE UPDATE EXCLUSIVE', 'CREATE PUBLICATION'],
  ])('ends a run that waits for a lock on %s, on the server too', async (_, publication, mode, waiting) => {
    await using db = await testDatabase(server, MANY)
    if (publication !== undefined)
      await db.query(`CREATE PUBLICATION ${publication} FOR TABLE t WITH (publish_via_partition_root)`)
    const open = await db.connect()
    await open.query(`BEGIN; LOCK TABLE t IN ${mode} MODE`)
    const reader = readSource({ url: db.url, tables: 't', publication })
    const waits = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '${waiting}%'`
    await reader.until(async () => (await db.query(waits)).length > 0, { what: 'the wait' })
    await reader.close()
    // While the lock is still held: what was begun does not come about later.
    await nothingIsLeft(db)
    await open.query('COMMIT')
    await nothingIsLeft(db)
  })
})

test('a source runs once', async () => {
  const source = new PostgresSource({ url: 'postgres://127.0.0.1:1/nowhere', tables: 't' })
  const batches = source[Symbol.asyncIterator]()
  expect(() => source[Symbol.asyncIterator]()).toThrow(expect.objectContaining({ code: 'SOURCE_USED' }))
  await expect(batches.next()).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
})

test('an aborted signal begins nothing', async () => {
  const signal = AbortSignal.abort()
  const source = new PostgresSource({ url: 'postgres://127.0.0.1:1/nowhere', tables: 't', signal })
  expect(await source[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined })
})

test('publications of runs that were killed are dropped by the next, and no others', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
  const [{ pid }] = (await db.query('SELECT pg_backend_pid() AS pid')) as [{ pid: number }]
  const ours = ['tailrace_tmp_999999999_0a1b2c3d', 'tailrace_tmp_999999998_0a1b2c3d_inserts']
  const others = [`tailrace_tmp_${pid}_0a1b2c3d`, 'tailrace_tmp_999999999_mine', 'tailrace']
  for (const name of [...ours, ...others]) await db.query(`CREATE PUBLICATION ${name} FOR TABLE t`)
  await using reader = readSource({ url: db.url, tables: 't' })
  await reader.told('streaming')
  await reader.close()
  expect(await publicationsOf(db)).toEqual(others.sort())
})

test('a permanent slot and its publication stay', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
  db.expectSlots = true
  const slot = `stays_${db.name}`
  await using reader = readSource({ url: db.url, tables: 't', slot })
  await reader.told('streaming')
  await reader.close()
  expect([await slotsOf(db), await publicationsOf(db)]).toEqual([[slot], ['tailrace']])
})

test('a run tells of its work in order, to whoever listens', async () => {
  await using db = await testDatabase(server, MANY)
  db.expectSlots = true
  await using reader = readSource({ url: db.url, tables: 't', slot: `tells_${db.name}` })
  await reader.told('streaming')
  await reader.close()
  const often = ['snapshot-progress', 'wal-retention']
  const types = reader.events.map(({ type }) => type).filter((type) => !often.includes(type))
  expect(types).toEqual([
    'connected',
    'capturing',
    'publication-created',
    'slot-created',
    'snapshot-started',
    'snapshot-table-finished',
    'snapshot-finished',
    'streaming',
  ])
  const told = new Map(reader.events.map((event) => [event.type, event]))
  expect(told.get('connected')).toMatchObject({ database: db.name })
  expect(told.get('capturing')).toMatchObject({ tables: ['public.t'] })
  expect(told.get('publication-created')).toMatchObject({ publication: 'tailrace', tables: 1 })
  expect(told.get('snapshot-started')).toMatchObject({ tables: 1 })
  expect(told.get('snapshot-table-finished')).toMatchObject({ table: 'public.t', rows: 20_000 })
  expect(told.get('snapshot-finished')).toMatchObject({ rows: 20_000 })
  const slot = reader.events.find((event) => event.type === 'slot-created')!
  expect(slot.temporary).toBe(false)
  expect(told.get('streaming')).toMatchObject({ slot: slot.slot, lsn: slot.lsn })
})
