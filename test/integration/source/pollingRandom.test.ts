import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { expect, test } from 'vitest'
import type { SourceOptions } from '../../../src/source/options.js'
import { Random } from '../../chaos/random.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { slowTest } from '../../support/slow.js'
import { readSource, readToCurrent, type SourceRecord } from '../../support/sourceReader.js'
import { requireOrder, sorted } from '../../support/sourceReplay.js'
import { describeEachMajor } from '../../support/versions.js'

const WRITERS = 5
const TRANSACTIONS = 60
const ROWS = 400

const TABLES = `
  CREATE SEQUENCE version;
  CREATE TABLE log (id bigserial PRIMARY KEY, writer int, at timestamptz DEFAULT now());
  CREATE INDEX ON log (at);
  CREATE TABLE t (id int PRIMARY KEY, v bigint, fill text, updated_at timestamptz);
  CREATE INDEX ON t (updated_at);
  INSERT INTO t SELECT i, nextval('version'), repeat('x', 200), now() FROM generate_series(1, ${ROWS}) i`

type Way = readonly [string, Partial<SourceOptions>]
const BY_KEY: readonly Way[] = [['by key', {}]]
/** In two of some hundred rounds under load a row came twice, which is still to be explained: see docs/long-polling.md. */
const BY_CURSOR: readonly Way[] = [
  ['by cursors', { cursors: { log: 'at', t: 'updated_at' } }],
  ['by an increasing key and a cursor', { cursors: { log: 'id', t: 'updated_at' } }],
]

/** Short and long transactions, with savepoints, some of which come to nothing. */
async function write(client: pg.Client, writer: number, random: Random): Promise<void> {
  const pause = async () => {
    if (random.chance(0.3)) await sleep(random.integer(0, random.chance(0.1) ? 400 : 10))
  }
  for (let i = 0; i < TRANSACTIONS; i++) {
    await client.query('BEGIN')
    if (random.chance(0.3)) await client.query('SELECT now()')
    let savepoints = 0
    for (let steps = random.integer(1, 6); steps > 0; steps--) {
      await pause()
      const dice = random.integer(0, 9)
      if (dice < 4)
        await client.query(`INSERT INTO log (writer) SELECT ${writer} FROM generate_series(0, ${random.integer(0, 3)})`)
      else if (dice < 7) {
        // Each writer has rows of its own, so that they never wait for each other in a circle.
        const id = 1 + writer + WRITERS * random.integer(0, ROWS / WRITERS - 1)
        await client.query(
          `INSERT INTO t VALUES (${random.chance(0.2) ? -id : id}, nextval('version'), 'w${writer}', now())
           ON CONFLICT (id) DO UPDATE SET v = excluded.v, fill = excluded.fill, updated_at = excluded.updated_at`,
        )
      } else if (dice < 8) await client.query(`SAVEPOINT s${++savepoints}`)
      else if (savepoints > 0) await client.query(`${dice < 9 ? 'RELEASE' : 'ROLLBACK TO'} s${savepoints--}`)
    }
    await pause()
    await client.query(random.chance(0.8) ? 'COMMIT' : 'ROLLBACK')
  }
}

/** Runs of a source until the writers are done, each from where one that may have been killed had stored its position. */
async function readAlong(db: TestDatabase, options: Partial<SourceOptions>, random: Random, writing: Promise<unknown>) {
  const records: SourceRecord[] = []
  const all = { url: db.url, tables: 'log,t', cdcMode: 'long_polling', maxBytes: 65536, pollIntervalMs: 5, ...options }
  let done = false
  void writing.finally(() => {
    done = true
  })
  while (!done) {
    const position = records.at(-1)?.position
    await using reader = readSource({ ...all, position } as SourceOptions)
    const wanted = random.integer(1, 150)
    await Promise.race([writing, reader.until(() => reader.records.length >= wanted || done, { what: 'records' })])
    await reader.close()
    const { length } = reader.records
    records.push(...reader.records.slice(0, random.chance(0.5) ? length : random.integer(0, length)))
  }
  await writing
  records.push(...(await readToCurrent({ ...all, position: records.at(-1)?.position } as SourceOptions)).records)
  return records
}

describeEachMajor('long polling beside writers', (postgres) => {
  const promise = '%s: no row is lost, and no version comes twice'
  test.each(BY_KEY)(promise, round, 60_000)
  slowTest.each(BY_CURSOR)(promise, round, 60_000)

  async function round(name: string, options: Partial<SourceOptions>): Promise<void> {
    const seed = Number(process.env.TAILRACE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
    console.log(`polling ${name}, PostgreSQL ${postgres.major}: TAILRACE_TEST_SEED=${seed}`)
    const random = new Random(seed)
    await using db = await testDatabase(postgres.server, TABLES)
    const clients = await Promise.all(Array.from({ length: WRITERS }, () => db.connect()))
    const writing = Promise.all(clients.map((client, writer) => write(client, writer, random.fork())))
    writing.catch(() => {})
    const records = await readAlong(db, options, random, writing)
    requireOrder(records)
    const logged = records.filter(({ table }) => table === 'log').map(({ key }) => key!.id as number)
    const [log] = await db.query<{ ids: number[] }>('SELECT array_agg(id::int ORDER BY id) AS ids FROM log')
    expect(logged.sort((a, b) => a - b)).toEqual(log!.ids)
    const versions = records.filter(({ table }) => table === 't')
    expect(new Set(versions.map(({ after }) => after!.v)).size).toBe(versions.length)
    const last = new Map(versions.map(({ after }) => [after!.id as number, sorted(after!)]))
    const rows = await db.query<{ row: Record<string, unknown> }>('SELECT to_json(t) AS row FROM t ORDER BY id')
    expect([...last.values()].sort((a, b) => Number(a.id) - Number(b.id))).toEqual(rows.map(({ row }) => sorted(row)))
  }
})
