import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { parsePipeline } from '../../../src/homes/pipeline/config/pipelineConfig.js'
import { RunningPipeline } from '../../support/pipelineSinks.js'
import { rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { type DatabasePair, databasePair } from '../../support/verifying.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** A pipeline with a Postgres sink that has these settings, in YAML's words. */
async function pipelineOf(pair: DatabasePair, tables: string, settings: string) {
  pair.source.expectSlots = true
  const folder = await temporaryFolder()
  const text = `
source: {url: "\${SHOP_URL}", tables: [${tables}], slot: ${pair.source.name}, keyless: inserts}
sinks: {copy: {type: postgres, url: "\${COPY_URL}", ${settings}}}
`
  const environment = { SHOP_URL: pair.source.url, COPY_URL: pair.target.url }
  const config = parsePipeline(join(folder.path, 'shop.yaml'), text, environment)
  return { start: () => new RunningPipeline(config), [Symbol.asyncDispose]: folder[Symbol.asyncDispose] }
}

test('synchronous_commit: off; a crash of the target is made good by the pipeline itself', async () => {
  await using target = await startServer({ settings: { wal_writer_delay: '10s' } })
  await using pair = await databasePair([server, target], 'CREATE TABLE log (n int)')
  await using pipeline = await pipelineOf(pair, 'log', 'synchronous_commit: off')
  await using running = pipeline.start()
  await running.until(() => running.streaming, 'the stream')
  let written = 0
  const write = async () => {
    for (let i = 0; i < 100; i++) await pair.source.query(`INSERT INTO log VALUES (${++written})`)
  }
  const count = async () => {
    const client = await pair.target.connect()
    const { rows } = await client.query<{ count: number }>('SELECT count(*)::int FROM log')
    await client.end()
    return rows[0]!.count
  }
  for (let crash = 0; crash < 3; crash++) {
    await write()
    await target.restart('immediate')
    await write()
    await running.until(async () => (await count()) === written, 'all rows')
  }
  await running.stop()
  const look = await pair.target.connect()
  const { rows } = await look.query<{ row: string }>('SELECT t::text AS row FROM log t ORDER BY 1')
  await look.end()
  expect(rows.map(({ row }) => row)).toEqual(await rowsOf(pair.source, 'log'))
})

test('auto_create: true', async () => {
  const sql = "CREATE TYPE size AS ENUM ('s', 'm'); CREATE TABLE shirts (id int PRIMARY KEY, size size NOT NULL)"
  await using pair = await databasePair(server, sql, '')
  await pair.source.query("INSERT INTO shirts VALUES (1, 's'), (2, 'm')")
  await using pipeline = await pipelineOf(pair, 'shirts', 'auto_create: true, table: "copy.{table}"')
  await using running = pipeline.start()
  await running.until(() => running.streaming, 'the stream')
  await pair.source.query("UPDATE shirts SET size = 'm'")
  const isSame = async () => {
    const rows = await pair.target.query('SELECT to_regclass($1) IS NOT NULL AS there', ['copy.shirts'])
    if (rows[0]!.there !== true) return false
    return String(await rowsOf(pair.target, 'copy.shirts')) === String(await rowsOf(pair.source, 'shirts'))
  }
  await running.until(isSame, 'both to be the same')
  await running.stop()
})

test('evolve: true, columns_dropped: drop', async () => {
  await using pair = await databasePair(server, 'CREATE TABLE t (id int PRIMARY KEY, n int, v varchar(3))')
  await pair.source.query("INSERT INTO t VALUES (1, 1, 'a')")
  await using pipeline = await pipelineOf(pair, 't', 'evolve: true, columns_dropped: drop')
  await using running = pipeline.start()
  const isSame = async () => String(await rowsOf(pair.target, 't')) === String(await rowsOf(pair.source, 't'))
  await running.until(async () => running.streaming && (await isSame()), 'the row')
  await pair.source.query("INSERT INTO t VALUES (2, 2, 'b')")
  await running.until(isSame, 'the second')
  await pair.source.query(`
    ALTER TABLE t ALTER v TYPE text, ADD COLUMN added int DEFAULT 5; INSERT INTO t VALUES (3, 3, 'longer', 6);
    ALTER TABLE t DROP COLUMN n; UPDATE t SET v = 'also longer' WHERE id = 1`)
  await running.until(isSame, 'what came with other shapes')
  await running.stop()
  expect(await rowsOf(pair.target, 't')).toEqual(['(1,"also longer",5)', '(2,b,5)', '(3,longer,6)'])
})

test('delete: soft; and mode: history beside it, in one database', async () => {
  await using pair = await databasePair(server, 'CREATE TABLE t (id int PRIMARY KEY, n int)', '')
  await pair.source.query('INSERT INTO t VALUES (1, 1), (2, 2)')
  const other = `{type: postgres, url: "\${COPY_URL}", source: log, table: "log.{table}", auto_create: true, mode: history, history_prefix: h_}`
  await using pipeline = await pipelineOf(
    pair,
    't',
    `auto_create: true, delete: soft, deleted_column: gone}, log: ${other.slice(0, -1)}`,
  )
  await using running = pipeline.start()
  await running.until(() => running.streaming, 'the stream')
  await pair.source.query('UPDATE t SET n = 3 WHERE id = 1; DELETE FROM t WHERE id = 2')
  const rows = async (sql: string) => rowsOf(pair.target, `(${sql})`).catch(() => [])
  const isThere = async () =>
    (await rows('SELECT FROM t WHERE gone IS NOT NULL')).length === 1 && (await rows('SELECT FROM log.t')).length === 4
  await running.until(isThere, 'both sinks')
  await running.stop()
  expect(await rows('SELECT id, n, gone IS NULL FROM t')).toEqual(['(1,3,t)', '(2,2,f)'])
  expect(await rows('SELECT id, n, h_operation FROM log.t')).toEqual([
    '(1,1,snapshot)',
    '(1,3,update)',
    '(2,,delete)',
    '(2,2,snapshot)',
  ])
})

test('sequences: move, when the pipeline is stopped', async () => {
  await using pair = await databasePair(server, 'CREATE TABLE t (id serial PRIMARY KEY, n int)')
  await pair.source.query('INSERT INTO t (n) SELECT i FROM generate_series(1, 20) i')
  await using pipeline = await pipelineOf(pair, 't', 'sequences: move')
  await using running = pipeline.start()
  await running.until(async () => running.streaming && (await rowsOf(pair.target, 't')).length === 20, 'the rows')
  await pair.source.query('INSERT INTO t (n) VALUES (21)')
  await running.until(async () => (await rowsOf(pair.target, 't')).length === 21, 'the last row')
  await running.stop()
  expect(await pair.target.query("SELECT nextval('t_id_seq')::int AS next")).toEqual([{ next: 22 }])
})
