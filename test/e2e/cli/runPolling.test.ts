import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startServer } from '../../support/servers.js'
import { SEED, seededRandom } from '../../support/sourceWriters.js'
import { parseLines, startTailrace, tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { databasePair } from '../../support/verifying.js'

test('a source that is polled, to a copy and a file: killed again and again both have each row version once', async () => {
  await using server = await startServer({ settings: { wal_level: 'replica' } })
  await using pair = await databasePair(
    server,
    'CREATE TABLE t (id int PRIMARY KEY, version int NOT NULL, note text, at timestamptz NOT NULL DEFAULT clock_timestamp())',
  )
  await pair.source.query(`
    CREATE INDEX ON t (at);
    INSERT INTO t SELECT n, 0, repeat('x', 100) FROM generate_series(1, 20000) n`)
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'shop.yaml')
  const text = `
source:
  url: \${SHOP_URL}
  tables: t
  cdc_mode: long_polling
  poll_interval_ms: 20
  cursors: { t: at }
  max_bytes: 65536
sinks:
  copy: {type: postgres, url: "\${COPY_URL}"}
  all: {type: file, path: all.ndjson}
`
  await writeFile(file, text)
  const env = { SHOP_URL: pair.source.url, COPY_URL: pair.target.url }
  const random = seededRandom(SEED)
  const versions = async () =>
    Number((await pair.target.query('SELECT count(*) + coalesce(sum(version), 0) AS n FROM t'))[0]!.n)
  const counts: number[] = []
  for (let kill = 0; kill < 6; kill++) {
    await using running = startTailrace(['run', file, '--no-control'], { env })
    const before = await versions()
    await running.waitFor(async () => (await versions()) > before, 'it to write', { timeoutMs: 60_000 })
    await sleep(random() * 200)
    running.kill('SIGKILL')
    await running.ended
    counts.push(await versions())
    await pair.source.query(`
      UPDATE t SET version = version + 1, at = clock_timestamp() WHERE id % 5 = ${kill % 5};
      INSERT INTO t SELECT n, 1, 'new' FROM generate_series(${-100 * kill - 100}, ${-100 * kill - 1}) n`)
  }
  await writeFile(file, text.replace('source:', 'source:\n  until: current'))
  const last = await tailrace(['run', file], { env })
  const told = `TAILRACE_TEST_SEED=${SEED} ${counts}\n${last.stderr}`
  expect(last.code, told).toBe(0)
  expect(last.stderr).toContain('POLLING_WITHOUT_DELETES')
  expect(counts[0], told).toBeLessThan(20_000)
  expect(
    (await pair.verify('t')).map(({ verdict }) => verdict),
    told,
  ).toEqual(['equal'])
  const records = parseLines(await readFile(join(folder.path, 'all.ndjson'), 'utf8'))
  const seen = records.map(({ key, after }) => `${key!.id} ${after!.version}`)
  expect(new Set(seen).size, told).toBe(seen.length)
  // Of each row the last version came, whatever it passed through in between.
  const lines = new Map(records.map(({ key, after }) => [Number(key!.id), after!.version]))
  const rows = await pair.source.query<{ id: number; version: number }>('SELECT id, version FROM t ORDER BY id')
  expect(
    [...lines].sort(([a], [b]) => a - b),
    told,
  ).toEqual(rows.map(({ id, version }) => [id, version]))
}, 240_000)
