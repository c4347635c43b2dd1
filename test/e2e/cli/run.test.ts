import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { fillShort, SHORT_TABLES, writeShort } from '../../support/shortWrites.js'
import { SEED, seededRandom } from '../../support/sourceWriters.js'
import { type OutputRecord, parseLines, startTailrace, tailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const SHOP = `
  CREATE TABLE orders (id int PRIMARY KEY, total numeric(10, 2));
  INSERT INTO orders VALUES (1, 12.50), (2, 7.00)`

/** A folder with `shop.yaml` in it, and the variables that it names. */
async function pipelineIn(folder: string, db: TestDatabase, text: string) {
  db.expectSlots = true
  const file = join(folder, 'shop.yaml')
  await writeFile(file, text)
  return { file, env: { SHOP_URL: db.url, SLOT: db.name } }
}

async function recordsOf(...paths: readonly string[]): Promise<OutputRecord[]> {
  const texts = await Promise.all(
    paths.map(async (path) => {
      const bytes = await readFile(path)
      return (/\.gz/.test(path) ? gunzipSync(bytes) : bytes).toString()
    }),
  )
  return parseLines(texts.join(''))
}

test('killed at random under load, two sinks have every record exactly once, in the same order', async () => {
  await using db = await testDatabase(server, `${SHORT_TABLES}; ${fillShort(20_000)}`)
  await using folder = await temporaryFolder()
  const { file, env } = await pipelineIn(
    folder.path,
    db,
    `
source:
  url: \${SHOP_URL}
  tables: [items, log]
  keyless: inserts
  slot: \${SLOT}
buffer_bytes: 1000000
sinks:
  whole: {type: file, path: whole.ndjson}
  pieces:
    type: file
    path: pieces/{date}-{number}.ndjson.gz
    gzip: true
    rotate_bytes: 100000
`,
  )
  const random = seededRandom(SEED)
  const hits: string[] = []
  const stop = new AbortController()
  const writing = writeShort(db, random, stop.signal)
  for (let kill = 0; kill < 7; kill++) {
    await using running = startTailrace(['run', file, '--no-control'], { env })
    // The first ones come at any time, the others while it streams.
    if (kill > 3) await running.says('streaming from')
    await sleep((kill > 3 ? 0 : 400) + random() * 700)
    hits.push(running.stderr.includes('streaming from') ? 'stream' : 'before')
    running.kill('SIGKILL')
    await running.ended
  }
  stop.abort()
  await writing
  // The snapshot may have been killed, too: it is to be at its end.
  await writeFile(file, (await readFile(file, 'utf8')).replace('keyless:', 'until: current\n  keyless:'))
  const last = await tailrace(['run', file], { env })
  const told = `TAILRACE_TEST_SEED=${SEED} ${hits.join(' ')}\n${last.stderr}`
  expect(last.code, told).toBe(0)

  const whole = join(folder.path, 'whole.ndjson')
  const records = await recordsOf(whole)
  // Snapshot rows without a key have one id.
  const keyed = records.filter(({ table, operation }) => !(table === 'log' && operation === 'snapshot'))
  expect(new Set(keyed.map(({ id }) => id)).size, told).toBe(keyed.length)
  const pieces = (await readdir(join(folder.path, 'pieces'))).sort().map((name) => join(folder.path, 'pieces', name))
  expect(pieces.length, told).toBeGreaterThan(3)
  expect(
    pieces.filter((path) => !/-\d{6}\.ndjson\.gz$/.test(path)),
    told,
  ).toEqual([])
  const inPieces = (await Promise.all(pieces.map(async (path) => gunzipSync(await readFile(path)).toString()))).join('')
  expect(inPieces === (await readFile(whole, 'utf8')), told).toBe(true)

  const rows = new Map<unknown, unknown>()
  const logged: string[] = []
  for (const { table, operation, key, oldKey, after } of records) {
    if (table === 'log') logged.push(JSON.stringify(after))
    else if (operation === 'delete') rows.delete(key!.id)
    else {
      if (oldKey !== undefined) rows.delete(oldKey.id)
      rows.set(key!.id, after!.n)
    }
  }
  const expected = await db.query<{ id: string; n: number }>('SELECT id, n FROM items')
  expect([...rows].sort(), told).toEqual(expected.map(({ id, n }) => [Number(id), n]).sort())
  const lines = await db.query<{ line: string }>('SELECT to_json(log)::text AS line FROM log')
  expect(logged.sort(), told).toEqual(lines.map(({ line }) => line.replaceAll(/"(\w+)":/g, '"$1":')).sort())
}, 180_000)

test('SIGTERM ends it with what was read in its place, a summary and code 0; the next run goes on', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  const { file, env } = await pipelineIn(
    folder.path,
    db,
    `
source: {url: "\${SHOP_URL}", tables: orders, slot: "\${SLOT}"}
sinks:
  - {type: stdout, format: row}
  - {type: file, path: out.ndjson}
`,
  )
  {
    await using running = startTailrace(['run', file], { env })
    await running.says('streaming from')
    await db.query('INSERT INTO orders VALUES (3, 1)')
    await running.waitFor(() => running.collected.split('\n').length > 3, 'the order to come')
    const status = await tailrace(['signal', 'status', '--state', join(folder.path, 'shop.state')])
    expect([status.code, status.stdout]).toEqual([0, expect.stringContaining('public.orders')])
    const second = await tailrace(['run', file], { env })
    expect([second.code, second.stderr]).toEqual([1, expect.stringContaining('STATE_LOCKED: ')])
    expect((await tailrace(['signal', 'status', '--state', join(folder.path, 'shop.state')])).code).toBe(0)
    running.kill('SIGTERM')
    expect((await running.ended).code).toBe(0)
    expect(running.collected).toBe('{"id":1,"total":12.50}\n{"id":2,"total":7.00}\n{"id":3,"total":1.00}\n')
    expect(running.stderr).toMatch(/pipeline shop ended after [\d.]+ s, 3 records read: public\.orders 3\n/)
    expect(running.stderr).toMatch(/sink stdout has 3 records of this run\n.*sink file has 3 records of this run\n$/)
  }
  await db.query('DELETE FROM orders WHERE id = 1')
  const untilNow = (await readFile(file, 'utf8')).replace('tables: orders', 'tables: orders, until: current')
  await writeFile(file, untilNow)
  const again = await tailrace(['run', file, '--log', 'json'], { env })
  expect([again.code, again.stdout]).toEqual([0, '{"id":1}\n'])
  const told = parseLines(again.stderr) as unknown as { event?: string; records?: number }[]
  expect(told.find(({ event }) => event === 'pipeline-ended')).toMatchObject({ records: 1 })
  const records = await recordsOf(join(folder.path, 'out.ndjson'))
  expect(records.map(({ operation, key }) => `${operation} ${key!.id}`)).toEqual([
    ...['snapshot 1', 'snapshot 2', 'create 3', 'delete 1'],
  ])
})

