import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
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

/** Of all tests, which leave both sides equal. */
let server: EmbeddedPostgres
let pair: Replication
beforeAll(async () => {
  server = await startServer()
  pair = await Replication.between(server, server, NAMES.join(), TABLES)
  await pair.from.query(FILL)
  await pair.run({ source: SOURCE })
})
afterAll(async () => {
  await pair?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

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

let touched = 0
/** The same of every table, with a number of its own, so that a batch has rows of all. */
function touch(): string {
  const n = ++touched
  return `
  UPDATE single SET n = ${n}; UPDATE composite SET n = ${n}; UPDATE odd SET n = ${n}; UPDATE parts SET n = ${n};
  UPDATE uniq SET u = -u; UPDATE parent SET n = ${n}; UPDATE child SET n = ${n}; INSERT INTO log VALUES (${n}, 'touched')`
}

const SOURCE = { keyless: 'inserts' } as const

async function expectSame(): Promise<void> {
  for (const table of NAMES) expect(await rowsOf(pair.to, table), table).toEqual(await rowsOf(pair.from, table))
}

/** Writes what each of these changes at the source as one batch. */
async function write(
  writing: PostgresDestination,
  changes: readonly string[],
  onBatch: (index: number) => Promise<unknown> | undefined = () => undefined,
  instead: (batch: Batch) => Promise<boolean> = (batch) => writing.write(batch),
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
    if (await instead(batch)) await batch.ack()
  }
}

/** How many of the target's transactions wrote the rows that a table has now. */
async function writersOf(): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const table of NAMES) {
    const [row] = await pair.to.query<{ writers: number }>(
      `SELECT count(DISTINCT xmin::text)::int AS writers FROM ${table} ${table === 'log' ? `WHERE n = ${touched}` : ''}`,
    )
    found[table] = row!.writers
  }
  return found
}

/** By lane, how many versions it is ahead of the checkpoint. */
async function ahead(): Promise<Record<string, number>> {
  const [made] = await pair.to.query<{ there: boolean }>("SELECT to_regclass('tailrace.lane') IS NOT NULL AS there")
  if (!made!.there) return {}
  const rows = await pair.to.query<{ lane: number; ahead: number }>(
    `SELECT l.lane, greatest((l.version - c.version)::int, 0) AS ahead
       FROM tailrace.lane l JOIN tailrace.checkpoint c USING (source) ORDER BY 1`,
  )
  return Object.fromEntries(rows.map(({ lane, ahead }) => [lane, ahead]))
}

