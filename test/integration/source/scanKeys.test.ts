import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { readSource } from '../../support/sourceReader.js'
import { replay, requireOrder } from '../../support/sourceReplay.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ settings: { max_replication_slots: '30', max_wal_senders: '30' } })
})
afterAll(() => server?.[Symbol.asyncDispose]())

const ROWS = 5000

/** Reads `t` in chunks while rows of all parts of it change; requires that a consumer has the table in the end. */
async function requireExact(db: TestDatabase): Promise<void> {
  db.expectSlots = true
  await using reader = readSource({ url: db.url, tables: 't', slot: `s_${db.name}`, strategy: 'incremental' })
  let over = false
  const writing = (async () => {
    for (let round = 0; !over; round++) {
      await db.query(
        `UPDATE t SET n = n + 1 WHERE mark % 101 = ${round % 101}; DELETE FROM t WHERE mark = ${round * 7}`,
      )
    }
  })()
  try {
    await reader.told('snapshot-finished')
  } finally {
    over = true
    await writing
  }
  await db.query('UPDATE t SET n = -1 WHERE mark = (SELECT max(mark) FROM t)')
  await reader.seen(({ after }) => after?.n === -1, 'the last change')
  await reader.close()
  requireOrder(reader.records)
  const byMark = (a: { mark: number }, b: { mark: number }) => a.mark - b.mark
  const rows = await db.query<{ mark: number; n: number }>('SELECT mark, n FROM t')
  const had = replay(reader.records, 't') as unknown as { mark: number; n: number }[]
  expect(had.map(({ mark, n }) => ({ mark, n })).sort(byMark)).toEqual(rows.sort(byMark))
}

const rows = (columns: string) => `INSERT INTO t SELECT ${columns}, 0, i FROM generate_series(1, ${ROWS}) i`

test.concurrent.each([
  [
    'whose operators are an extension’s',
    `CREATE EXTENSION citext; CREATE TABLE t (id citext PRIMARY KEY, n int, mark int);
     ${rows('CASE i % 2 WHEN 0 THEN md5(i::text) ELSE upper(md5(i::text)) END')}`,
  ],
  [
    'of which a part has operators of an extension',
    `CREATE EXTENSION citext; CREATE TABLE t (a int, id citext, b bigint, n int, mark int, PRIMARY KEY (a, id, b));
     ${rows("i % 3, CASE i % 2 WHEN 0 THEN 'k' || i % 50 ELSE 'K' || i % 50 END, i")}`,
  ],
  [
    'of an extension without any in pg_catalog',
    `CREATE EXTENSION ltree; CREATE TABLE t (id ltree PRIMARY KEY, n int, mark int); ${rows("('a.' || i)::ltree")}`,
  ],
  [
    'with an order of its own',
    `CREATE TYPE mood AS ENUM ('z', 'a', 'm'); CREATE DOMAIN code AS varchar(20) COLLATE "en-x-icu";
     CREATE TABLE t (a mood, "B" code, c char(12), n int, mark int, PRIMARY KEY (a, "B", c));
     ${rows("(ARRAY['z', 'a', 'm']::mood[])[1 + i % 3], CASE i % 2 WHEN 0 THEN 'Ab' ELSE 'ab' END || i % 40, i::text")}`,
  ],
  [
    'of numbers, times and arrays',
    `CREATE TABLE t (a numeric, b timestamptz, c int[], d "char", n int, mark int, PRIMARY KEY (a, b, c, d));
     ${rows("CASE i % 5 WHEN 0 THEN 'NaN' ELSE i / 100 * 1.0 END, CASE i % 7 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' ELSE '2020-01-01 UTC'::timestamptz + i * interval '1 day' END, ARRAY[i % 2, i], '\"'")}`,
  ],
])('a table is read in chunks by a key %s', async (_, sql) => {
  await using db = await testDatabase(server, sql)
  await requireExact(db)
})
