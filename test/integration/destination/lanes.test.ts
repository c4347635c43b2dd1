import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { PostgresDestination } from '../../../src/destination/postgresDestination.js'
import { parseLsn } from '../../../src/postgres/lsn.js'
import { Batch } from '../../../src/source/batch.js'
import { StreamPosition } from '../../../src/source/position.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'
import { Random } from '../../chaos/random.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLES = `
  CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE TABLE single (id int PRIMARY KEY, n int, big text);
  CREATE TABLE composite (a text, b int, n int, PRIMARY KEY (a, b));
  CREATE TABLE odd (id text COLLATE insensitive PRIMARY KEY, n int);
  CREATE TABLE uniq (id int PRIMARY KEY, u int UNIQUE);
  CREATE TABLE parent (id int PRIMARY KEY, n int);
  CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, n int);
  CREATE TABLE parts (id int, n int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
  CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (500);
  CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (500) TO (MAXVALUE);
  CREATE TABLE log (n int, note text);
  ALTER TABLE single ALTER big SET STORAGE EXTERNAL`
const NAMES = ['single', 'composite', 'odd', 'uniq', 'parent', 'child', 'parts', 'log']
const ROWS = 1000
const FILL = `
  INSERT INTO single SELECT i, 0, CASE WHEN i % 10 = 0 THEN repeat('x', 2500) END FROM generate_series(1, ${ROWS}) i;
  INSERT INTO composite SELECT 'k' || i % 3, i, 0 FROM generate_series(1, ${ROWS}) i;
  INSERT INTO odd SELECT 'k' || i, 0 FROM generate_series(1, ${ROWS}) i;
  INSERT INTO uniq SELECT i, i FROM generate_series(1, ${ROWS}) i;
  INSERT INTO parent SELECT i, 0 FROM generate_series(1, ${ROWS}) i;
  INSERT INTO child SELECT i, i, 0 FROM generate_series(1, ${ROWS}) i;
  INSERT INTO parts SELECT i, 0 FROM generate_series(1, ${ROWS}) i;
  INSERT INTO log VALUES (0, 'first')`

/** Every table, so that a batch has rows of all. */
const touch = (n: number) => `
  UPDATE single SET n = ${n}; UPDATE composite SET n = ${n}; UPDATE odd SET n = ${n}; UPDATE parts SET n = ${n};
  UPDATE uniq SET u = -u; UPDATE parent SET n = ${n}; UPDATE child SET n = ${n}; INSERT INTO log VALUES (${n}, 'touched')`

const SOURCE = { keyless: 'inserts' } as const

async function copied(tables: readonly string[] = NAMES, targetSql = ''): Promise<Replication> {
  const pair = await Replication.between(server, server, tables.join(), TABLES, `${TABLES}; ${targetSql}`)
  await pair.from.query(FILL)
  await pair.run({ source: SOURCE })
  return pair
}

async function expectSame(pair: Replication, tables: readonly string[] = NAMES): Promise<void> {
  for (const table of tables) expect(await rowsOf(pair.to, table), table).toEqual(await rowsOf(pair.from, table))
}

/** Writes what each of these changes at the source as one batch. */
async function write(
  pair: Replication,
  writing: PostgresDestination,
  changes: readonly string[],
  onBatch: (index: number) => Promise<unknown> | undefined = () => undefined,
): Promise<void> {
  const position = await writing.open()
  await using reading = new PostgresSource({
    ...{ url: pair.from.url, tables: NAMES, slot: pair.from.name, position, ...SOURCE },
  })
  const batches = reading[Symbol.asyncIterator]()
  for (const [index, sql] of changes.entries()) {
    const [row] = await pair.from.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')
    await pair.from.query(sql)
    const list: Batch[] = []
    const isWhole = () => {
      const { lsn, end } = StreamPosition.parse(list.at(-1)!.position).place
      return list.some(({ length }) => length > 0) && end !== undefined && lsn >= parseLsn(row!.lsn)!
    }
    do list.push((await batches.next()).value as Batch)
    while (!isWhole())
    await onBatch(index)
    const batch = Batch.join(list)
    if (await writing.write(batch)) await batch.ack()
  }
}

/** How many of the target's transactions wrote the rows that a table has now. */
async function writersOf(pair: Replication): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const table of NAMES) {
    const [row] = await pair.to.query<{ writers: number }>(
      `SELECT count(DISTINCT xmin::text)::int AS writers FROM ${table} ${table === 'log' ? 'WHERE n = 2' : ''}`,
    )
    found[table] = row!.writers
  }
  return found
}

/** By lane, how many versions it is ahead of the checkpoint. */
async function ahead(pair: Replication): Promise<Record<string, number>> {
  const [made] = await pair.to.query<{ there: boolean }>("SELECT to_regclass('tailrace.lane') IS NOT NULL AS there")
  if (!made!.there) return {}
  const rows = await pair.to.query<{ lane: number; ahead: number }>(
    `SELECT l.lane, greatest((l.version - c.version)::int, 0) AS ahead
       FROM tailrace.lane l JOIN tailrace.checkpoint c USING (source) ORDER BY 1`,
  )
  return Object.fromEntries(rows.map(({ lane, ahead }) => [lane, ahead]))
}

const endWriters = (pair: Replication, which = 'true') =>
  pair.to.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'tailrace' AND ${which}`,
  )

