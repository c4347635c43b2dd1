import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { LetterFile } from '../../../src/sinks/deadLetters/letterFile.js'
import type { LetterStore } from '../../../src/sinks/deadLetters/letterStore.js'
import { LetterTable } from '../../../src/sinks/deadLetters/letterTable.js'
import { postgresSinkType } from '../../../src/sinks/postgres/postgresSinkType.js'
import type { Sink, SinkMark } from '../../../src/sinks/sink.js'
import type { Batch } from '../../../src/source/batch.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { parseLines } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { databasePair } from '../../support/verifying.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const letter = (id: string) => {
  return { id, target: 'public.t', sqlstate: '23514', problem: `why "${id}"`, record: `{"key":{"id":"${id}"}}` }
}

/** Each run is killed, so to say, behind something that was durable and not recorded. */
async function expectOnce(make: () => LetterStore, stored: () => Promise<string[]>): Promise<void> {
  let mark: SinkMark | undefined
  const runWith = async (recorded: readonly string[], lost: readonly string[]) => {
    const store = make()
    await store.open(mark)
    for (const id of recorded) await store.write([letter(id)])
    mark = await store.flush()
    await store.write(lost.map(letter))
    await store.flush()
    await store.close()
    return stored()
  }
  expect(await runWith([], ['a'])).toEqual(['a'])
  expect(await runWith(['a', 'b'], ['c', 'd'])).toEqual(['a', 'b', 'c', 'd'])
  expect(await runWith(['c'], [])).toEqual(['a', 'b', 'c'])
  expect(await runWith([], ['d', 'e', 'f'])).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  expect(await runWith(['d'], [])).toEqual(['a', 'b', 'c', 'd'])
}

test('in a file: what was not recorded is taken back, and what stood there before is kept', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'deep', 'letters.ndjson')
  const lines = async () => parseLines(await readFile(path, 'utf8'))
  await expectOnce(
    () => new LetterFile(path, 'shop.a'),
    async () => (await lines()).map(({ id }) => id),
  )
  expect((await lines())[0]).toEqual({
    at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    ...{ source: 'shop.a', id: 'a', target: 'public.t', sqlstate: '23514', problem: 'why "a"' },
    record: { key: { id: 'a' } },
  })
  // Another pipeline's, which begins: nothing of it is recorded yet.
  await expect(
    (async () => {
      const other = new LetterFile(path, 'other.a')
      await other.open(undefined)
      await other.write([letter('x')])
      await other.close()
      return (await lines()).length
    })(),
  ).resolves.toBe(5)
})

test('in a file that was taken away: the mark of it cuts no line of the next one', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'letters.ndjson')
  const write = async (mark: SinkMark | undefined, ...ids: readonly string[]) => {
    const store = new LetterFile(path, 'shop.a')
    await store.open(mark)
    await store.write(ids.map(letter))
    const next = await store.flush()
    await store.close()
    return next
  }
  const mark = await write(undefined, 'a')
  await rm(path)
  // Killed before its own mark was recorded: the last record comes again.
  await write(mark, 'a much longer one')
  await write(mark, 'b')
  expect(parseLines(await readFile(path, 'utf8')).map(({ id }) => id)).toEqual(['a much longer one', 'b'])
})

test('in a table: the same, of each source by itself', async () => {
  await using db = await testDatabase(server)
  const options = { url: db.url, schema: 'my ops', source: 'shop.a' }
  const other = new LetterTable({ ...options, source: 'other' })
  await other.open(undefined)
  const stored = async () => {
    await other.write([letter('x')])
    const rows = await db.query<{ id: string }>(
      `SELECT id FROM "my ops".dead_letter WHERE source = 'shop.a' ORDER BY number`,
    )
    return rows.map(({ id }) => id)
  }
  await expectOnce(() => new LetterTable(options), stored)
  await other.close()
  expect(await db.query(`SELECT count(*)::int AS n FROM "my ops".dead_letter WHERE source = 'other'`)).toEqual([
    { n: 5 },
  ])
  const [row] = await db.query(
    `SELECT source, id, target, sqlstate, problem, record FROM "my ops".dead_letter WHERE id = 'a'`,
  )
  expect(row).toEqual({ source: 'shop.a', ...letter('a'), record: { key: { id: 'a' } } })
})

test('of a database, in its table and from there in a file: each once, wherever it is killed', async () => {
  const sql = 'CREATE TABLE t (id int PRIMARY KEY)'
  await using pair = await databasePair(server, sql, 'CREATE TABLE t (id int PRIMARY KEY CHECK (id % 10 <> 3))')
  pair.source.expectSlots = true
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'letters.ndjson')
  const settings = { url: pair.target.url, table: '{schema}.{table}', keys: [], checkpointSchema: 'tailrace' }
  const place = { folder: folder.path, pipeline: 'shop', sink: 'copy' }
  const make = () => postgresSinkType.create({ ...settings, replicationRole: 'auto', retryMs: 0 }, place, { file })
  const ids = async () => {
    const text = await readFile(file, 'utf8').catch(() => '')
    return parseLines(text).map(({ record }) => (record as { key: { id: number } }).key.id)
  }
  let mark: SinkMark | undefined
  /** Ten more rows; `work` does with them what the run comes to. */
  const runWith = async (from: number, work: (sink: Sink, batch: Batch) => Promise<void>) => {
    await pair.source.query(`INSERT INTO t SELECT generate_series(${from}, ${from + 9})`)
    const sink = make()
    const position = (await sink.open(mark)) ?? undefined
    const source = new PostgresSource({
      ...{ url: pair.source.url, tables: 't', slot: pair.source.name, position, until: 'current' },
    })
    for await (const batch of source) {
      await work(sink, batch as Batch)
      await batch.ack()
    }
    await sink.close()
  }
  const recorded = async (sink: Sink, batch: Batch) => {
    await sink.write(batch)
    mark = await sink.flush({ end: false })
  }
  await runWith(0, recorded)
  expect(await ids()).toEqual([3])
  // Committed, and neither in the file nor recorded.
  await runWith(10, (sink, batch) => sink.write(batch))
  expect(await ids()).toEqual([3])
  await runWith(20, recorded)
  expect(await ids()).toEqual([3, 13, 23])
  // In the file, and not recorded.
  await runWith(30, async (sink, batch) => {
    await sink.write(batch)
    await sink.flush({ end: false })
  })
  expect(await ids()).toEqual([3, 13, 23, 33])
  await runWith(40, recorded)
  expect(await ids()).toEqual([3, 13, 23, 33, 43])
  expect(await pair.target.query('SELECT count(*)::int AS n FROM tailrace.dead_letter')).toEqual([{ n: 5 }])
})
