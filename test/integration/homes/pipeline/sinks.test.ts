import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import { CONNECTION_LOST, OUTPUT_FAILED } from '../../../../src/core/errors.js'
import type { PipelineConfig, SinkConfig } from '../../../../src/homes/pipeline/config/pipelineConfig.js'
import { parseLsn } from '../../../../src/postgres/lsn.js'
import { fileSinkType } from '../../../../src/sinks/file/fileSinkType.js'
import type { FlushOptions, Sink } from '../../../../src/sinks/sink.js'
import type { Batch } from '../../../../src/source/batch.js'
import { StreamPosition } from '../../../../src/source/position.js'
import { type TestDatabase, testDatabase } from '../../../support/database.js'
import { CutSink, RunningPipeline, SendSink, Store, StoringSink, sinkConfig } from '../../../support/pipelineSinks.js'
import { startServer } from '../../../support/servers.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'
import { waitFor } from '../../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const ITEMS =
  "CREATE TABLE items (id int PRIMARY KEY, note text); INSERT INTO items SELECT n, 'row' FROM generate_series(1, 500) n"

/** A pipeline of `items` to these sinks, with its state in a folder of its own. */
async function pipelineOf(db: TestDatabase, ...sinks: readonly SinkConfig[]) {
  db.expectSlots = true
  const folder = await temporaryFolder()
  const config: PipelineConfig = {
    name: 'test',
    statePath: join(folder.path, 'test.state'),
    bufferBytes: 64 * 1024,
    source: { url: db.url, tables: 'items', slot: `p_${db.name}`, existingSlot: 'refuse' },
    sinks,
  }
  return {
    config,
    start: (more: Partial<PipelineConfig> = {}) => new RunningPipeline({ ...config, ...more }),
    state: async () => JSON.parse(await readFile(config.statePath, 'utf8')),
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
  }
}

async function confirmed(db: TestDatabase): Promise<bigint> {
  const [row] = await db.query<{ lsn: string }>(
    'SELECT confirmed_flush_lsn AS lsn FROM pg_replication_slots WHERE database = current_database()',
  )
  return parseLsn(row!.lsn)!
}

const insert = (db: TestDatabase, from: number, to: number) =>
  db.query(`INSERT INTO items SELECT n, repeat('x', 100) FROM generate_series(${from}, ${to}) n`)

function onceEach(ids: readonly string[]): void {
  expect(new Set(ids).size).toBe(ids.length)
}