/** Leaves the target as a process does that is killed when lanes have their part of a batch, but not the row lane 1 locks. */
async function killed(pair: Replication, applyConnections: number, changes: readonly string[]): Promise<void> {
  const blocker = await pair.to.connect()
  const stop = new AbortController()
  await using writing = pair.destination({ applyConnections, signal: stop.signal })
  const ended = failureOf(
    write(pair, writing, changes, async (index) => {
      // The batches before it tell the session of the tables.
      if (index !== changes.length - 1) return
      await blocker.query('BEGIN')
      await blocker.query('SELECT FROM tailrace.checkpoint FOR UPDATE')
    }),
  )
  await waitFor(async () => Object.values(await ahead(pair)).filter((n) => n === 1).length === applyConnections - 1, {
    what: 'the lanes to be ahead',
  })
  stop.abort(new Error('killed'))
  expect(await ended).toMatchObject({ message: 'killed' })
  await endWriters(pair)
  await blocker.query('ROLLBACK')
}

test('of a batch the tables whose rows meet nothing but themselves are parted by key; all others stay with the position', async () => {
  await using pair = await copied()
  await using writing = pair.destination({ applyConnections: 3 })
  await write(pair, writing, [touch(1), touch(2)])
  // As a replica no foreign key is checked.
  expect(await writersOf(pair)).toEqual({
    single: 3,
    composite: 3,
    odd: 1,
    uniq: 1,
    parent: 3,
    child: 3,
    parts: 3,
    log: 1,
  })
  await expectSame(pair)
  await writing.close()
  await using checking = pair.destination({ applyConnections: 3, replicationRole: 'origin' })
  await write(pair, checking, [touch(1), touch(2)])
  expect(await writersOf(pair)).toMatchObject({ single: 3, parts: 3, parent: 1, child: 1 })
  await checking.close()
  await pair.to.query(`
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER noted BEFORE UPDATE ON uniq FOR EACH ROW EXECUTE FUNCTION noted();
    ALTER TABLE uniq ENABLE ALWAYS TRIGGER noted`)
  await using whole = pair.destination({ applyConnections: 3 })
  await write(pair, whole, [touch(1), touch(2)])
  expect(await writersOf(pair)).toMatchObject({ single: 1, parts: 1, uniq: 1 })
  await expectSame(pair)
})

