import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { StreamPosition } from '../../../src/source/position.js'
import { startServer } from '../../support/servers.js'
import { fillShort, SHORT_TABLES, writeShort } from '../../support/shortWrites.js'
import { SEED, seededRandom } from '../../support/sourceWriters.js'
import { startTailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { databasePair } from '../../support/verifying.js'
import { waitFor } from '../../support/waitFor.js'

test('killed at random under load, the copy has every row exactly once, also of a table without a key', async () => {
  await using server = await startServer()
  await using pair = await databasePair(server, SHORT_TABLES)
  pair.source.expectSlots = true
  await pair.source.query(fillShort(30_000))
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'shop.yaml')
  await writeFile(
    file,
    `
source:
  url: \${SHOP_URL}
  tables: [items, log]
  keyless: inserts
  slot: ${pair.source.name}
sinks:
  copy: {type: postgres, url: "\${COPY_URL}"}
`,
  )
  const env = { SHOP_URL: pair.source.url, COPY_URL: pair.target.url }
  const random = seededRandom(SEED)
  const hits: string[] = []
  const stop = new AbortController()
  const writing = writeShort(pair.source, random, stop.signal)
  for (let kill = 0; kill < 6; kill++) {
    await using running = startTailrace(['run', file, '--no-control'], { env })
    // The first ones come at any time, the others while it streams.
    if (kill > 2) await running.says('streaming from')
    await sleep((kill > 2 ? 0 : 400) + random() * 600)
    hits.push(running.stderr.includes('streaming from') ? 'stream' : 'before')
    running.kill('SIGKILL')
    await running.ended
  }
  await using last = startTailrace(['run', file], { env })
  await last.says('streaming from')
  stop.abort()
  await writing
  await pair.source.query("INSERT INTO items VALUES (-1, 0, 'the end')")
  const isThere = async () => (await pair.target.query('SELECT FROM items WHERE id = -1')).length > 0
  await last.waitFor(isThere, 'it to catch up', { timeoutMs: 60_000 })
  // Rows are read while changes come: the last change may be there before the last row.
  const isRead = () => !last.stderr.includes('snapshot of') || last.stderr.includes('snapshot finished')
  await last.waitFor(isRead, 'the snapshot to be finished', { timeoutMs: 60_000 })
  last.kill('SIGTERM')
  const told = `TAILRACE_TEST_SEED=${SEED} ${hits.join(' ')}\n${last.stderr}`
  expect((await last.ended).code, told).toBe(0)
  expect(hits.filter((hit) => hit === 'stream').length, told).toBeGreaterThanOrEqual(3)

  // Of the table without a key it counts how often each row is there.
  const tables = (await pair.verify('items,log')).map(({ table, verdict }) => `${table} ${verdict}`)
  expect(tables.sort(), told).toEqual(['public.items equal', 'public.log equal'])
}, 180_000)

test('killed while batches are copied side by side, the target has just what its checkpoint says; then every row once, and the key of the table that was made', async () => {
  await using server = await startServer()
  const random = seededRandom(SEED)
  const tables = 'CREATE TABLE t (id int PRIMARY KEY, note text); CREATE TABLE log (n int, note text)'
  await using pair = await databasePair(server, tables)
  await pair.target.query('DROP TABLE t')
  pair.source.expectSlots = true
  await pair.source.query(`
    INSERT INTO t SELECT i, 'row ' || i || repeat(' x\\', 50) FROM generate_series(1, 200000) i;
    INSERT INTO log SELECT i, 'line ' || i FROM generate_series(1, 20000) i`)
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'shop.yaml')
  await writeFile(
    file,
    `
source:
  url: \${SHOP_URL}
  tables: [t, log]
  keyless: inserts
  slot: ${pair.source.name}
  until: current
sinks:
  copy: {type: postgres, url: "\${COPY_URL}", auto_create: true}
`,
  )
  const env = { SHOP_URL: pair.source.url, COPY_URL: pair.target.url }
  const sessions = (condition: string) =>
    pair.source.query(
      `SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tailrace' AND ${condition}`,
      [pair.target.name],
    )
  await using killed = startTailrace(['run', file, '--no-control'], { env })
  const lock = await pair.target.connect()
  const isMade = async () =>
    (await pair.target.query("SELECT FROM log HAVING count(*) = 20000 AND to_regclass('t') IS NOT NULL")).length > 0
  await killed.waitFor(isMade, 'the table to be made', { intervalMs: 5 })
  // Where the source is slower than one copy there would be no second one.
  await lock.query('BEGIN; LOCK t IN SHARE MODE')
  const isCopying = async () => (await sessions("state = 'active' AND query LIKE 'COPY public.t %'")).length > 1
  await killed.waitFor(isCopying, 'two copies at a time')
  await lock.query('COMMIT')
  await sleep(random() * 100)
  killed.kill('SIGKILL')
  await killed.ended
  await waitFor(async () => (await sessions('true')).length === 0, { what: 'the sessions of what was killed to end' })
  const [there] = await pair.target.query<{ t: number; log: number; position: object }>(
    'SELECT (SELECT count(*) FROM t)::int AS t, (SELECT count(*) FROM log)::int AS log, position FROM tailrace.checkpoint',
  )
  const { t, log, position } = there!
  expect(log).toBe(20_000)
  expect(t).toBeLessThan(200_000)
  expect(StreamPosition.parse(position).place.snapshot?.rows).toBe(t + log)
  const keys = "SELECT contype, conkey FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'p'"
  expect(await pair.target.query(keys)).toEqual([])

  // What it says is what the next one goes on from, with changes that came meanwhile.
  await pair.source.query('UPDATE t SET note = id WHERE id % 1000 = 0; DELETE FROM t WHERE id % 1000 = 1')
  const reader = await pair.target.connect()
  await reader.query('BEGIN; SELECT FROM t LIMIT 1')
  await using last = startTailrace(['run', file, '--no-control'], { env })
  await last.says('sink copy builds the key of public.t')
  await reader.query('COMMIT')
  expect((await last.ended).code, last.stderr).toBe(0)
  for (const table of ['t', 'log']) {
    const digest = `SELECT count(*), sum(hashtextextended(x::text, 0)) FROM ${table} x`
    expect(await pair.target.query(digest)).toEqual(await pair.source.query(digest))
  }
  expect(await pair.target.query(keys)).toEqual([{ contype: 'p', conkey: [1] }])
})
