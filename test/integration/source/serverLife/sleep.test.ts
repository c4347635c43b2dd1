import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import type { Batch } from '../../../../src/source/batch.js'
import { type TestDatabase, testDatabase } from '../../../support/database.js'
import { startServer } from '../../../support/servers.js'
import { isSlow } from '../../../support/slow.js'
import { readSource, type SourceReader } from '../../../support/sourceReader.js'

// The server takes a client that is silent for a second for dead.
let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ settings: { wal_sender_timeout: '1s' } })
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** Many times as long as that. */
const SLEEP_MS = isSlow ? 30_000 : 8_000
const SLEEP = `${SLEEP_MS / 1000} s`
const MANY = (from: number, to: number) =>
  `INSERT INTO t SELECT id, repeat('x', 200) FROM generate_series(${from}, ${to}) id`
const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, note text)'

/** Sleeps once, with the first batch of such rows in hand. */
function sleepingAt(operation: string, asleep: () => unknown) {
  let slept = false
  return (batch: Batch) => {
    if (slept || batch.at(0)?.operation !== operation) return undefined
    slept = true
    return Promise.resolve(asleep())
  }
}

function requireAll(reader: SourceReader, ids: number): void {
  expect(reader.records.map(({ key }) => key?.id).sort((a, b) => Number(a) - Number(b))).toEqual(
    Array.from({ length: ids }, (_, n) => n + 1),
  )
}

const reconnects = (reader: SourceReader) => reader.events.filter(({ type }) => type === 'reconnecting')

/** A process that the machine did not let run for so long cannot have answered in time: its load is not our matter. */
const HELD_UP_MS = 500

function watchLoop() {
  const delays = monitorEventLoopDelay()
  delays.enable()
  return {
    requireKept(reader: SourceReader): void {
      delays.disable()
      if (delays.max / 1e6 < HELD_UP_MS) expect(reconnects(reader)).toEqual([])
    },
  }
}

const options = (db: TestDatabase) => ({ url: db.url, tables: 't', slot: `s_${db.name}`, maxBytes: 65_536 })

test.concurrent(`a consumer that sleeps ${SLEEP} in the middle of a transaction larger than what may wait keeps its connection`, async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  const loop = watchLoop()
  await using reader = readSource(options(db), { onBatch: sleepingAt('create', () => sleep(SLEEP_MS)) })
  await reader.told('streaming')
  await db.query(MANY(1, 20_000))
  await reader.seen(({ key }) => key?.id === 20_000, 'the last row', 55_000)
  requireAll(reader, 20_000)
  loop.requireKept(reader)
})

test.concurrent(`one that sleeps ${SLEEP} during the snapshot has all of it, and all that was written meanwhile`, async () => {
  await using db = await testDatabase(server, `${TABLE}; ${MANY(1, 20_000)}`)
  db.expectSlots = true
  const loop = watchLoop()
  const asleep = async () => {
    await db.query(MANY(20_001, 20_100))
    await sleep(SLEEP_MS)
  }
  await using reader = readSource(options(db), { onBatch: sleepingAt('snapshot', asleep) })
  await reader.seen(({ key }) => key?.id === 20_100, 'the last row', 55_000)
  requireAll(reader, 20_100)
  loop.requireKept(reader)
})

test.concurrent(`one that sleeps ${SLEEP} on an idle stream keeps its connection`, async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  const loop = watchLoop()
  await using reader = readSource(options(db), { onBatch: sleepingAt('create', () => sleep(SLEEP_MS)) })
  await reader.told('streaming')
  await db.query(MANY(1, 1))
  await reader.seen(({ key }) => key?.id === 1, 'row 1')
  await sleep(SLEEP_MS / 2)
  await db.query(MANY(2, 2))
  await reader.seen(({ key }) => key?.id === 2, 'row 2', 30_000)
  requireAll(reader, 2)
  loop.requireKept(reader)
})

// Alone, and last: it keeps the whole process from everything.
test('one that keeps the whole process busy loses the connection, and nothing else', async () => {
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  const blocked = () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4000)
  // As it comes: what is spooled is here before the first row of it.
  const reading = { ...options(db), streaming: 'off' } as const
  await using reader = readSource(reading, { onBatch: sleepingAt('create', blocked) })
  await reader.told('streaming')
  await db.query(MANY(1, 20_000))
  await reader.seen(({ key }) => key?.id === 20_000, 'the last row')
  requireAll(reader, 20_000)
  expect(reconnects(reader).length).toBeGreaterThan(0)
})