test.each([1, 2, 5])(
  'killed when lanes are a batch ahead: with applyConnections: %i nothing that they have is written again',
  async (applyConnections) => {
    await using pair = await copied()
    await killed(pair, 3, [touch(1), touch(2)])
    expect(await ahead(pair)).toEqual({ 1: 1, 2: 1 })
    const versions = (table: string) =>
      pair.to.query<{ id: number; xmin: string; n: number }>(`SELECT id, n, xmin::text FROM ${table} ORDER BY id`)
    const before = await versions('single')
    const theirs = before.filter(({ n }) => n === 2)
    expect(theirs.length).toBeGreaterThan(ROWS / 2)
    // In pieces, between which it is killed, too.
    await pair.from.query('UPDATE parent SET n = 3; INSERT INTO log VALUES (3, NULL)')
    let batches = 0
    for (let end = 1; end < 4; end++) {
      const stop = new AbortController()
      const onBatch = async () => {
        if (++batches % 2 === 0) stop.abort(new Error('killed'))
      }
      const failure = await failureOf(
        pair.run({
          onBatch,
          source: { ...SOURCE, maxBytes: 64 * 1024 },
          destination: { applyConnections, signal: stop.signal },
        }),
      )
      if (failure === undefined) break
      expect(failure).toMatchObject({ message: 'killed' })
    }
    await pair.run({ source: SOURCE, destination: { applyConnections } })
    await expectSame(pair)
    const after = new Map((await versions('single')).map(({ id, xmin }) => [id, xmin]))
    for (const { id, xmin } of theirs) expect(after.get(id)).toBe(xmin)
    expect(batches).toBeGreaterThan(2)
  },
)

test('a lane that fails alone leaves its part to the main connection, and those of others as they are', async () => {
  await using pair = await copied()
  const blocker = await pair.to.connect()
  await using writing = pair.destination({ applyConnections: 3 })
  await write(pair, writing, [touch(1), touch(2)], async (index) => {
    if (index === 1) await blocker.query('BEGIN; SELECT FROM tailrace.lane WHERE lane = 1 FOR UPDATE')
    if (index === 1) setTimeout(() => blocker.query('ROLLBACK'), 3000)
  })
  // Lane 2 had its part when lane 1 gave up; all else is of the batch's second try.
  expect(await writersOf(pair)).toMatchObject({ single: 2, uniq: 1 })
  await expectSame(pair)
})

test('a writer that was taken over from writes nothing over any connection', async () => {
  await using pair = await copied()
  await using old = pair.destination({ applyConnections: 3 })
  await using young = pair.destination({ applyConnections: 1 })
  const states = async () => {
    const rows: string[][] = []
    for (const table of NAMES) rows.push(await rowsOf(pair.to, table))
    return JSON.stringify(rows)
  }
  let before = ''
  const failure = await failureOf(
    write(pair, old, [touch(1), touch(2)], async (index) => {
      if (index === 0) return
      await young.open()
      before = await states()
    }),
  )
  expect(failure).toMatchObject({ code: 'DESTINATION_FENCED' })
  expect(await states()).toBe(before)
  expect(await ahead(pair)).toEqual({ 1: 0, 2: 0 })
})

describe('a row that the target rejects', () => {
  const REJECTS = 'ALTER TABLE single ADD CHECK (id <> 777 OR n <> 2)'
  test('is put aside, and told once', async () => {
    await using pair = await copied(NAMES, REJECTS)
    await using writing = pair.destination({ applyConnections: 4, onRejected: 'dead-letter' })
    await write(pair, writing, [touch(1), touch(2), touch(3)])
    expect(await pair.to.query('SELECT target FROM tailrace.dead_letter')).toEqual([{ target: 'public.single' }])
    await expectSame(pair)
  })

  test('stops the run; mended, the same command goes on', async () => {
    await using pair = await copied(NAMES, REJECTS)
    await using writing = pair.destination({ applyConnections: 4 })
    const failure = await failureOf(write(pair, writing, [touch(1), touch(2)]))
    expect(failure).toMatchObject({ code: 'ROW_REJECTED', message: expect.stringContaining('id=777') })
    await writing.close()
    await pair.to.query('ALTER TABLE single DROP CONSTRAINT single_check')
    await pair.run({ source: SOURCE, destination: { applyConnections: 2 } })
    await expectSame(pair)
  })
})

