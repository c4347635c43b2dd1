import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { PositionJson } from '../../../src/core/record.js'
import type { DestinationOptions } from '../../../src/destination/options.js'
import type { PostgresDestination } from '../../../src/destination/postgresDestination.js'
import type { Batch } from '../../../src/source/batch.js'
import { StreamPosition } from '../../../src/source/position.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'
import { asking } from '../../support/asking.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const ROWS = 20_000
const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, note text)'
const LOG = 'CREATE TABLE log (n int, note text)'
/** About 1,600 rows a batch. */
const fill = (table: string, column: string, rows = ROWS) =>
  `INSERT INTO ${table} (${column}, note) SELECT i, repeat('x\\', 75) FROM generate_series(1, ${rows}) i`

/** On the target: which processes write rows. */
const WRITERS = `
  CREATE TABLE writers (pid int);
  CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.writers SELECT pg_backend_pid(); RETURN NULL;
  END $$;
  CREATE TRIGGER noted AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION noted();
  ALTER TABLE t ENABLE ALWAYS TRIGGER noted`

/** Up to where what is open has written. */
const positions = new WeakMap<PostgresDestination, PositionJson>()

interface RunOptions {
  readonly destination?: Partial<DestinationOptions>
  readonly tables?: string
  /** Open already, if it was used before. */
  readonly writing?: PostgresDestination
  /** Called before each batch is written. */
  readonly onBatch?: (index: number, writing: PostgresDestination) => Promise<unknown> | undefined
}

/** A run that tells of the batches to come, as a pipeline does. Ends with the last of the snapshot. */
async function run(
  pair: Replication,
  { destination, tables = 't', onBatch, ...given }: RunOptions = {},
): Promise<void> {
  await using own = given.writing === undefined ? pair.destination(destination) : undefined
  const writing = own ?? given.writing!
  const position = positions.has(writing) ? positions.get(writing) : await writing.open()
  await using reading = new PostgresSource({
    ...{ url: pair.from.url, tables, slot: pair.from.name, until: 'current', position, keyless: 'inserts' },
    snapshotWorkers: 1,
  })
  const waiting: Batch[] = []
  let index = 0
  const write = async () => {
    const [first, ...others] = waiting
    if (first === undefined) return
    await onBatch?.(index++, writing)
    const written = writing.write(first)
    written.catch(() => {})
    await new Promise(setImmediate)
    for (const other of others) if (!told.has(other)) writing.prepare(other)
    for (const other of others) told.add(other)
    if (await written) await first.ack()
    positions.set(writing, first.position.toJSON())
    waiting.shift()
  }
  const told = new Set<Batch>()
  const asks = asking()
  for await (const batch of reading) {
    waiting.push(batch)
    // What is made on the server follows the acknowledgement of the first.
    if (waiting.length > 2 || batch.length === 0) await write()
    if (asks(batch)) while (waiting.length > 0) await write()
  }
  while (waiting.length > 0) await write()
}

async function recordedRows(pair: Replication): Promise<number | undefined> {
  const [row] = await pair.to.query<{ position: unknown }>('SELECT position FROM tailrace.checkpoint')
  return StreamPosition.parse(row!.position).place.snapshot?.rows
}

async function expectSame(pair: Replication, ...tables: string[]): Promise<void> {
  for (const table of tables) expect(await rowsOf(pair.to, table)).toEqual(await rowsOf(pair.from, table))
}