test('a sink that cannot be written to ends the run with its name, and is not exchanged for another one unseen', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  const { file, env } = await pipelineIn(
    folder.path,
    db,
    `
source: {url: "\${SHOP_URL}", tables: orders, slot: "\${SLOT}", until: current}
sinks:
  full: {type: file, path: "\${TARGET:/dev/full}"}
  fine: {type: file, path: fine.ndjson}
`,
  )
  const failed = await tailrace(['run', file], { env })
  expect(failed.code).toBe(1)
  expect(failed.stderr).toMatch(
    /sink full failed, and the pipeline ends\n[\s\S]*OUTPUT_FAILED: cannot write to \/dev\/full: no space left/,
  )
  const elsewhere = await tailrace(['run', file], { env: { ...env, TARGET: join(folder.path, 'elsewhere') } })
  expect([elsewhere.code, elsewhere.stderr]).toEqual([1, expect.stringContaining('OUTPUT_MISMATCH')])
})

test('a file that cannot be opened touches nothing on the server, and mended all runs', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  const { file, env } = await pipelineIn(
    folder.path,
    db,
    `source: {url: "\${SHOP_URL}", tables: orders, slot: "\${SLOT}", until: current}\nsinks: {a: {type: file, path: a}}\n`,
  )
  await mkdir(join(folder.path, 'a'))
  const failed = await tailrace(['run', file], { env })
  expect([failed.code, failed.stderr]).toEqual([
    1,
    expect.stringMatching(/sink a failed[\s\S]*OUTPUT_FAILED: [\s\S]*EISDIR/),
  ])
  expect(await db.query('SELECT FROM pg_replication_slots WHERE database = current_database()')).toEqual([])
  await rmdir(join(folder.path, 'a'))
  expect((await tailrace(['run', file], { env })).code).toBe(0)
  expect(await recordsOf(join(folder.path, 'a'))).toHaveLength(2)
})

