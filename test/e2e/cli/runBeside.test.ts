import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'
import { SEED, seededRandom } from '../../support/sourceWriters.js'
import { parseLines, startTailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { databasePair } from '../../support/verifying.js'

const ROWS = 40_000
const COUNTS = 'SELECT count(*) AS rows, sum(n) AS sum, (SELECT count(*) FROM log) AS log FROM items'

test('a copy beside a file, killed again and again while rows are read: both go on, and have each row once', async () => {
  await using server = await startServer()
  await using pair = await databasePair(
    server,
    `CREATE TABLE items (id int8 PRIMARY KEY, n int4 NOT NULL, note text);
     CREATE TABLE log (n int4 NOT NULL, note text)`,
  )
  pair.source.expectSlots = true
  await pair.source.query(`
    INSERT INTO items SELECT n, n, repeat('x', 200) FROM generate_series(1, ${ROWS}) n;
    INSERT INTO log SELECT n, 'row' FROM generate_series(1, 1000) n`)
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'shop.yaml')
  await writeFile(
    file,
    `
source: {url: "\${SHOP_URL}", tables: [items, log], keyless: inserts, slot: ${pair.source.name}, max_bytes: 65536}
sinks:
  all: {type: file, path: all.ndjson}
  copy: {type: postgres, url: "\${COPY_URL}"}
`,
  )
  const env = { SHOP_URL: pair.source.url, COPY_URL: pair.target.url }
  const start = () => startTailrace(['run', file, '--no-control'], { env })
  const copied = async () => (await pair.target.query<{ n: number }>('SELECT count(*)::int AS n FROM items'))[0]!.n
  const random = seededRandom(SEED)
  const counts: number[] = []
  for (let kill = 0; kill < 5; kill++) {
    await using running = start()
    const before = await copied()
    // The kills before may have come so late that all is copied.
    const writes = async () => (await copied()) > before || running.stderr.includes('caught up')
    await running.waitFor(writes, 'it to write', { timeoutMs: 60_000 })
    await sleep(random() * 60)
    running.kill('SIGKILL')
    await running.ended
    counts.push(await copied())
    // What was committed of the copy is told by the next start: whether it was recorded then or not, it goes on.
    await pair.source.query(`
      UPDATE items SET n = n + 1 WHERE id % 97 = ${kill}; DELETE FROM items WHERE id % 89 = ${kill};
      INSERT INTO items VALUES (-${kill + 1}, 0, 'new'); INSERT INTO log VALUES (-${kill}, 'new')`)
  }
  await using last = start()
  await last.says('streaming from')
  const hasAll = async () => {
    const [one, other] = await Promise.all([pair.source, pair.target].map((db) => db.query(COUNTS)))
    return String(one!.map(Object.values)) === String(other!.map(Object.values))
  }
  await last.waitFor(hasAll, 'it to catch up', { timeoutMs: 90_000 })
  last.kill('SIGTERM')
  const told = `TAILRACE_TEST_SEED=${SEED} ${counts}\n${last.stderr}`
  expect((await last.ended).code, told).toBe(0)
  expect(counts.filter((count) => count > 0 && count < 0.9 * ROWS).length, told).toBeGreaterThan(2)

  const tables = (await pair.verify('items,log')).map(({ table, verdict }) => `${table} ${verdict}`)
  expect(tables.sort(), told).toEqual(['public.items equal', 'public.log equal'])
  const records = parseLines(await readFile(join(folder.path, 'all.ndjson'), 'utf8'))
  const ids = records.filter(({ table }) => table === 'items').map(({ id }) => id)
  expect(new Set(ids).size, told).toBe(ids.length)
  const rows = new Map<number, unknown>()
  for (const { table, operation, key, after } of records) {
    if (table === 'log') continue
    if (operation === 'delete') rows.delete(Number(key!.id))
    else rows.set(Number(key!.id), after!.n)
  }
  const expected = await pair.source.query<{ id: string; n: number }>('SELECT id, n FROM items ORDER BY id')
  expect(
    [...rows].sort(([a], [b]) => a - b),
    told,
  ).toEqual(expected.map(({ id, n }) => [Number(id), n]))
  const logged = records.filter(({ table }) => table === 'log').map(({ after }) => `(${after!.n},${after!.note})`)
  expect(logged.sort(), told).toEqual((await rowsOf(pair.source, 'log')).sort())
}, 240_000)