async function countOf(pair: Replication, table: string): Promise<number> {
  const [row] = await pair.to.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${table}`)
  return row!.rows
}

const writers = async (pair: Replication) => (await pair.to.query('SELECT DISTINCT pid FROM writers')).length

test.each([
  [1, 1],
  [2, 3],
  [3, 4],
])(
  'with copyConnections: %i batches are copied by %i processes, and all rows are there',
  async (copyConnections, expected) => {
    await using pair = await Replication.between(server, server, 't', TABLE, `${TABLE}; ${WRITERS}`)
    await pair.from.query(fill('t', 'id'))
    await run(pair, { destination: { copyConnections } })
    // The first batch is written by the connection that finds out about the table.
    expect(await writers(pair)).toBe(expected)
    await expectSame(pair, 't')
  },
)

test('the connections are let go of when the first copy is over', async () => {
  await using pair = await Replication.between(server, server, 't', TABLE)
  await pair.from.query(fill('t', 'id'))
  await using writing = pair.destination()
  const sessions = async () => {
    const rows = await pair.from.query(
      "SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tailrace'",
      [pair.to.name],
    )
    return rows.length
  }
  const counts: number[] = []
  await run(pair, { writing, onBatch: async () => counts.push(await sessions()) })
  expect(Math.max(...counts)).toBe(3)
  for (let change = 0; change < 17; change++) {
    await pair.from.query(`UPDATE t SET note = '${change}' WHERE id = 1`)
    await run(pair, { writing })
  }
  await waitFor(async () => (await sessions()) === 1, { what: 'one connection to be left' })
  await expectSame(pair, 't')
})

test('what is told of while the target is looked at is copied as it came', async () => {
  await using pair = await Replication.between(server, server, 't', TABLE)
  await pair.from.query(fill('t', 'id', 6000))
  const other = await pair.to.connect()
  await using writing = pair.destination()
  await using reading = new PostgresSource({
    ...{ url: pair.from.url, tables: 't', slot: pair.from.name, position: await writing.open(), snapshotWorkers: 1 },
  })
  const batches: Batch[] = []
  for await (const batch of reading) {
    if (batch.length === 0 && (await writing.write(batch))) await batch.ack()
    if (batch.length > 0 && batches.push(batch) === 2) break
  }
  // Its catalog can be read, but not whether it has rows.
  await other.query('BEGIN; LOCK TABLE t')
  const written = writing.write(batches[0]!)
  const waits = "SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
  await waitFor(async () => (await pair.from.query(waits, [pair.to.name])).length > 0, { what: 'it to wait' })
  writing.prepare(batches[1]!)
  await other.query('COMMIT')
  await written
  expect(batches[1]!.rows.areLines).toBe(true)
})

describe('what is committed is a beginning of the stream', () => {
  test('when a row is rejected behind copies that are under way; mended the same command goes on', async () => {
    await using pair = await Replication.between(
      server,
      server,
      't',
      TABLE,
      `${TABLE}; ALTER TABLE t ADD CHECK (id <> 9000)`,
    )
    await pair.from.query(fill('t', 'id'))
    const failure = await failureOf(run(pair))
    expect(failure).toMatchObject({ code: 'ROW_REJECTED', message: expect.stringContaining('id=9000') })
    const [found] = await pair.to.query<{ rows: number; last: number }>(
      'SELECT count(*)::int AS rows, max(id) AS last FROM t',
    )
    const { rows, last } = found!
    expect(rows).toBeGreaterThan(5000)
    expect([last, await recordedRows(pair)]).toEqual([rows, rows])
    await pair.to.query('ALTER TABLE t DROP CONSTRAINT t_id_check')
    await run(pair)
    await expectSame(pair, 't')
  })

  test('when another writer takes over in between', async () => {
    await using pair = await Replication.between(server, server, 't', TABLE)
    await pair.from.query(fill('t', 'id'))
    await using other = pair.destination()
    let taken: number | undefined
    const takeOver = async (index: number) => {
      if (index === 6) taken = StreamPosition.parse(await other.open()).place.snapshot?.rows
    }
    const failure = await failureOf(run(pair, { onBatch: takeOver }))
    expect(failure).toMatchObject({ code: 'DESTINATION_FENCED' })
    // Of a machine that has much to do just the first batch.
    expect(taken).toBeGreaterThan(0)
    // Two batches were there already, and nothing of them counts.
    expect([await countOf(pair, 't'), await recordedRows(pair)]).toEqual([taken, taken])
    await other.close()
    await run(pair)
    await expectSame(pair, 't')
  })

  test.each([0, 1, 2])(
    'when connection no. %i is ended meanwhile, with a table without a key beside it',
    async (victim) => {
      await using pair = await Replication.between(server, server, 't,log', `${TABLE}; ${LOG}`)
      await pair.from.query(`${fill('t', 'id')}; ${fill('log', 'n')}`)
      let ended = 0
      const end = async () => {
        const ours = await pair.from.query<{ pid: number }>(
          "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tailrace' ORDER BY backend_start",
          [pair.to.name],
        )
        if (ended > 0 || ours.length < 3) return
        ended++
        await pair.from.query('SELECT pg_terminate_backend($1)', [ours[victim]!.pid])
      }
      await run(pair, { tables: 't,log', onBatch: end })
      expect(ended).toBe(1)
      await expectSame(pair, 't', 'log')
    },
  )
})

test('16 batches behind a lost connection are written one after another, 32 behind the next, then several are copied again', async () => {
  await using pair = await Replication.between(server, server, 't', TABLE, `${TABLE}; ${WRITERS}`)
  await pair.from.query(fill('t', 'id', 80_000))
  let ended = 0
  const seen = new Set<number>()
  const end = async () => {
    const copying = await pair.from.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tailrace'
        ORDER BY backend_start OFFSET 1`,
      [pair.to.name],
    )
    const fresh = copying.map(({ pid }) => pid).filter((pid) => !seen.has(pid))
    if (fresh.length < 2 || ended === 2) return
    for (const pid of fresh) seen.add(pid)
    ended++
    await pair.from.query('SELECT pg_terminate_backend($1)', [fresh[0]])
  }
  await run(pair, { onBatch: end })
  const pids = (await pair.to.query<{ pid: number }>('SELECT pid FROM writers')).map(({ pid }) => pid)
  const main = pids[0]!
  const alone = pids
    .map((pid) => (pid === main ? 'm' : 'c'))
    .join('')
    .match(/m{9,}/g)
  // The batch that failed itself, too.
  expect(alone?.map(({ length }) => length)).toEqual([17, 33])
  expect(new Set(pids.slice(-9)).size).toBe(2)
  await expectSame(pair, 't')
})

