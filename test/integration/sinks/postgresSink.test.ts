import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { PostgresDestination } from '../../../src/destination/postgresDestination.js'
import { parsePipeline } from '../../../src/homes/pipeline/config/pipelineConfig.js'
import { RunningPipeline } from '../../support/pipelineSinks.js'
import { rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'
import { parseLines } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { type DatabasePair, databasePair } from '../../support/verifying.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLES = `
  CREATE TABLE orders (id int PRIMARY KEY, code text UNIQUE, note text);
  CREATE TABLE log (n int, note text)`

const COPY = `type: postgres, url: "\${COPY_URL}"`

/** A pipeline of `orders` and `log`, with these sinks in YAML's words. */
async function pipelineOf(pair: DatabasePair, sinks: string, more = `slot: ${pair.source.name}`) {
  pair.source.expectSlots = true
  const folder = await temporaryFolder()
  const text = `
source: {url: "\${SHOP_URL}", tables: [orders, log], keyless: inserts, ${more}}
sinks: ${sinks}
`
  const environment = { SHOP_URL: pair.source.url, COPY_URL: pair.target.url }
  const config = parsePipeline(join(folder.path, 'shop.yaml'), text, environment)
  return {
    path: folder.path,
    start: () => new RunningPipeline(config),
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
  }
}

async function isSame({ source, target }: DatabasePair): Promise<boolean> {
  for (const table of ['orders', 'log']) {
    if (String(await rowsOf(source, table)) !== String(await rowsOf(target, table))) return false
  }
  return true
}

async function expectSame({ source, target }: DatabasePair): Promise<void> {
  for (const table of ['orders', 'log']) expect(await rowsOf(target, table)).toEqual(await rowsOf(source, table))
}

const terminateWriter = (pair: DatabasePair) =>
  pair.source.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tailrace'",
    [pair.target.name],
  )

/** Some rows take their time at the target. */
const PAUSE = `
  CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN new; END $$;
  CREATE TRIGGER pause BEFORE INSERT ON log FOR EACH ROW WHEN (new.n % 10000 = 7) EXECUTE FUNCTION pause();
  ALTER TABLE log ENABLE ALWAYS TRIGGER pause`

/** Waits until one is written, and tells one such statement from another. */
async function untilPaused({ source, target }: DatabasePair, running: RunningPipeline): Promise<string> {
  let began: string | undefined
  const look = async () => {
    const rows = await source.query<{ began: string }>(
      `SELECT query_start::text AS began FROM pg_stat_activity
        WHERE datname = $1 AND application_name = 'tailrace' AND wait_event = 'PgSleep'`,
      [target.name],
    )
    began = rows[0]?.began
    return began !== undefined
  }
  await running.until(look, 'a row that takes its time')
  return began!
}

test('rows and changes of all kinds are on both sides the same, and once each in a file beside it', async () => {
  await using pair = await databasePair(server, TABLES)
  await pair.source.query(`
    INSERT INTO orders SELECT n, 'c' || n, repeat('x', n % 100) FROM generate_series(1, 5000) n;
    INSERT INTO log SELECT n % 10, 'row' FROM generate_series(1, 5000) n`)
  await using pipeline = await pipelineOf(pair, `{copy: {${COPY}, retry_ms: 0}, file: {type: file, path: all.ndjson}}`)
  const lines = async () => parseLines(await readFile(join(pipeline.path, 'all.ndjson'), 'utf8'))
  {
    await using running = pipeline.start()
    await running.until(async () => running.streaming && (await isSame(pair)), 'the rows')
    await pair.source.query(`
      INSERT INTO orders SELECT n, 'c' || n, NULL FROM generate_series(5001, 5500) n;
      UPDATE orders SET note = 'changed' WHERE id % 3 = 0;
      UPDATE orders SET id = -id WHERE id % 5 = 0;
      DELETE FROM orders WHERE id % 7 = 0;
      INSERT INTO log VALUES (1, 'new'), (1, 'new')`)
    await running.until(() => isSame(pair), 'the changes')
    // A connection that is lost is a matter of the pipeline's own retries.
    await terminateWriter(pair)
    await pair.source.query("TRUNCATE orders; INSERT INTO orders VALUES (1, 'a', 'b'); INSERT INTO log VALUES (2, 'x')")
    await running.until(async () => (await isSame(pair)) && running.events.length === 2, 'what came then')
    expect(running.events).toMatchObject([
      { type: 'sink-retrying', sink: 'copy' },
      { type: 'sink-recovered', sink: 'copy' },
    ])
    await running.stop()
  }
  await pair.source.query("UPDATE orders SET code = 'z'; INSERT INTO log VALUES (3, 'x'), (3, 'x')")
  {
    await using running = pipeline.start()
    await running.until(() => isSame(pair), 'what came meanwhile')
    await running.stop()
  }
  await expectSame(pair)
  const ids = (await lines())
    .filter(({ operation, table }) => !(operation === 'snapshot' && table === 'log'))
    .map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  expect((await lines()).filter(({ table }) => table === 'log')).toHaveLength(5000 + 2 + 1 + 2)
  expect(await pair.target.query('SELECT source FROM tailrace.checkpoint')).toEqual([{ source: 'shop' }])
})

test('a transaction that is open over many batches of a table without a key is lost: all begins again, and is once there', async () => {
  await using pair = await databasePair(server, TABLES)
  await pair.source.query("INSERT INTO log SELECT n, repeat('x', 200) FROM generate_series(1, 40000) n")
  await using pipeline = await pipelineOf(pair, `{copy: {${COPY}, retry_ms: 0}, file: {type: file, path: all.ndjson}}`)
  await pair.target.query(PAUSE)
  await using running = pipeline.start()
  // It waits in the middle, with batches in its transaction.
  const first = await untilPaused(pair, running)
  await running.until(async () => (await untilPaused(pair, running)) !== first, 'it to be further')
  await terminateWriter(pair)
  await running.until(async () => running.streaming && (await rowsOf(pair.target, 'log')).length > 0, 'all')
  await pair.source.query("INSERT INTO log VALUES (0, 'last'); INSERT INTO orders VALUES (1)")
  await running.until(() => isSame(pair), 'the last')
  await running.stop()
  await expectSame(pair)
  const lines = parseLines(await readFile(join(pipeline.path, 'all.ndjson'), 'utf8'))
  expect(lines).toHaveLength(40_002)
  expect(running.events[0]).toMatchObject({ type: 'sink-retrying' })
})

test('with rows only: what this run wrote before its connection was lost is not written twice, the next run writes all', async () => {
  await using pair = await databasePair(server, TABLES)
  await pair.source.query(`
    INSERT INTO orders SELECT n, 'c' || n, 'row' FROM generate_series(1, 100) n;
    INSERT INTO log SELECT n, repeat('x', 200) FROM generate_series(1, 30000) n`)
  await pair.target.query(PAUSE)
  const sinks = `{copy: {${COPY}, retry_ms: 0}, file: {type: file, path: all.ndjson}}`
  await using pipeline = await pipelineOf(pair, sinks, 'snapshot: only')
  {
    await using running = pipeline.start()
    const first = await untilPaused(pair, running)
    await running.until(async () => (await untilPaused(pair, running)) !== first, 'it to be further')
    expect((await rowsOf(pair.target, 'log')).length).toBeGreaterThan(0)
    await terminateWriter(pair)
    await running.ended
    expect(running.events[0]).toMatchObject({ type: 'sink-retrying' })
  }
  await expectSame(pair)
  await using again = pipeline.start()
  await again.ended
  expect(await rowsOf(pair.target, 'orders')).toEqual(await rowsOf(pair.source, 'orders'))
  expect(await rowsOf(pair.target, 'log')).toHaveLength(60_000)
})

test('a row that the target rejects ends the pipeline with its key, nothing is skipped; or it is put aside', async () => {
  const targetSql = `${TABLES}; ALTER TABLE orders ADD CHECK (note <> 'bad')`
  for (const setting of ['stop', 'dead-letter']) {
    await using pair = await databasePair(server, TABLES, targetSql)
    await using pipeline = await pipelineOf(pair, `{copy: {${COPY}, source: own, on_error: ${setting}}}`)
    const insert = "INSERT INTO orders VALUES (1, 'a', 'good'), (2, 'b', 'bad'), (3, 'c', 'good')"
    await pair.source.query(insert)
    if (setting === 'dead-letter') {
      await using running = pipeline.start()
      await running.until(async () => (await rowsOf(pair.target, 'orders')).length === 2, 'the others')
      const letters = await pair.target.query('SELECT source, record FROM tailrace.dead_letter')
      expect(letters).toMatchObject([{ source: 'own', record: { key: { id: 2 } } }])
      await running.stop()
      continue
    }
    {
      await using running = pipeline.start()
      await expect(running.ended).rejects.toMatchObject({ code: 'ROW_REJECTED', message: /of id=2/ })
      expect(running.events).toMatchObject([{ type: 'sink-failed', sink: 'copy' }])
      expect(await rowsOf(pair.target, 'orders')).toEqual([])
    }
    await pair.target.query('ALTER TABLE orders DROP CONSTRAINT orders_note_check')
    await using running = pipeline.start()
    await running.until(() => isSame(pair), 'all rows')
    await running.stop()
  }
})

test('another writer under the same name ends the pipeline, whatever its policy; the next start takes over', async () => {
  await using pair = await databasePair(server, TABLES)
  await using pipeline = await pipelineOf(pair, `{copy: {${COPY}, on_error: retry}}`)
  {
    await using running = pipeline.start()
    await pair.source.query('INSERT INTO orders VALUES (1)')
    await running.until(async () => running.streaming && (await isSame(pair)), 'the row')
    await using other = new PostgresDestination({ url: pair.target.url, source: 'shop' })
    await other.open()
    await pair.source.query('INSERT INTO orders VALUES (2)')
    await expect(running.ended).rejects.toMatchObject({ code: 'DESTINATION_FENCED' })
    expect(await rowsOf(pair.target, 'orders')).toHaveLength(1)
  }
  await using running = pipeline.start()
  await running.until(() => isSame(pair), 'the other row')
  await running.stop()
})

test('a target that was put back to an earlier state, or lost its checkpoint, is not gone on with', async () => {
  await using pair = await databasePair(server, TABLES)
  await using pipeline = await pipelineOf(pair, `{copy: {${COPY}}}`)
  const runWith = async (id: number) => {
    await using running = pipeline.start()
    await pair.source.query(`INSERT INTO orders VALUES (${id})`)
    await running.until(async () => running.streaming && (await isSame(pair)), 'the row')
    await running.stop()
    const [row] = await pair.target.query<{ position: object }>('SELECT position FROM tailrace.checkpoint')
    return row!.position
  }
  const earlier = await runWith(1)
  await runWith(2)
  const refused = async (message: RegExp) => {
    await using running = pipeline.start()
    await expect(running.ended).rejects.toMatchObject({ code: 'OUTPUT_MISMATCH', message })
  }
  await pair.target.query('UPDATE tailrace.checkpoint SET position = $1', [earlier])
  await refused(/"shop" in tailrace\.checkpoint .* stands before what was written/)
  await pair.target.query('DELETE FROM tailrace.checkpoint')
  await refused(/is gone, and there was one/)
})