test('all rows and nothing else, into rotated files: again from the beginning after a kill, complete at the end', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS note FROM generate_series(1, 60000) n;
     ALTER TABLE orders ADD PRIMARY KEY (id)`,
  )
  await using folder = await temporaryFolder()
  const { file, env } = await pipelineIn(
    folder.path,
    db,
    `
source: {url: "\${SHOP_URL}", tables: orders, snapshot: only}
sinks: {pieces: {type: file, path: "pieces/{number}.ndjson", rotate_bytes: 200000}}
`,
  )
  const state = join(folder.path, 'shop.state')
  const pieces = join(folder.path, 'pieces')
  {
    await using running = startTailrace(['run', file], { env })
    await running.waitFor(async () => (await readdir(pieces).catch(() => [])).length > 5, 'some files')
    running.kill('SIGKILL')
    await running.ended
  }
  await readFile(state)
  const finished = await tailrace(['run', file], { env })
  expect([finished.code, finished.stderr]).toEqual([0, expect.stringContaining('60,000 records read')])
  const files = (await readdir(pieces)).sort()
  expect(files.filter((name) => !/^\d{6}\.ndjson$/.test(name))).toEqual([])
  const records = await recordsOf(...files.map((name) => join(pieces, name)))
  expect(new Set(records.map(({ key }) => key!.id)).size).toBe(60_000)
  expect(records).toHaveLength(60_000)
  // What is complete stands, and once more means once more.
  expect((await tailrace(['run', file], { env })).code).toBe(0)
  expect(await recordsOf(...(await readdir(pieces)).map((name) => join(pieces, name)))).toHaveLength(120_000)
})

test('validate shows every mistake and connects to nothing; run refuses the same file', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'bad.yaml')
  await writeFile(file, `source:\n  url: \${NO_URL}\n  tabels: orders\nsinks:\n  - {type: file}\n`)
  const said = [
    `tailrace: ${file}:2:3: source.tables: it is required, and missing`,
    `tailrace: ${file}:2:8: source.url: the variable NO_URL is not set, and there is no \${NO_URL:fallback}`,
    `tailrace: ${file}:3:3: source.tabels: there is no such setting. Did you mean tables?`,
    `tailrace: ${file}:5:5: sinks[0].path: it is required, and missing`,
  ]
  for (const command of ['validate', 'run']) {
    const { code, stderr, stdout } = await tailraceHere([command, file])
    expect([code, stdout, stderr.trimEnd().split('\n')]).toEqual([2, '', said])
  }
  await writeFile(
    file,
    'source: {url: "postgres://nobody:secret@nowhere.invalid/x", tables: orders}\nsinks: [{type: stdout}]\n',
  )
  const fine = await tailraceHere(['validate', file])
  expect([fine.code, fine.stderr]).toEqual([0, ''])
  expect(fine.stdout).toBe(
    `${file} can be run: pipeline bad to stdout; its state is ${join(folder.path, 'bad.state')}\n`,
  )
  const missing = await tailraceHere(['validate', join(folder.path, 'nix.yaml')])
  expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('PIPELINE_UNREADABLE: ')])
})
