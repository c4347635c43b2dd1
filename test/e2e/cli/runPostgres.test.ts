import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startServer } from '../../support/servers.js'
import { SEED, seededRandom } from '../../support/sourceWriters.js'
import { startTailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { type DatabasePair, databasePair } from '../../support/verifying.js'

/** Changes of all kinds, some hundred a second, until `stopped`. */
async function write({ source }: DatabasePair, random: () => number, stopped: AbortSignal): Promise<void> {
  const client = await source.connect()
  for (let next = 100_000; !stopped.aborted; next++) {
    const some = `id = (SELECT id FROM items WHERE id >= ${Math.floor(random() * 20_000)} ORDER BY id LIMIT 1)`
    const kind = random()
    const statement =
      kind < 0.4
        ? `INSERT INTO items SELECT ${next}, 0, md5('${next}')`
        : kind < 0.7
          ? `UPDATE items SET n = n + 1 WHERE ${some}`
          : kind < 0.8
            ? `UPDATE items SET id = -${next} WHERE ${some}`
            : kind < 0.9
              ? `DELETE FROM items WHERE ${some}`
              : `INSERT INTO log SELECT 1, ${next} + n, 'x' FROM generate_series(1, 100) n`
    await client.query(statement)
    await sleep(2)
  }
}

test('killed at random under load, the copy has every row exactly once, also of a table without a key', async () => {
  await using server = await startServer()
  await using pair = await databasePair(
    server,
    `CREATE TABLE items (id int8 PRIMARY KEY, n int4 NOT NULL, note text);
     CREATE TABLE log (writer int4 NOT NULL, n int4 NOT NULL, note text)`,
  )
  pair.source.expectSlots = true
  await pair.source.query(`
    INSERT INTO items SELECT n, n, md5(n::text) FROM generate_series(1, 30000) n;
    INSERT INTO log SELECT 0, n, md5(n::text) FROM generate_series(1, 30000) n`)
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
  const writing = write(pair, random, stop.signal)
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
  last.kill('SIGTERM')
  const told = `TAILRACE_TEST_SEED=${SEED} ${hits.join(' ')}\n${last.stderr}`
  expect((await last.ended).code, told).toBe(0)
  expect(hits.filter((hit) => hit === 'stream').length, told).toBeGreaterThanOrEqual(3)

  // Of the table without a key it counts how often each row is there.
  const tables = (await pair.verify('items,log')).map(({ table, verdict }) => `${table} ${verdict}`)
  expect(tables.sort(), told).toEqual(['public.items equal', 'public.log equal'])
}, 180_000)
