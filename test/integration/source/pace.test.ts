import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { readSource } from '../../support/sourceReader.js'

const MIB = 1024 * 1024

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes received that somebody still refers to. */
function bytesHeld(): number {
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ settings: { wal_sender_timeout: '1s', max_wal_size: '2GB' } })
})
afterAll(() => server?.[Symbol.asyncDispose]())

test('a consumer that sleeps in a transaction of 200 MB keeps memory bounded and the connection alive', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY, fill text)')
  const rows = 100_000
  const maxBytes = 4 * MIB
  const source = new PostgresSource({ url: db.url, tables: 't', maxBytes })
  const events: string[] = []
  const listening = (async () => {
    for await (const event of source.events()) events.push(event.type)
  })()
  const writing = { promise: undefined as Promise<unknown> | undefined }
  const base = bytesHeld()
  const held: number[] = []
  let seen = 0
  for await (const batch of source) {
    // Begun as soon as there is a slot to see it.
    writing.promise ??= db.query(`INSERT INTO t SELECT id, repeat('x', 2000) FROM generate_series(1, ${rows}) id`)
    if (held.length < 2 && seen > (held.length + 1) * 20_000) {
      // Longer than the server waits for a client that says nothing.
      await sleep(1500)
      held.push(bytesHeld() - base)
    }
    seen += batch.length
    await batch.ack()
    if (seen === rows) break
  }
  await writing.promise
  await listening
  expect(seen).toBe(rows)
  expect(events).not.toContain('reconnecting')
  expect(held).toHaveLength(2)
  // Chunks that were used up stay until the garbage collector comes: far below the transaction's 200 MB all the same.
  for (const bytes of held) expect(bytes).toBeLessThan(maxBytes + 32 * MIB)
})

test('a snapshot that is read slowly waits for its consumer', async () => {
  await using db = await testDatabase(
    server,
    "CREATE TABLE t (id int PRIMARY KEY, fill text); INSERT INTO t SELECT id, repeat('x', 2000) FROM generate_series(1, 20000) id",
  )
  const source = new PostgresSource({ url: db.url, tables: 't', maxBytes: MIB, snapshotWorkers: 2 })
  const base = bytesHeld()
  let held: number | undefined
  let seen = 0
  for await (const batch of source) {
    if (held === undefined && seen > 0) {
      await sleep(500)
      held = bytesHeld() - base
    }
    seen += batch.length
    await batch.ack()
    if (seen === 20_000) break
  }
  expect(seen).toBe(20_000)
  // The bound, in each of two workers a batch that is not full yet, and chunks that nobody has collected; of 40 MB.
  expect(held).toBeLessThan(4 * MIB)
})

test('a commit on an idle stream is seen at once', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
  await using reader = readSource({ url: db.url, tables: 't' })
  await reader.told('streaming')
  let latencies: number[] = []
  const areShort = () => latencies[5]! < 100 && latencies[9]! < 1000
  // On a busy machine not in each round.
  for (let round = 0; round < 5 && !areShort(); round++) {
    latencies = []
    for (let id = round * 10 + 1; id <= round * 10 + 10; id++) {
      await db.query(`INSERT INTO t VALUES (${id})`)
      const committed = performance.now()
      await reader.until(() => reader.records.length === id, { what: `row ${id}`, intervalMs: 1 })
      latencies.push(performance.now() - committed)
    }
    latencies.sort((a, b) => a - b)
  }
  expect(latencies[5]).toBeLessThan(100)
  expect(latencies[9]).toBeLessThan(1000)
})
