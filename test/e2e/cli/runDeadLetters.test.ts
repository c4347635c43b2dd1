import { readFile, stat, writeFile } from 'node:fs/promises'
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

interface State {
  readonly sinks: Readonly<
    Record<string, { readonly mark: { readonly deadLetters: { bytes?: number; number?: string } } }>
  >
}

async function pipelineOf(pair: DatabasePair, sinks: string, opsUrl = '') {
  pair.source.expectSlots = true
  const folder = await temporaryFolder()
  const file = join(folder.path, 'shop.yaml')
  const write = (text: string) =>
    writeFile(
      file,
      `source: {url: "\${SHOP_URL}", tables: items, slot: ${pair.source.name}, until: current, max_bytes: 65536}
sinks:${text}`,
    )
  await write(sinks)
  const env = { SHOP_URL: pair.source.url, COPY_URL: pair.target.url, OPS_URL: opsUrl }
  return {
    write,
    run: () => tailrace(['run', file], { env }),
    start: () => startTailrace(['run', file], { env }),
    size: async (name: string) => (await stat(join(folder.path, name))).size,
    state: async (): Promise<State> => JSON.parse(await readFile(join(folder.path, 'shop.state'), 'utf8')),
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

const ids = (last: number) => Array.from({ length: last }, (_, index) => index + 1)
const sorted = (some: Iterable<unknown>) => [...some].map(Number).sort((a, b) => a - b)
const keyOf = ({ record }: Readonly<Record<string, unknown>>) => (record as { key: { id: number } }).key.id

test('killed behind letters that are not recorded: each record is once in a file, or once among its dead letters', async () => {
  const LAST = 60_000
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
`,
    ops.url,
  )
  expect((await pipeline.run()).code).toBe(0)
  for (let from = 1; from < LAST; from += 500) await pair.source.query(rows(from, from + 499))
  const random = seededRandom(SEED)
  const inTable = async () => {
    return await ops.query<{ id: string; number: string }>(
      `SELECT record -> 'key' ->> 'id' AS id, number FROM "my ops".dead_letter WHERE source = 'shop.tabled'`,
    )
  }
  const countOfTable = async () => {
    const [row] = await ops.query<{ n: number }>(`SELECT count(*)::int AS n FROM "my ops".dead_letter`)
    return row!.n
  }
  // How often there were letters, in the file and in the table, that the state did not know.
  const unrecorded = [0, 0]
  for (let kill = 0; kill < 6; kill++) {
    const before = await countOfTable()
    await using running = pipeline.start()
    const writes = async () => (await countOfTable()) > before
    await running.waitFor(writes, 'it to write', { timeoutMs: 60_000, intervalMs: 2 })
    await sleep(random() * 100)
    running.kill('SIGKILL')
    await running.ended
    const { plain, tabled } = (await pipeline.state()).sinks
    if ((await pipeline.size('shop.plain.dead-letters.ndjson')) > (plain!.mark.deadLetters.bytes ?? 0)) unrecorded[0]!++
    const known = BigInt(tabled!.mark.deadLetters.number ?? 0)
    if ((await inTable()).some(({ number }) => BigInt(number) > known)) unrecorded[1]!++
  }
  const last = await pipeline.run()
  const told = `TAILRACE_TEST_SEED=${SEED} ${unrecorded}\n${last.stderr}`
  expect(last.code, told).toBe(0)
  expect(Math.min(...unrecorded), told).toBeGreaterThan(1)
  for (const name of ['plain', 'tabled']) {
    const written = (await pipeline.lines(`${name}.ndjson`)).map(({ key }) => key!.id)
    expect(String(sorted(written)) === String(ids(LAST).filter((id) => !isLong(id))), told).toBe(true)
  }
  const long = ids(LAST).filter(isLong)
  expect(sorted((await pipeline.lines('shop.plain.dead-letters.ndjson')).map(keyOf)), told).toEqual(long)
  expect(sorted((await inTable()).map(({ id }) => id)), told).toEqual(long)
}, 240_000)

test('a copy that is killed at random: each record is once in its table or once among its dead letters, there and in the file', async () => {
  const LAST = 4000
  await using pair = await databasePair(server, TABLES, TARGET)
  await using pipeline = await pipelineOf(
    pair,
    `
  copy: {type: postgres, url: "\${COPY_URL}", on_error: dead-letter, dead_letter: {file: copy-letters.ndjson}}
`,
  )
  expect((await pipeline.run()).code).toBe(0)
  for (let from = 1; from < LAST; from += 500) await pair.source.query(rows(from, from + 499))
  const random = seededRandom(SEED)
  const counts: number[] = []
  const atTarget = async () => (await pair.target.query<{ n: number }>('SELECT count(*)::int AS n FROM items'))[0]!.n
  for (let kill = 0; kill < 4; kill++) {
    await using running = pipeline.start()
    const before = await atTarget()
    await running.waitFor(async () => (await atTarget()) > before, 'it to write', { timeoutMs: 60_000 })
    await sleep(random() * 200)
    running.kill('SIGKILL')
    await running.ended
    counts.push(await atTarget())
  }
  const last = await pipeline.run()
  const told = `TAILRACE_TEST_SEED=${SEED} ${counts}\n${last.stderr}`
  expect(last.code, told).toBe(0)
  expect(counts.filter((count) => count < 0.9 * LAST).length, told).toBeGreaterThan(1)
  const copied = await pair.target.query<{ id: number }>('SELECT id FROM items')
  expect(sorted(copied.map(({ id }) => id)), told).toEqual(ids(LAST).filter((id) => !isBad(id)))
  const rejected = await pair.target.query<{ id: string }>(
    "SELECT record -> 'key' ->> 'id' AS id FROM tailrace.dead_letter",
  )
  expect(sorted(rejected.map(({ id }) => id)), told).toEqual(ids(LAST).filter(isBad))
  expect(sorted((await pipeline.lines('copy-letters.ndjson')).map(keyOf)), told).toEqual(ids(LAST).filter(isBad))
}, 240_000)