/** One statement of many rows, keys that change among them. */
function drawn(random: Random): string {
  const [n, id, rest] = [random.integer(1, 1e6), random.integer(1, ROWS), random.integer(0, 4)]
  return random.pick([
    `UPDATE single SET n = ${n} WHERE id % 5 <> ${rest}`,
    `UPDATE single SET id = id + 100000 WHERE id BETWEEN ${id} AND ${id + random.integer(0, 3)} AND NOT EXISTS (SELECT FROM single o WHERE o.id = single.id + 100000)`,
    `DELETE FROM single WHERE id % 50 = ${rest}`,
    `INSERT INTO single SELECT i, ${n}, repeat('y', 2500) FROM generate_series(1, ${ROWS}, 25) i ON CONFLICT (id) DO UPDATE SET n = ${n}, big = excluded.big`,
    `UPDATE composite SET n = ${n} WHERE b % 5 <> ${rest}`,
    `UPDATE composite SET a = a || 'x' WHERE b = ${id}`,
    `UPDATE odd SET n = ${n} WHERE n % 5 <> ${rest}`,
    `UPDATE odd SET id = upper(id) WHERE id = 'k${id}'`,
    // Values that change hands.
    `UPDATE uniq SET u = -u WHERE id % 2 = 0; UPDATE uniq SET u = CASE id WHEN ${id} THEN 0 ELSE u END; UPDATE uniq SET u = id * 2 WHERE u = 0`,
    `DELETE FROM child WHERE parent = ${id}; DELETE FROM parent WHERE id = ${id}`,
    `UPDATE child SET n = ${n} WHERE id % 3 = ${rest % 3}; UPDATE parent SET n = ${n} WHERE id % 3 = ${rest % 3}`,
    `UPDATE parts SET n = ${n} WHERE id % 5 <> ${rest}`,
    `UPDATE parts SET id = -id WHERE id = ${id}`,
    `INSERT INTO log SELECT ${n}, repeat('z', 50) FROM generate_series(1, 300)`,
    ...(random.chance(0.1)
      ? [`TRUNCATE odd; INSERT INTO odd SELECT 'K' || i, 0 FROM generate_series(1, ${ROWS}) i`]
      : []),
  ])
}

test('any changes, through connections that are ended and processes that are killed at any moment: both sides are equal', async () => {
  const seed = Number(process.env.TAILRACE_SEED ?? Date.now() % 1_000_000)
  const random = new Random(seed)
  await using pair = await copied()
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 12; i++) {
      const statements = Array.from({ length: random.integer(1, 4) }, () => drawn(random))
      // One that the source refuses, since a value is taken, leaves nothing.
      await pair.from.query(`BEGIN; ${statements.join('; ')}; COMMIT`).catch(() => pair.from.query('ROLLBACK'))
    }
    let isOver = false
    for (let attempt = 0; !isOver; attempt++) {
      const stop = new AbortController()
      const applyConnections = random.integer(1, 4)
      const onBatch = () => pause(random.integer(0, 10))
      const run = failureOf(
        pair.run({
          source: { ...SOURCE, maxBytes: 128 * 1024 },
          destination: { applyConnections, signal: stop.signal },
          onBatch,
        }),
      ).then((failure) => {
        isOver = failure === undefined
        if (!isOver) expect(failure).toMatchObject({ message: 'killed' })
        return true
      })
      // Ever later, so that it comes to an end.
      const killAt = Date.now() + random.integer(30, 150) + 60 * attempt
      while (!(await Promise.race([run, pause(random.integer(2, 20), false)]))) {
        if (Date.now() > killAt) stop.abort(new Error('killed'))
        else if (random.chance(0.2)) await endWriters(pair, `pid % 4 = ${random.integer(0, 3)}`)
      }
    }
    for (const table of NAMES) {
      expect(await rowsOf(pair.to, table), `${table}, seed ${seed}, round ${round}`).toEqual(
        await rowsOf(pair.from, table),
      )
    }
  }
  expect(await pair.to.query('SELECT FROM tailrace.lane WHERE position IS NOT NULL')).not.toEqual([])
})