const endWriters = (which = 'true') =>
  pair.to.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'tailrace' AND ${which}`,
  )

const WAITS = "datname = current_database() AND application_name = 'tailrace' AND wait_event_type = 'Lock'"

/** Leaves the target as a process does that is killed when all lanes have their part of a batch, and the main connection waits. */
async function killed(applyConnections: number, changes: readonly string[]): Promise<void> {
  const blocker = await pair.to.connect()
  const stop = new AbortController()
  await using writing = pair.destination({ applyConnections, signal: stop.signal })
  let isBlocked = false
  const ended = failureOf(
    write(writing, changes, async (index) => {
      if (index !== changes.length - 1) return
      await blocker.query('BEGIN')
      await blocker.query('SELECT FROM tailrace.checkpoint FOR UPDATE')
      isBlocked = true
    }),
  )
  const areAhead = async () => Object.values(await ahead()).filter((n) => n === 1).length === applyConnections - 1
  await waitFor(async () => isBlocked && (await areAhead()), { what: 'the lanes to be ahead' })
  stop.abort(new Error('killed'))
  expect(await ended).toMatchObject({ message: 'killed' })
  await endWriters()
  await blocker.query('ROLLBACK')
}

test('of a batch the tables whose rows meet nothing but themselves are parted by key; all others stay with the position', async () => {
  await using writing = pair.destination({ applyConnections: 3 })
  await write(writing, [touch(), touch()])
  // As a replica no foreign key is checked.
  expect(await writersOf()).toEqual({
    single: 3,
    composite: 3,
    odd: 1,
    uniq: 1,
    parent: 3,
    child: 3,
    parts: 3,
    log: 1,
  })
  await expectSame()
  await writing.close()
  await using checking = pair.destination({ applyConnections: 3, replicationRole: 'origin' })
  await write(checking, [touch(), touch()])
  expect(await writersOf()).toMatchObject({ single: 3, parts: 3, parent: 1, child: 1 })
  await checking.close()
  await pair.to.query(`
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER noted BEFORE UPDATE ON uniq FOR EACH ROW EXECUTE FUNCTION noted();
    ALTER TABLE uniq ENABLE ALWAYS TRIGGER noted`)
  await using whole = pair.destination({ applyConnections: 3 })
  await write(whole, [touch(), touch()])
  expect(await writersOf()).toMatchObject({ single: 1, parts: 1, uniq: 1 })
  await expectSame()
  await pair.to.query('DROP TRIGGER noted ON uniq')
})

test.each([1, 5])(
  'killed when lanes are a batch ahead: with applyConnections: %i nothing that they have is written again',
  async (applyConnections) => {
    await killed(3, [touch(), touch()])
    expect(await ahead()).toMatchObject({ 1: 1, 2: 1 })
    const versions = (table: string) =>
      pair.to.query<{ id: number; xmin: string; n: number }>(`SELECT id, n, xmin::text FROM ${table} ORDER BY id`)
    const before = await versions('single')
    const theirs = before.filter(({ n }) => n === touched)
    expect(theirs.length).toBeGreaterThan(ROWS / 2)
    // In pieces, between which it is killed, too.
    await pair.from.query(`UPDATE parent SET n = ${++touched}; INSERT INTO log VALUES (${touched}, NULL)`)
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
    await expectSame()
    const after = new Map((await versions('single')).map(({ id, xmin }) => [id, xmin]))
    for (const { id, xmin } of theirs) expect(after.get(id)).toBe(xmin)
    expect(batches).toBeGreaterThan(2)
  },
)

test('a lane that fails alone leaves its part to the main connection, and those of others as they are', async () => {
  const blocker = await pair.to.connect()
  await using writing = pair.destination({ applyConnections: 3 })
  await write(writing, [touch(), touch()], async (index) => {
    if (index === 1) await blocker.query('BEGIN; SELECT FROM tailrace.lane WHERE lane = 1 FOR UPDATE')
    if (index === 1) setTimeout(() => blocker.query('ROLLBACK'), 3000)
  })
  // Lane 2 had its part when lane 1 gave up; all else is of the batch's second try.
  expect(await writersOf()).toMatchObject({ single: 2, uniq: 1 })
  await expectSame()
})

test('what was made ready for a session that is lost meanwhile is made ready anew', async () => {
  const blocker = await pair.to.connect()
  await using writing = pair.destination({ applyConnections: 3 })
  const batches: Batch[] = []
  await write(
    writing,
    [touch(), touch(), `INSERT INTO log VALUES (${touched + 1}, 'few')`, touch()],
    undefined,
    async (batch) => {
      batches.push(batch)
      if (batches.length < 3) return writing.write(batch)
      if (batches.length === 3) return false
      const [few, many] = batches.slice(2)
      await blocker.query('BEGIN; SELECT FROM tailrace.checkpoint FOR UPDATE')
      const written = writing.write(few!)
      const waits = async () => (await pair.to.query(`SELECT FROM pg_stat_activity WHERE ${WAITS}`)).length > 0
      await waitFor(waits, { what: 'it to wait' })
      writing.prepare(many!)
      await endWriters(WAITS)
      await blocker.query('ROLLBACK')
      await written
      return writing.write(many!)
    },
  )
  expect(await writersOf()).toMatchObject({ single: 3, parts: 3, uniq: 1 })
  await expectSame()
})

test('a writer that was taken over from writes nothing over any connection', async () => {
  await using old = pair.destination({ applyConnections: 3 })
  await using young = pair.destination({ applyConnections: 1 })
  const states = async () => {
    const rows: string[][] = []
    for (const table of NAMES) rows.push(await rowsOf(pair.to, table))
    return JSON.stringify(rows)
  }
  let before = ''
  const failure = await failureOf(
    write(old, [touch(), touch()], async (index) => {
      if (index === 0) return
      await young.open()
      before = await states()
    }),
  )
  expect(failure).toMatchObject({ code: 'DESTINATION_FENCED' })
  expect(await states()).toBe(before)
  expect(await ahead()).toMatchObject({ 1: 0, 2: 0 })
  await young.close()
  await pair.run({ source: SOURCE, destination: { applyConnections: 3 } })
  await expectSame()
})

test('a row that the target rejects is put aside, and told once; or stops the run, and mended the same command goes on', async () => {
  const rejects = (n: number) =>
    pair.to.query(
      `ALTER TABLE single DROP CONSTRAINT IF EXISTS no; ALTER TABLE single ADD CONSTRAINT no CHECK (id <> 777 OR n <> ${n})`,
    )
  await rejects(touched + 2)
  await using writing = pair.destination({ applyConnections: 4, onRejected: 'dead-letter' })
  await write(writing, [touch(), touch(), touch()])
  expect(await pair.to.query('SELECT target FROM tailrace.dead_letter')).toEqual([{ target: 'public.single' }])
  await expectSame()
  await writing.close()
  await rejects(touched + 2)
  await using stopping = pair.destination({ applyConnections: 4 })
  const failure = await failureOf(write(stopping, [touch(), touch()]))
  expect(failure).toMatchObject({ code: 'ROW_REJECTED', message: expect.stringContaining('id=777') })
  await stopping.close()
  await pair.to.query('ALTER TABLE single DROP CONSTRAINT no')
  await pair.run({ source: SOURCE, destination: { applyConnections: 2 } })
  await expectSame()
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
  const blocker = await pair.to.connect()
  let found = 0
  for (let round = 0; round < 2 || (found === 0 && round < 12); round++) {
    for (let i = 0; i < 20; i++) {
      const statements = Array.from({ length: random.integer(1, 3) }, () => drawn(random))
      // One that the source refuses, since a value is taken, leaves nothing.
      await pair.from.query(`BEGIN; ${statements.join('; ')}; COMMIT`).catch(() => pair.from.query('ROLLBACK'))
    }
    for (let attempt = 0, isOver = false; !isOver; attempt++) {
      const stop = new AbortController()
      let batches = 0
      const from = random.integer(1, 4)
      const run = failureOf(
        pair.run({
          source: { ...SOURCE, maxBytes: 128 * 1024 },
          destination: { applyConnections: random.integer(attempt === 0 ? 2 : 1, 4), signal: stop.signal },
          onBatch: () => pause(++batches < from ? 0 : 10),
        }),
      ).then((failure) => {
        isOver = failure === undefined
        if (!isOver) expect(failure).toMatchObject({ message: 'killed' })
        return true
      })
      for (let left = 3; !(await Promise.race([run, pause(5, false)])); ) {
        if (batches < from || left-- < 0) continue
        // Lanes go on meanwhile.
        await blocker.query('BEGIN')
        await blocker.query('SELECT FROM tailrace.checkpoint FOR UPDATE')
        for (let looks = 0; looks < 40 && !Object.values(await ahead()).includes(1); looks++) await pause(10)
        if (Object.values(await ahead()).includes(1)) found++
        if (attempt < 4 && random.chance(0.4)) stop.abort(new Error('killed'))
        else if (random.chance(0.7)) await endWriters(`pid % 2 = ${random.integer(0, 1)}`)
        await blocker.query('ROLLBACK')
      }
    }
    for (const table of NAMES) {
      expect(await rowsOf(pair.to, table), `${table}, seed ${seed}, round ${round}`).toEqual(
        await rowsOf(pair.from, table),
      )
    }
  }
  expect(found).toBeGreaterThan(0)
})
