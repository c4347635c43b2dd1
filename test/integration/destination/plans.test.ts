import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { UNIQUE_INDEXES_SQL } from '../../../src/postgres/catalog/tablesSql.js'
import { Replication } from '../../support/replication.js'
import { DEFAULT_MAJOR, startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const ROWS = 30_000
const TABLE = `CREATE TABLE t (id int PRIMARY KEY, n int, large text)`

interface Scans {
  readonly rows: number
  readonly found: number
}

async function scansOf(pair: Replication): Promise<Scans> {
  // Else what this session itself has read is told up to a second later (before 15 by a process that asks for no more than that).
  if (DEFAULT_MAJOR >= 15) await pair.to.query('SELECT pg_stat_force_next_flush()')
  const [row] = await pair.to.query<{ rows: string; found: string }>(
    "SELECT seq_tup_read AS rows, idx_tup_fetch AS found FROM pg_stat_user_tables WHERE relname = 't'",
  )
  return { rows: Number(row!.rows), found: Number(row!.found) }
}

test('deletes, and updates that leave large values alone, are found by the index: nobody reads the whole table for them', async () => {
  await using pair = await Replication.between(server, server, 't', TABLE)
  await pair.from.query(`
    ALTER TABLE t ALTER large SET STORAGE EXTERNAL;
    INSERT INTO t SELECT i, i, CASE WHEN i % 10 = 0 THEN repeat('x', 3000) END FROM generate_series(1, ${ROWS}) i`)
  await pair.expectSame('t')
  await pair.to.query('VACUUM ANALYZE t')
  const before = await scansOf(pair)
  await pair.from.query(`
    BEGIN; DELETE FROM t WHERE id % 50 = 1; UPDATE t SET n = 0 WHERE id % 50 = 0; UPDATE t SET id = -id WHERE id % 100 = 30; COMMIT`)
  await pair.run()
  const found = (ROWS / 50) * 2 + ROWS / 100
  await waitFor(async () => (await scansOf(pair)).found >= before.found + found, { what: 'the statistics of the run' })
  expect((await scansOf(pair)).rows - before.rows).toBeLessThan(ROWS)
  await pair.expectSame('t')
})

test('rows that the target must have are overwritten by UPDATE, others are inserted', async () => {
  // Of ON CONFLICT the trigger would see every row. Those of the first chunk may go one by one, which knows no difference.
  const seen = `${TABLE}; CREATE TABLE seen (inserted int NOT NULL);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.seen VALUES (NEW.id); RETURN NEW; END';
    CREATE TRIGGER note BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note(); ALTER TABLE t ENABLE ALWAYS TRIGGER note`
  await using pair = await Replication.between(server, server, 't', TABLE, seen)
  await pair.from.query('INSERT INTO t SELECT i, i FROM generate_series(1, 20000) i')
  await pair.expectSame('t')
  await pair.to.query('TRUNCATE seen')
  await pair.from.query(`BEGIN; UPDATE t SET n = 0; DELETE FROM t WHERE id = 7; INSERT INTO t VALUES (7, 1), (20001, 1);
    UPDATE t SET n = 2 WHERE id = 20001; UPDATE t SET id = -8 WHERE id = 8; COMMIT`)
  await pair.expectSame('t')
  const inserted = (await pair.to.query<{ inserted: number }>('SELECT inserted FROM seen')).map((row) => row.inserted)
  expect(inserted.sort((a, b) => a - b)).toEqual(expect.arrayContaining([-8, 20001]))
  expect(inserted.length).toBeLessThan(5000)
})

test('an index by which rows are not compared is known, and rows are found all the same', async () => {
  const keyed = (index: string) => `CREATE TABLE t (id text NOT NULL, n int); CREATE UNIQUE INDEX t_id ON t (${index})`
  const source = 'CREATE TABLE t (id text PRIMARY KEY, n int)'
  for (const [index, usual] of [
    ['id', true],
    ['id COLLATE "C"', false],
    ['id text_pattern_ops', false],
  ] as const) {
    await using pair = await Replication.between(server, server, 't', source, keyed(index))
    await pair.from.query("INSERT INTO t SELECT 'row ' || i, i FROM generate_series(1, 2000) i")
    await pair.expectSame('t')
    const [table] = await pair.to.query<{ oid: string }>("SELECT 't'::regclass::oid::text AS oid")
    const indexes = await pair.to.query<{ [column: string]: unknown }>(UNIQUE_INDEXES_SQL, [[table!.oid]])
    expect(indexes).toMatchObject([{ columns: ['id'], is_usual: usual }])
    await pair.from.query(
      "DELETE FROM t WHERE n % 5 = 0; UPDATE t SET n = -n WHERE n % 7 = 0; UPDATE t SET id = id || '!' WHERE n % 3 = 0",
    )
    await pair.expectSame('t')
  }
})