test('a slow sink and one that is down for a while get every record once, in order; the slot waits for both', async () => {
  await using db = await testDatabase(server, ITEMS)
  const [slow, failing] = [new Store(), new Store()]
  await using pipeline = await pipelineOf(
    db,
    sinkConfig('slow', () => new CutSink(slow)),
    sinkConfig('failing', () => new CutSink(failing)),
  )
  await using running = pipeline.start()
  await running.until(
    () => slow.durable.length === 500 && failing.durable.length === 500 && running.streaming,
    'the rows',
  )
  slow.beforeWrite = () => sleep(20)
  failing.beforeWrite = () => {
    throw CONNECTION_LOST({ to: 'the receiver', problem: 'it is gone' })
  }
  await insert(db, 501, 600)
  await running.until(() => slow.durable.length === 600, 'the slow one to have them')
  const behind = (await db.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn'))[0]!.lsn
  // Far more than what may wait: then the slow one waits, too.
  await insert(db, 601, 8600)
  await running.until(() => running.events.filter(({ type }) => type === 'sink-retrying').length >= 3, 'three tries')
  await sleep(300)
  expect(slow.written.length).toBeLessThan(6000)
  expect(await confirmed(db)).toBeLessThan(parseLsn(behind)!)
  failing.beforeWrite = () => {}
  slow.beforeWrite = () => {}
  await running.until(() => slow.durable.length === 8600 && failing.durable.length === 8600, 'both to have all')
  onceEach(slow.durable)
  expect(failing.durable).toEqual(slow.durable)
  expect(running.events.at(-1)).toMatchObject({ type: 'sink-recovered', sink: 'failing' })
  const { sinks, tables } = await running.stop()
  expect([tables.get('public.items'), sinks.map(({ records }) => records)]).toEqual([8600, [8600, 8600]])
  expect(await confirmed(db)).toBeGreaterThan(parseLsn(behind)!)
})

test('after a failure the sink that was behind gets what it is missing, and the other one nothing twice', async () => {
  await using db = await testDatabase(server, ITEMS)
  const [ahead, behind] = [new Store(), new Store()]
  await using pipeline = await pipelineOf(
    db,
    sinkConfig('ahead', () => new SendSink(ahead)),
    sinkConfig('behind', () => new SendSink(behind)),
  )
  {
    // Rows may come one by one, and each counts for a kilobyte: none is to wait for the sink that hangs.
    await using running = pipeline.start({ bufferBytes: 1024 * 1024 })
    await running.until(() => ahead.durable.length === 500 && running.streaming, 'the rows')
    await sleep(400)
    let held = true
    behind.beforeWrite = async () => {
      while (held) await sleep(5)
      throw OUTPUT_FAILED({ name: 'the receiver', problem: 'no space', errno: 'ENOSPC' })
    }
    for (let n = 0; n < 10; n++) await insert(db, 501 + n * 20, 520 + n * 20)
    const mark = async () => (await pipeline.state()).sinks.ahead.mark.count
    await running.until(() => ahead.durable.length === 700, 'one of them to have all')
    while ((await mark()) < 700) await sleep(20)
    held = false
    await expect(running.ended).rejects.toMatchObject({ code: 'OUTPUT_FAILED' })
    expect(running.events.at(-1)).toMatchObject({ type: 'sink-failed', sink: 'behind' })
    expect(behind.durable.length).toBe(500)
  }
  behind.beforeWrite = () => {}
  await using running = pipeline.start()
  await insert(db, 1001, 1010)
  await running.until(() => ahead.durable.length >= 710 && behind.durable.length >= 710, 'both to have all')
  await running.stop()
  expect(ahead.written).toEqual(behind.written)
  onceEach(ahead.written)
})

test('a sink that keeps its position with the data decides itself what it gets', async () => {
  await using db = await testDatabase(server, ITEMS)
  const [storing, file] = [new Store(), new Store()]
  await using pipeline = await pipelineOf(
    db,
    sinkConfig('storing', () => new StoringSink(storing), { onError: 'retry' }),
    sinkConfig('file', () => new CutSink(file)),
  )
  {
    await using running = pipeline.start()
    await running.until(() => file.durable.length === 500 && running.streaming, 'the rows')
    await sleep(400)
    file.beforeFlush = () => {
      throw OUTPUT_FAILED({ name: 'the file', problem: 'no space', errno: 'ENOSPC' })
    }
    // It fails behind what it has done, as a commit does whose answer is lost.
    let fails = 3
    storing.beforeWrite = () => {
      if (storing.written.length > 510 && fails-- > 0) throw new Error('who knows')
    }
    await insert(db, 501, 510)
    await insert(db, 511, 600)
    await expect(running.ended).rejects.toMatchObject({ code: 'OUTPUT_FAILED' })
  }
  file.beforeFlush = () => {}
  await using running = pipeline.start()
  await insert(db, 601, 610)
  await running.until(() => file.durable.length === 610 && storing.durable.length >= 610, 'both to have all')
  await running.stop()
  expect(storing.written).toEqual(file.durable)
  onceEach(storing.written)
})

test('a sink that fails within a snapshot: nobody goes on from another place than the rest', async () => {
  await using db = await testDatabase(
    server,
    `${ITEMS}; INSERT INTO items SELECT n, repeat('x', 200) FROM generate_series(501, 40000) n`,
  )
  const [one, other] = [new Store(), new Store()]
  await using pipeline = await pipelineOf(
    db,
    sinkConfig('one', () => new CutSink(one)),
    sinkConfig('other', () => new CutSink(other)),
  )
  one.beforeWrite = () => sleep(5)
  other.beforeWrite = async () => {
    await sleep(5)
    if (other.written.length > 15_000) throw OUTPUT_FAILED({ name: 'it', problem: 'no space', errno: 'ENOSPC' })
  }
  {
    await using running = pipeline.start()
    await expect(running.ended).rejects.toMatchObject({ code: 'OUTPUT_FAILED' })
  }
  const { sinks } = await pipeline.state()
  expect(sinks.one.position).toEqual(sinks.other.position)
  expect(sinks.one.mark).toEqual(sinks.other.mark)
  one.beforeWrite = other.beforeWrite = () => {}
  await using running = pipeline.start()
  await running.until(() => running.streaming && one.durable.length >= 40_000, 'all rows')
  await insert(db, 40_001, 40_010)
  await running.until(() => one.durable.length >= 40_010 && other.durable.length >= 40_010, 'both to have all')
  await running.stop()
  // Chunks are read in any order, but all get them in the same one.
  expect(other.durable).toEqual(one.durable)
  onceEach(one.durable)
  expect(one.durable.length).toBe(40_010)
})

const broken = () => {
  throw OUTPUT_FAILED({ name: 'it', problem: 'no space', errno: 'ENOSPC' })
}

test.each<readonly [what: string, breaks: (storing: Store, file: Store) => void]>([
  [
    'it ends behind a commit that was not recorded',
    (storing) => {
      storing.afterStored = () => {
        if (storing.durable.length > 15_000) broken()
      }
    },
  ],
  [
    'the other one ends when it has more',
    (_, file) => {
      file.beforeFlush = () => {
        if (file.durable.length > 15_000) broken()
      }
    },
  ],
  [
    'it ends on the way to what it has not committed',
    (storing) => {
      storing.beforeWrite = () => {
        if (storing.durable.length > 15_000) broken()
      }
    },
  ],
])(
  'one that keeps its position, beside another within a snapshot: %s, and both go on with every row once',
  async (_, breaks) => {
    await using db = await testDatabase(
      server,
      `${ITEMS}; INSERT INTO items SELECT n, repeat('x', 200) FROM generate_series(501, 40000) n`,
    )
    const [storing, file] = [new Store(), new Store()]
    await using pipeline = await pipelineOf(
      db,
      sinkConfig('file', () => new CutSink(file)),
      sinkConfig('storing', () => new StoringSink(storing)),
    )
    breaks(storing, file)
    {
      await using running = pipeline.start()
      await expect(running.ended).rejects.toMatchObject({ code: 'OUTPUT_FAILED' })
      expect([running.streaming, storing.durable.length > 10_000]).toEqual([false, true])
    }
    storing.afterStored = storing.beforeWrite = file.beforeFlush = () => {}
    await using running = pipeline.start()
    await running.until(() => running.streaming && storing.durable.length >= 40_000, 'all rows')
    await insert(db, 40_001, 40_010)
    await running.until(() => storing.durable.length >= 40_010 && file.durable.length >= 40_010, 'both to have all')
    await running.stop()
    expect(file.durable).toEqual(storing.durable)
    onceEach(storing.durable)
    expect(storing.durable.length).toBe(40_010)
  },
)

test('a sink that loses an open transaction, of batches that nobody keeps: all begins again where it stands', async () => {
  await using db = await testDatabase(
    server,
    "CREATE TABLE items (n int, note text); INSERT INTO items SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n",
  )
  const [storing, file] = [new Store(), new Store()]
  await using pipeline = await pipelineOf(
    db,
    sinkConfig('storing', () => new StoringSink(storing), { onError: 'retry' }),
    sinkConfig('file', () => new CutSink(file)),
  )
  let fails = 1
  storing.beforeWrite = async () => {
    await sleep(5)
    // By then barriers have let go of batches.
    if (storing.written.length > 12_000 && fails-- > 0) throw new Error('the connection is lost')
  }
  const config = { ...pipeline.config, source: { ...pipeline.config.source, keyless: 'inserts' as const } }
  await using running = new RunningPipeline(config)
  await running.until(
    () => storing.durable.length >= 20_000 && file.durable.length >= 20_000 && running.streaming,
    'all',
  )
  await db.query("INSERT INTO items VALUES (0, 'x')")
  await running.until(() => storing.durable.length >= 20_001 && file.durable.length >= 20_001, 'the last')
  expect([storing.durable.length, file.durable.length]).toEqual([20_001, 20_001])
  expect(storing.written.length).toBeGreaterThan(30_000)
  expect(running.events).toMatchObject([{ type: 'sink-retrying' }])
})

test('of two sinks that store their places none has rows before both have the beginning, else they could not begin anew', async () => {
  await using db = await testDatabase(server, ITEMS)
  const [one, other] = [new Store(), new Store()]
  await using pipeline = await pipelineOf(
    db,
    sinkConfig('one', () => new StoringSink(one)),
    sinkConfig('other', () => new StoringSink(other)),
  )
  let fails = true
  other.beforeWrite = async ({ length, position }) => {
    const isBegun = length > 0 || !StreamPosition.parse(position).beginsAnew
    // The other one has the time to be ahead.
    if (isBegun && fails) await sleep(300)
    if (isBegun && fails) throw OUTPUT_FAILED({ name: 'it', problem: 'no space', errno: 'ENOSPC' })
  }
  await using first = pipeline.start()
  await expect(first.ended).rejects.toMatchObject({ code: 'OUTPUT_FAILED' })
  expect([one.position, other.position]).toMatchObject([{ snapshot: { tables: [{}] } }, { snapshot: { intent: true } }])
  expect(one.durable).toEqual([])
  fails = false
  await using running = pipeline.start()
  await running.until(() => one.durable.length === 500 && other.durable.length === 500 && running.streaming, 'all rows')
  await running.stop()
  expect(one.durable).toEqual(other.durable)
  onceEach(one.durable)
})

test('retries have an end where one is set, and a stop does not wait for them', async () => {
  await using db = await testDatabase(server, ITEMS)
  const store = new Store()
  const broken = () => {
    throw CONNECTION_LOST({ to: 'the receiver', problem: 'it is gone' })
  }
  store.beforeWrite = broken
  const retry = { firstMs: 5, maxMs: 10, attempts: 3 }
  await using pipeline = await pipelineOf(
    db,
    sinkConfig('a', () => new CutSink(store), { retry }),
  )
  {
    await using running = pipeline.start()
    await expect(running.ended).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    expect(running.events.map(({ type }) => type)).toEqual([...Array(3).fill('sink-retrying'), 'sink-failed'])
  }
  const patient = sinkConfig('a', () => new CutSink(store), { retry: { firstMs: 60_000, maxMs: 60_000, attempts: 0 } })
  const config = { ...pipeline.config, sinks: [patient] }
  {
    await using running = new RunningPipeline(config)
    await running.until(() => running.events.length === 1, 'it to wait')
    expect((await running.stop()).sinks).toMatchObject([{ records: 0 }])
  }
  store.beforeWrite = () => {}
  await using running = new RunningPipeline(config)
  await running.until(() => store.durable.length === 500, 'the rows')
})

test('a sink that is new to the state is refused, one that is gone is forgotten; two runs have not one state', async () => {
  await using db = await testDatabase(server, ITEMS)
  const [a, b] = [new Store(), new Store()]
  const [sinkA, sinkB] = [sinkConfig('a', () => new CutSink(a)), sinkConfig('b', () => new CutSink(b))]
  await using pipeline = await pipelineOf(db, sinkA, sinkB)
  {
    await using running = pipeline.start()
    await running.until(() => a.durable.length === 500 && running.streaming, 'the rows')
    await running.stop()
  }
  {
    await using running = new RunningPipeline({ ...pipeline.config, sinks: [sinkA] })
    await running.until(() => running.streaming, 'it to stream')
    expect(running.events).toEqual([{ type: 'sink-gone', sink: 'b' }])
    await insert(db, 501, 501)
    await running.until(() => a.recorded.some((mark) => (mark as { count: number }).count === 501), 'the row')
  }
  await using running = pipeline.start()
  await expect(running.ended).rejects.toMatchObject({ code: 'STATE_MISMATCH', message: /knows nothing of the sink b/ })
})

test('what is due though nothing comes: a file that is old enough ends, also right after a restart', async () => {
  await using db = await testDatabase(server, ITEMS)
  const settings = { path: 'items-{number}.ndjson', format: 'ndjson', gzip: false, rotateSeconds: 3 }
  await using folder = await temporaryFolder()
  const file = sinkConfig('file', () =>
    fileSinkType.create(settings, { folder: folder.path, pipeline: 'test', sink: 'file' }),
  )
  await using pipeline = await pipelineOf(db, file)
  const named = async () => (await readdir(folder.path)).filter((name) => name.endsWith('.ndjson'))
  {
    // It is killed, so to say: nothing is completed at its end.
    const config = { ...pipeline.config, sinks: [file, sinkConfig('other', () => new CutSink(failing))] }
    const failing = new Store()
    await using running = new RunningPipeline(config)
    await running.until(() => failing.recorded.some((mark) => (mark as { count: number }).count === 500), 'the rows')
    failing.beforeWrite = () => {
      throw new Error('it is broken')
    }
    await insert(db, 501, 501)
    await expect(running.ended).rejects.toThrow('it is broken')
    expect(await named()).toEqual([])
  }
  await using running = pipeline.start()
  await running.until(() => running.streaming, 'it to stream')
  await waitFor(async () => (await named()).length === 1, { what: 'the file to end', timeoutMs: 15_000 })
  const lines = (await readFile(join(folder.path, 'items-000001.ndjson'), 'utf8')).trimEnd().split('\n')
  expect([500, 501]).toContain(lines.length)
})

test('records that a sink keeps stay what they were, beside one that lets go of them', async () => {
  // Several times the memory that rows of a snapshot are put into.
  await using db = await testDatabase(
    server,
    'CREATE TABLE items (id int PRIMARY KEY, note text); INSERT INTO items SELECT n, repeat(n::text, 30) FROM generate_series(1, 20000) n',
  )
  const kept: Batch[] = []
  const keeping: Sink = {
    open: async () => {},
    write: async (batch) => void kept.push(batch),
    flush: async () => null,
    close: async () => {},
  }
  await using pipeline = await pipelineOf(
    db,
    sinkConfig('keeping', () => keeping),
    sinkConfig('releasing', () => Object.assign(new CutSink(new Store()), { releasesBatches: true })),
  )
  await using running = pipeline.start()
  const count = () => kept.reduce((sum, { length }) => sum + length, 0)
  await running.until(() => count() === 20_000 && running.streaming, 'the rows')
  await db.query('UPDATE items SET note = repeat((-id)::text, 30)')
  await running.until(() => count() === 40_000, 'the changes')
  await running.stop()
  const found = kept.flatMap((batch) =>
    [...batch].map((record) => {
      if (record.operation !== 'snapshot' && record.operation !== 'update') throw new Error(record.operation)
      return record.after.toObject() as { id: number; note: string }
    }),
  )
  const wrong = found.findIndex(({ id, note }, index) => note !== String(index < 20_000 ? id : -id).repeat(30))
  expect([found.length, found[wrong]]).toEqual([40_000, undefined])
})

test('a file of much is made durable, and recorded, a few times a second, however often memory is to be let go of', async () => {
  await using db = await testDatabase(server, ITEMS)
  const store = new Store()
  const flushes: boolean[] = []
  class CountingSink extends CutSink {
    override flush(options: FlushOptions = { end: false }) {
      flushes.push(options.durable !== false)
      return super.flush()
    }
  }
  await using pipeline = await pipelineOf(
    db,
    sinkConfig('counting', () => new CountingSink(store)),
  )
  await insert(db, 501, 20_000)
  const begun = performance.now()
  await using running = pipeline.start()
  await running.until(() => store.durable.length === 20_000 && running.streaming, 'the rows')
  const lasted = performance.now() - begun
  await running.stop()
  expect(flushes.filter((durable) => !durable).length).toBeGreaterThan(5)
  // One a 200 ms, one where the snapshot begins and one where it ends, and those at the end of the run.
  expect(flushes.filter((durable) => durable).length).toBeLessThan(6 + lasted / 100)
  onceEach(store.durable)
})
