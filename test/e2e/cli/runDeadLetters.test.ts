import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { SEED, seededRandom } from '../../support/sourceWriters.js'
import { parseLines, startTailrace, tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { type DatabasePair, databasePair } from '../../support/verifying.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const TABLES = 'CREATE TABLE items (id int PRIMARY KEY, note text)'
const TARGET = "CREATE TABLE items (id int PRIMARY KEY, note text CONSTRAINT fine CHECK (note <> 'bad'))"

/** Some rows make lines that are too long, and some the target rejects. */
const isLong = (id: number) => id % 10 === 3
const isBad = (id: number) => id % 100 === 7

const rows = (from: number, to: number) => `
  INSERT INTO items
  SELECT n, CASE WHEN n % 100 = 7 THEN 'bad' WHEN n % 10 = 3 THEN repeat('x', 1000) ELSE 'good' END
    FROM generate_series(${from}, ${to}) n`

async function pipelineOf(pair: DatabasePair, sinks: string, opsUrl = '') {
  pair.source.expectSlots = true
  const folder = await temporaryFolder()
  const file = join(folder.path, 'shop.yaml')
  const write = (text: string) =>
    writeFile(
      file,
      `source: {url: "\${SHOP_URL}", tables: items, slot: ${pair.source.name}, until: current, max_bytes: 65536}
buffer_bytes: 200000
sinks:${text}`,
    )
  await write(sinks)
  const env = { SHOP_URL: pair.source.url, COPY_URL: pair.target.url, OPS_URL: opsUrl }
  return {
    write,
    run: () => tailrace(['run', file], { env }),
    start: () => startTailrace(['run', file], { env }),
    lines: async (name: string) => parseLines(await readFile(join(folder.path, name), 'utf8')),
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
  }
}

test('without a policy a record that is rejected ends the pipeline; put aside, with the reason, it goes on', async () => {
  await using pair = await databasePair(server, TABLES, TARGET)
  const sinks = (policy: string) => `
  out: {type: stdout, format: row, max_line_bytes: 1000${policy}}
  all: {type: file, path: all.ndjson, max_line_bytes: 1000${policy && `${policy}, dead_letter: {file: letters/all.ndjson}`}}
`
  await using pipeline = await pipelineOf(pair, sinks(''))
  expect((await pipeline.run()).code).toBe(0)
  await pair.source.query(`${rows(1, 5)}; DELETE FROM items WHERE id = 5`)
  const failed = await pipeline.run()
  expect([failed.code, failed.stderr]).toEqual([1, expect.stringMatching(/LINE_TOO_LONG: .*public\.items .*\/2\)/)])
  await pipeline.write(sinks(', on_error: dead-letter'))
  const { code, stdout, stderr } = await pipeline.run()
  expect(code, stderr).toBe(0)
  expect(stderr).toMatch(/warning: sink out has put 1 record aside as dead letters, the last one because: a record of/)
  expect(stderr).toMatch(/sink all has 6 records of this run, 1 of them put aside as dead letters\n/)
  expect(parseLines(stdout).map(({ id }) => id)).toEqual([1, 2, 4, 5, 5])
  const [letter, ...others] = await pipeline.lines('letters/all.ndjson')
  expect(others).toEqual([])
  expect(letter).toMatchObject({
    ...{ source: 'shop.all', target: 'public.items', problem: expect.stringContaining('max_line_bytes is 1000') },
    record: { operation: 'create', after: { id: 3, note: 'x'.repeat(1000) } },
  })
  expect(await pipeline.lines('shop.out.dead-letters.ndjson')).toMatchObject([{ id: letter!.id, source: 'shop.out' }])
})

test('killed at random, each record is once at its sink or once among its dead letters, in files and in tables', async () => {
  const LAST = 5000
  await using pair = await databasePair(server, TABLES, TARGET)
  await using ops = await testDatabase(server)
  await using pipeline = await pipelineOf(
    pair,
    `
  plain: {type: file, path: plain.ndjson, max_line_bytes: 1000, on_error: dead-letter}
  tabled: 
    type: file
    path: tabled.ndjson
    max_line_bytes: 1000
    on_error: dead-letter
    dead_letter: {url: "\${OPS_URL}", schema: my ops}
  copy: {type: postgres, url: "\${COPY_URL}", on_error: dead-letter, dead_letter: {file: copy-letters.ndjson}}
`,
    ops.url,
  )
  expect((await pipeline.run()).code).toBe(0)
  for (let from = 1; from < LAST; from += 500) await pair.source.query(rows(from, from + 499))
  const random = seededRandom(SEED)
  const counts: number[] = []
  const atTarget = async () => (await pair.target.query('SELECT FROM items')).length
  for (let kill = 0; kill < 5; kill++) {
    await using running = pipeline.start()
    const before = await atTarget()
    await running.waitFor(async () => (await atTarget()) > before, 'it to write', { timeoutMs: 60_000 })
    await sleep(random() * 300)
    running.kill('SIGKILL')
    await running.ended
    counts.push(await atTarget())
  }
  const last = await pipeline.run()
  const told = `TAILRACE_TEST_SEED=${SEED} ${counts}\n${last.stderr}`
  expect(last.code, told).toBe(0)
  // It was killed in the middle.
  expect(counts.filter((count) => count < 0.9 * LAST).length, told).toBeGreaterThan(2)

  const ids = Array.from({ length: LAST }, (_, index) => index + 1)
  const sorted = (some: Iterable<unknown>) => [...some].map(Number).sort((a, b) => a - b)
  const without = (rejects: (id: number) => boolean) => ids.filter((id) => !rejects(id))
  for (const name of ['plain', 'tabled']) {
    const written = (await pipeline.lines(`${name}.ndjson`)).map(({ key }) => key!.id)
    expect(sorted(written), told).toEqual(without(isLong))
  }
  const long = (await pipeline.lines('shop.plain.dead-letters.ndjson')).map(
    ({ record }) => (record as { key: { id: number } }).key.id,
  )
  expect(sorted(long), told).toEqual(ids.filter(isLong))
  const tabled = await ops.query<{ id: string }>(
    `SELECT record -> 'key' ->> 'id' AS id FROM "my ops".dead_letter WHERE source = 'shop.tabled'`,
  )
  expect(sorted(tabled.map(({ id }) => id)), told).toEqual(ids.filter(isLong))
  const copied = await pair.target.query<{ id: number }>('SELECT id FROM items')
  expect(sorted(copied.map(({ id }) => id)), told).toEqual(without(isBad))
  const rejected = await pair.target.query<{ id: string }>(
    "SELECT record -> 'key' ->> 'id' AS id FROM tailrace.dead_letter",
  )
  expect(sorted(rejected.map(({ id }) => id)), told).toEqual(ids.filter(isBad))
  const exported = (await pipeline.lines('copy-letters.ndjson')).map(
    ({ record }) => (record as { key: { id: number } }).key.id,
  )
  expect(sorted(exported), told).toEqual(ids.filter(isBad))
}, 240_000)