test('copies that wait for one another in a way that no server sees are written one after another', async () => {
  // Each copy ends with an UPDATE of the same row, and one of them is so slow that the next is there before it.
  const COUNTED = `
    CREATE TABLE counted (n int); INSERT INTO counted VALUES (0);
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.7); RETURN NEW; END $$;
    CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE public.counted SET n = n + 1; RETURN NULL; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id = 6000) EXECUTE FUNCTION slow();
    CREATE TRIGGER counts AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION counts();
    ALTER TABLE t ENABLE ALWAYS TRIGGER slow; ALTER TABLE t ENABLE ALWAYS TRIGGER counts`
  await using pair = await Replication.between(server, server, 't', TABLE, `${TABLE}; ${WRITERS}; ${COUNTED}`)
  await pair.from.query(fill('t', 'id'))
  await run(pair)
  await expectSame(pair, 't')
  expect(await rowsOf(pair.to, 'counted')).toEqual([`(${await countOf(pair, 'writers')})`])
})

test('rows that only come after those of the batch before them are written behind it', async () => {
  const PARENT = 'CREATE TABLE t (id int PRIMARY KEY, note text, parent int)'
  await using pair = await Replication.between(
    server,
    server,
    't',
    PARENT,
    `${PARENT}; ALTER TABLE t ADD FOREIGN KEY (parent) REFERENCES t`,
  )
  await pair.from.query(`${fill('t', 'id')}; UPDATE t SET parent = nullif(greatest(id - 3000, 0), 0)`)
  await run(pair, { destination: { replicationRole: 'origin' } })
  await expectSame(pair, 't')
})
