import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import { parsePipeline } from '../../../../src/homes/pipeline/config/pipelineConfig.js'
import { parseLsn } from '../../../../src/postgres/lsn.js'
import { loadGrammar } from '../../../../src/processors/sql/grammar.js'
import { RunningPipeline } from '../../../support/pipelineSinks.js'
import { startServer } from '../../../support/servers.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'
import { databasePair } from '../../../support/verifying.js'
import { waitFor } from '../../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  await loadGrammar()
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const SOURCE = `
  CREATE TABLE whole (id int PRIMARY KEY, n int, note text, more jsonb DEFAULT '{"a": 1}'); ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE keyed (id int PRIMARY KEY, n int, note text, more jsonb DEFAULT '{"a": 1}');
  CREATE TABLE other (id int PRIMARY KEY);
  INSERT INTO whole (id, n, note) SELECT n, n % 20, repeat('x', 5000) FROM generate_series(1, 200) n;
  INSERT INTO keyed (id, n, note) SELECT n, n % 20, 'old row' FROM generate_series(1, 200) n`

const TARGET = 'CREATE TABLE other (id int PRIMARY KEY)'

const PROCESSORS = `
  - {type: filter, streams: "whole, keyed", where: n >= 10 AND n % 2 = 0}
  - {type: mask, streams: "whole, keyed", partial: [note]}
  - {type: rename, streams: "whole, keyed", columns: {n: amount}}
  - {type: cast, streams: "whole, keyed", columns: {amount: "numeric(6,1)"}}
  - {type: flatten, streams: "whole, keyed", column: more, fields: [a]}
  - {type: mask, streams: "whole, keyed", hash: [more_a], key: a key of sixteen}
  - {type: filter, streams: other, where: "false"}`

test('a filtered copy has just the rows that match, through changes of every kind and restarts, and the slot moves on', async () => {
  await using pair = await databasePair(server, SOURCE, TARGET)
  pair.source.expectSlots = true
  await using folder = await temporaryFolder()
  const text = `
source: {url: "\${SHOP}", tables: [whole, keyed, other], slot: ${pair.source.name}}
processors: ${PROCESSORS}
sinks: {copy: {type: postgres, url: "\${COPY}", auto_create: true, evolve: true}}`
  const environment = { SHOP: pair.source.url, COPY: pair.target.url }
  const config = parsePipeline(join(folder.path, 'shop.yaml'), text, environment)
  const wanted = (table: string) => `
    SELECT id, n::numeric(6,1)::text AS amount, regexp_replace(left(note, -4), '.', '*', 'g') || right(note, 4) AS note
      FROM ${table} WHERE n >= 10 AND n % 2 = 0 ORDER BY id`
  const isSame = async () => {
    for (const table of ['whole', 'keyed']) {
      const there = await pair.target.query(`SELECT id, amount::text, note FROM ${table} ORDER BY id`).catch(() => [])
      if (JSON.stringify(there) !== JSON.stringify(await pair.source.query(wanted(table)))) return false
    }
    return true
  }
  const confirmed = async () => {
    const [row] = await pair.source.query<{ lsn: string }>(
      'SELECT confirmed_flush_lsn AS lsn FROM pg_replication_slots WHERE database = current_database()',
    )
    return parseLsn(row!.lsn)!
  }
  for (let round = 0; round < 3; round++) {
    await using running = new RunningPipeline(config)
    await running.until(() => running.streaming, 'the stream')
    // What processors make of a column stays that when the table gets another one.
    if (round === 1) await pair.source.query('ALTER TABLE keyed ADD COLUMN extra int DEFAULT 7')
    for (const table of ['whole', 'keyed']) {
      await pair.source.query(`UPDATE ${table} SET n = (n * 7 + ${round} + id) % 23 WHERE id % 3 <> 0`)
      await pair.source.query(`DELETE FROM ${table} WHERE id % 11 = ${round}`)
      await pair.source.query(
        `INSERT INTO ${table} (id, n, note) SELECT 1000 * ${round + 1} + n, n, 'new one' FROM generate_series(1, 30) n`,
      )
      await pair.source.query(
        `UPDATE ${table} SET id = id + 10000, n = n + ${round} WHERE id BETWEEN ${50 * round} AND ${50 * round + 20}`,
      )
    }
    await waitFor(isSame, { what: 'the copy to have just what matches', timeoutMs: 20_000 })
    if (round === 1) continue
    await pair.source.query(`INSERT INTO other SELECT ${round * 1000} + n FROM generate_series(1, 500) n`)
    const [now] = await pair.source.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn')
    await waitFor(async () => (await confirmed()) >= parseLsn(now!.lsn)!, {
      what: 'the slot to move',
      timeoutMs: 20_000,
    })
    const { tables } = await running.stop()
    expect(tables.get('public.other')).toBe(500)
  }
  expect(await pair.target.query('SELECT id FROM other')).toEqual([])
  const columns = await pair.target.query<{ columns: string }>(
    `SELECT table_name || ': ' || string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) AS columns
       FROM information_schema.columns WHERE table_schema = 'public' GROUP BY table_name ORDER BY 1`,
  )
  expect(columns.map((row) => row.columns)).toEqual([
    'keyed: id integer, amount numeric, note text, more_a text, extra integer',
    'other: id integer',
    'whole: id integer, amount numeric, note text, more_a text',
  ])
  const [made] = await pair.target.query(
    'SELECT bool_and(length(more_a) = 64) AS hashed, bool_and(extra = 7) AS filled FROM keyed',
  )
  expect(made).toEqual({ hashed: true, filled: true })
})

test('a pipeline that is stopped does not wait for a function that takes long, and what it had comes again', async () => {
  await using pair = await databasePair(server, 'CREATE TABLE t (id int PRIMARY KEY, note text)')
  pair.source.expectSlots = true
  await using folder = await temporaryFolder()
  const pipeline = (code: string) =>
    parsePipeline(
      join(folder.path, 'slow.yaml'),
      `
source: {url: "\${SHOP}", tables: t, slot: ${pair.source.name}}
processors: [{type: javascript, timeout_ms: 60000, code: ${JSON.stringify(code)}}]
sinks: {copy: {type: postgres, url: "\${COPY}"}}`,
      { SHOP: pair.source.url, COPY: pair.target.url },
    )
  const copied = async () =>
    (await pair.target.query('SELECT id, note FROM t ORDER BY id')).map((row) => Object.values(row))
  {
    const code = "export default ({ after }) => { while (after.note === 'hangs'); after.note = 'seen' }"
    await using running = new RunningPipeline(pipeline(code))
    await running.until(() => running.streaming, 'the stream')
    await pair.source.query("INSERT INTO t VALUES (1, 'x')")
    await waitFor(async () => (await copied()).length === 1, { what: 'the first row', timeoutMs: 20_000 })
    await pair.source.query("INSERT INTO t VALUES (2, 'hangs')")
    await sleep(500)
    const started = performance.now()
    await running.stop()
    expect(performance.now() - started).toBeLessThan(8000)
    expect(await copied()).toEqual([[1, 'seen']])
  }
  await using running = new RunningPipeline(pipeline("export default ({ after }) => { after.note = 'again' }"))
  await waitFor(async () => (await copied()).length === 2, { what: 'the second row', timeoutMs: 20_000 })
  expect(await copied()).toEqual([
    [1, 'seen'],
    [2, 'again'],
  ])
  await running.stop()
})
