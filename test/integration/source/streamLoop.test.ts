import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { identifySystem } from '../../../src/postgres/catalog/server.js'
import { parseLsn } from '../../../src/postgres/lsn.js'
import { AckLedger } from '../../../src/source/ackLedger.js'
import type { Batch } from '../../../src/source/batch.js'
import { BatchQueue } from '../../../src/source/batchQueue.js'
import { StreamPosition } from '../../../src/source/position.js'
import { Scans } from '../../../src/source/scan/scans.js'
import { StreamLoop } from '../../../src/source/streamLoop.js'
import { toBatch } from '../../../src/source/toBatch.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { openSession } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { collectorFrom, place, registry } from '../../support/sourceHistory.js'
import { confirmedLsn } from '../../support/sourceSlots.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const BATCH_BYTES = 64 * 1024
const TABLE = 'CREATE TABLE t (id int8 PRIMARY KEY, n int8); CREATE PUBLICATION p FOR TABLE t'

/** A stream of the slot, and a gate before the answers that it gets about the slot. */
async function streamOf(db: TestDatabase, slot: string) {
  await using session = await openSession(db.url, { replication: true })
  const { systemIdentifier: system, timeline } = await identifySystem(session)
  const lsn = parseLsn((await confirmedLsn(db, slot))!)!
  const origin = { system, timeline, database: db.name, slot, epoch: 1 }
  const resumed = new StreamPosition(origin, place({ lsn, end: lsn }))
  const collector = collectorFrom(resumed, { origin, shapes: registry(() => true) })
  const queue = new BatchQueue<Batch>(BATCH_BYTES)
  let answer = () => {}
  const gate = new Promise<void>((resolve) => {
    answer = resolve
  })
  let asked = false
  const events: string[] = []
  const control = {
    renew: () => {},
    async query<Row extends object>(sql: string, values?: readonly unknown[]) {
      asked = true
      await gate
      await using session = await openSession(db.url)
      return await session.query<Row>(sql, values)
    },
  }
  const loop = new StreamLoop({
    slot,
    publications: ['p'],
    messages: false,
    owner: undefined,
    connect: () => openSession(db.url, { replication: true }),
    probe: () => openSession(db.url),
    control,
    collector,
    ledger: new AckLedger(lsn),
    queue,
    toBatch: (collected) => toBatch(collected, () => {}),
    scans: noScans(),
    scannedBatch: () => {
      throw new Error('nothing is scanned')
    },
    batchBytes: BATCH_BYTES,
    until: undefined,
    streaming: undefined,
    workMem: undefined,
    emit: ({ type }) => events.push(type),
  })
  return { loop, collector, queue, answer, asked: () => asked, events }
}

/** No table is ever added: neither connections nor tables are asked for. */
function noScans(): Scans {
  const signal = new AbortController().signal
  return new Scans({
    connections: {} as never,
    capture: {} as never,
    workers: 1,
    batchBytes: BATCH_BYTES,
    resumed: { id: '', rows: 0 },
    emit: () => {},
    signal,
  })
}

async function slotBefore(db: TestDatabase, sql: string): Promise<string> {
  db.expectSlots = true
  const slot = `loop_${db.name}`
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot])
  await db.query(sql)
  return slot
}

test('until it is known that the slot is where it was left nothing is handed on, and little is read', async () => {
  await using db = await testDatabase(server, TABLE)
  const slot = await slotBefore(db, 'INSERT INTO t SELECT generate_series(1, 100000)')
  const { loop, collector, queue, answer, asked } = await streamOf(db, slot)
  const running = loop.run()
  await waitFor(() => asked() && collector.bytes >= BATCH_BYTES, { what: 'the question, and the first rows' })
  const first = queue.next()
  const nothing = Symbol()
  // As long as a reader that did not pause would take for all of it.
  for (let look = 0; look < 25; look++) {
    expect(await Promise.race([first, new Promise((resolve) => setTimeout(resolve, 20, nothing))])).toBe(nothing)
    expect(collector.bytes).toBeLessThan(8 * BATCH_BYTES)
  }
  answer()
  let rows = (await first)!.length
  while (rows < 100_000) rows += (await queue.next())!.length
  await loop.stop()
  await running
})

test('a slot that was moved meanwhile is found out, before anything is handed on', async () => {
  await using db = await testDatabase(server, TABLE)
  const slot = await slotBefore(db, 'INSERT INTO t VALUES (1)')
  const { loop, queue, answer } = await streamOf(db, slot)
  // Between the look at the slot and the start of the stream.
  await db.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [slot])
  await db.query('INSERT INTO t VALUES (2)')
  answer()
  await expect(loop.run()).rejects.toMatchObject({ code: 'SLOT_AHEAD' })
  queue.end()
  expect(await queue.next()).toBeUndefined()
  await loop.stop()
})

test('a stream that is lost while the answer about its slot does not come begins again', async () => {
  await using db = await testDatabase(server, TABLE)
  const slot = await slotBefore(db, 'INSERT INTO t VALUES (1)')
  const { loop, queue, answer, asked, events } = await streamOf(db, slot)
  const running = loop.run()
  await waitFor(asked, { what: 'the question' })
  await db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [slot])
  await waitFor(() => events.includes('reconnecting'), { what: 'the loss to be noticed' })
  answer()
  expect((await queue.next())!.length).toBe(1)
  await loop.stop()
  await running
})
