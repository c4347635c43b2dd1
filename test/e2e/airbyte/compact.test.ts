import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type ConnectorMessages, startConnector } from '../../support/airbyte/connector.js'
import { configOf as anyConfigOf, read } from '../../support/airbyte/reads.js'
import { configured, discovered, foldedStates } from '../../support/airbyte/syncs.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

async function database(sql: string): Promise<TestDatabase> {
  const db = await testDatabase(server, sql)
  db.expectSlots = true
  return db
}

const configOf = (db: TestDatabase, more: object = {}) => anyConfigOf(db, { compact: true, ...more })

const shown = (run: ConnectorMessages, stream: string) =>
  run.records
    .filter((one) => one.stream === stream)
    .map(({ data }) => [data.id, data.v, data._ab_cdc_deleted_at === null ? 'row' : 'deleted'])

test('of a key touched many times the last record alone, whatever was done; without a key all of them', async () => {
  await using db = await database(
    `CREATE TABLE a (id int PRIMARY KEY, v text, big text); ALTER TABLE a ALTER big SET STORAGE EXTERNAL;
     CREATE TABLE n (id numeric PRIMARY KEY, v text); ALTER TABLE n REPLICA IDENTITY FULL;
     CREATE TABLE k (id int, v text); ALTER TABLE k REPLICA IDENTITY FULL;
     INSERT INTO a SELECT i, 'old', repeat(md5(i::text), 200) FROM generate_series(1, 5) i; INSERT INTO n VALUES (1.00, 'old')`,
  )
  const config = configOf(db)
  const catalog = configured(await discovered(config))
  const first = await read(config, catalog)
  expect(shown(first, 'a')).toHaveLength(5)
  for (let n = 0; n < 20; n++) await db.query(`UPDATE a SET v = 'v${n}' WHERE id = 1`)
  await db.query(`
    DELETE FROM a WHERE id = 2; INSERT INTO a VALUES (2, 'again'); UPDATE a SET id = 30 WHERE id = 3;
    UPDATE a SET v = 'moved' WHERE id = 30; DELETE FROM a WHERE id = 4; INSERT INTO a VALUES (9, 'short'); DELETE FROM a WHERE id = 9;
    INSERT INTO k VALUES (1, 'x'), (1, 'x'); UPDATE k SET v = 'y'`)
  // Another way to write the same number: a destination takes it for the same key.
  await db.query("UPDATE n SET id = 1.0; UPDATE n SET v = 'new', id = 1.00")
  const second = await read(config, catalog, foldedStates(first.states))
  const moved = second.records.find(({ data }) => data.id === 30)!
  expect(moved.data.big).toHaveLength(32 * 200)
  expect(shown(second, 'a')).toEqual([
    [1, 'v19', 'row'],
    [2, 'again', 'row'],
    [3, 'old', 'deleted'].map((one) => (one === 'old' ? null : one)),
    [30, 'moved', 'row'],
    [4, null, 'deleted'],
    [9, null, 'deleted'],
  ])
  expect(shown(second, 'k')).toEqual([
    [1, 'x', 'row'],
    [1, 'x', 'row'],
    [1, 'x', 'deleted'],
    [1, 'y', 'row'],
    [1, 'x', 'deleted'],
    [1, 'y', 'row'],
  ])
  expect(shown(second, 'n').at(-1)).toEqual([1, 'new', 'row'])
  const counted = second.states.reduce((sum, { sourceStats }) => sum + sourceStats.recordCount, 0)
  expect(counted).toBe(second.records.length)
  const third = await read(config, catalog, foldedStates([...first.states, ...second.states]))
  expect(third.records).toEqual([])
})

test('what does not fit is written out, and a state never tells of more: from each of them the whole is the table', async () => {
  await using db = await database('CREATE TABLE a (id int PRIMARY KEY, v text)')
  await db.query("INSERT INTO a SELECT i, repeat('x', 200) FROM generate_series(1, 5000) i")
  const config = configOf(db, { compact_bytes: 300_000, checkpoint_seconds: 0.1 })
  const catalog = configured(await discovered(config))
  const began = await read(config, catalog)
  const state = foldedStates(began.states)
  for (let n = 0; n < 6; n++) {
    await db.query(`UPDATE a SET v = 'u${n}' || id WHERE id % 6 = ${n} OR id < 100;
      DELETE FROM a WHERE id % 500 = ${n}; INSERT INTO a VALUES (${n} + 10000, 'in'), (${n * 500}, 'back') ON CONFLICT DO NOTHING`)
  }
  const whole = await read(config, catalog, state)
  // Some keys come twice, since they were written out between; far from as often as they changed.
  expect(whole.records.length).toBeLessThan(5000 + 6 * 100)
  expect(whole.states.length).toBeGreaterThan(1)
  const ends = whole.messages.flatMap(({ type }, index) => (type === 'STATE' ? [index + 1] : []))
  const table = (await db.query('SELECT id, v FROM a ORDER BY id')).map(({ id, v }) => [id, v])
  // Each once, in order: a run moves the slot to where it begins.
  const places = [0, ends.length >> 1, ends.length - 2].sort((a, b) => a - b)
  for (const end of new Set(places.map((place) => ends[place]!))) {
    const before = whole.messages.slice(0, end)
    const states = before.filter(({ type }) => type === 'STATE').map((one) => one.state)
    const resumed = await read(config, catalog, foldedStates(states))
    const rows = new Map<number, Readonly<Record<string, unknown>>>()
    const records = [...began.messages, ...before, ...resumed.messages].flatMap(({ record }) => record ?? [])
    for (const { data } of records) {
      const known = rows.get(data.id)?._ab_cdc_lsn as number | undefined
      if ((known ?? 0) <= data._ab_cdc_lsn) rows.set(data.id, data)
    }
    const live = [...rows.values()].filter(({ _ab_cdc_deleted_at: deleted }) => deleted === null)
    expect(live.map(({ id, v }) => [id, v]).sort(([a], [b]) => Number(a) - Number(b))).toEqual(table)
  }
})

test('SIGTERM, and a run without an end: what is held is written, with a state', async () => {
  await using db = await database("CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'x')")
  const config = configOf(db, { tail: true, checkpoint_seconds: 0.2 })
  const catalog = configured(await discovered(config))
  await using run = await startConnector('read', { config, catalog })
  await run.waitFor(() => shown(run, 'a').length > 0, 'the row')
  await db.query("UPDATE a SET v = 'y'")
  await run.waitFor(() => shown(run, 'a').some(([, v]) => v === 'y'), 'the change, though the run goes on')
  await db.query("UPDATE a SET v = 'z'")
  run.kill('SIGTERM')
  expect((await run.ended).code).toBe(0)
  expect(run.problem()).toBeUndefined()
  const rest = await read({ ...config, tail: false }, catalog, foldedStates(run.states))
  expect([...shown(run, 'a'), ...shown(rest, 'a')].at(-1)).toEqual([1, 'z', 'row'])
})
