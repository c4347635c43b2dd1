import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { DestinationOptions } from '../../../src/destination/options.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'
import type { TestDatabase } from '../../support/database.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const between = (tables: string, sql: string, targetSql = sql) =>
  Replication.between(server, server, tables, sql, targetSql)

const destination = { evolve: true, autoCreate: true } as const

async function columnsOf(db: TestDatabase, table: string): Promise<string[]> {
  const rows = await db.query<{ one: string }>(
    `SELECT attname || ' ' || format_type(atttypid, atttypmod) AS one FROM pg_attribute
      WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  )
  return rows.map(({ one }) => one)
}

/** One run that goes on: each step is done when both sides have the same for the one before. */
async function live(
  pair: Replication,
  options: Partial<DestinationOptions>,
  steps: readonly string[],
  select = 'SELECT t::text AS row FROM t ORDER BY 1',
  onFailure?: (error: unknown) => Promise<void>,
): Promise<void> {
  await using writing = pair.destination({ ...destination, ...options })
  const position = await writing.open()
  await using reading = new PostgresSource({ url: pair.from.url, tables: 't', slot: pair.from.name, position })
  const [first, ...rest] = steps
  await pair.from.query(first!)
  for await (const batch of reading) {
    let durable: boolean
    try {
      durable = await writing.write(batch)
    } catch (error) {
      if (onFailure === undefined) throw error
      await onFailure(error)
      durable = await writing.write(batch)
    }
    if (durable) await batch.ack()
    const there = await pair.to.query(select).catch(() => [])
    if (JSON.stringify(there) !== JSON.stringify(await pair.from.query(select))) continue
    const next = rest.shift()
    if (next === undefined) return
    await pair.from.query(next)
  }
}

const SQL = 'CREATE TABLE t (id int PRIMARY KEY, n int, v varchar(5), d numeric(6, 2))'

test.concurrent('columns that were widened and added while nothing ran, with rows of all shapes in one batch', async () => {
  await using pair = await between('t', SQL)
  await pair.from.query("INSERT INTO t SELECT i, i, 'v', 1.5 FROM generate_series(1, 20) i")
  await pair.expectSame('t', { destination })
  await pair.from.query(`
    UPDATE t SET n = 100 WHERE id = 1; INSERT INTO t VALUES (21, 1, 'old', 2);
    ALTER TABLE t ALTER n TYPE bigint, ALTER v TYPE text, ALTER d TYPE numeric(10, 4);
    UPDATE t SET n = 5000000000, v = 'longer than five', d = 123456.7891 WHERE id = 6;
    ALTER TABLE t ADD COLUMN added text;
    INSERT INTO t VALUES (22, 1, 'new', 2, 'x'); UPDATE t SET added = 'y' WHERE id < 4; DELETE FROM t WHERE id = 9;
    ALTER TABLE t ADD COLUMN filled int NOT NULL DEFAULT 7, ADD COLUMN words text[] DEFAULT '{"a,b",c}';
    INSERT INTO t VALUES (23, 1, 'new', 2, 'x', 8, NULL); UPDATE t SET filled = 9 WHERE id = 5;
    BEGIN; ALTER TABLE t ADD COLUMN last date; INSERT INTO t (id, n) VALUES (60, 1); COMMIT`)
  await pair.expectSame('t', { destination })
  expect(await columnsOf(pair.to, 't')).toEqual(await columnsOf(pair.from, 't'))
  await pair.from.query('UPDATE t SET v = NULL, filled = 1 WHERE id % 2 = 0; DELETE FROM t WHERE id = 60')
  await pair.expectSame('t', { destination })
})

test.concurrent('columns that are renamed, widened and added while a run goes on', async () => {
  await using pair = await between('t', SQL)
  await pair.from.query("INSERT INTO t SELECT i, i, 'v', 1.5 FROM generate_series(1, 20) i")
  await pair.expectSame('t', { destination })
  await live(pair, {}, [
    "INSERT INTO t VALUES (0, 0, 'v', 0)",
    `INSERT INTO t VALUES (30, 0, 'v', 0); ALTER TABLE t RENAME v TO "V 2"; UPDATE t SET "V 2" = 'new' WHERE id < 5`,
    'ALTER TABLE t ADD COLUMN v int DEFAULT 3; ALTER TABLE t RENAME n TO m; INSERT INTO t (id, v) VALUES (31, 1)',
    'ALTER TABLE t ALTER id TYPE bigint; INSERT INTO t VALUES (6000000000)',
    'ALTER TABLE t RENAME d TO e; ALTER TABLE t ADD COLUMN d numeric(6, 2); INSERT INTO t (id, d, e) VALUES (32, 1, 2)',
  ])
  expect(await columnsOf(pair.to, 't')).toEqual(await columnsOf(pair.from, 't'))
})

test.concurrent('a batch that fails leaves the table as it was; a lost connection too, and then all is there', async () => {
  await using pair = await between('t', SQL)
  await pair.from.query("INSERT INTO t VALUES (1, 1, 'v', 1)")
  await pair.expectSame('t', { destination })
  await pair.to.query('ALTER TABLE t ADD CONSTRAINT small CHECK (n < 10)')
  await pair.from.query(
    "ALTER TABLE t ADD COLUMN added text; INSERT INTO t VALUES (2, 2, 'v', 1, 'a'), (3, 30, 'v', 1, 'a')",
  )
  expect(await failureOf(pair.run({ destination }))).toMatchObject({ code: 'ROW_REJECTED', details: { key: 'id=3' } })
  expect(await columnsOf(pair.to, 't')).toHaveLength(4)
  await pair.to.query('ALTER TABLE t DROP CONSTRAINT small')
  await pair.to.query('BEGIN; LOCK TABLE t')
  const running = pair.run({ destination: { ...destination, retryMs: 20_000 } })
  const waiting = async () => {
    const rows = await pair.from.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tailrace' AND wait_event_type = 'Lock'`,
      [pair.to.name],
    )
    return rows[0]?.pid
  }
  let pid = await waiting()
  while (pid === undefined) pid = await waiting()
  await pair.from.query(`SELECT pg_terminate_backend(${pid})`)
  await pair.to.query('COMMIT')
  await running
  expect(await rowsOf(pair.to, 't')).toEqual(await rowsOf(pair.from, 't'))
})

test.concurrent.each(['keep', 'drop'] as const)('columns that the source drops: %s', async (columnsDropped) => {
  await using pair = await between('t', SQL.replace('n int', 'n int NOT NULL'))
  await pair.from.query("INSERT INTO t VALUES (1, 1, 'v', 1), (2, 2, 'w', 2)")
  await pair.expectSame('t', { destination })
  const steps = [
    "INSERT INTO t VALUES (3, 3, 'v', 1)",
    "INSERT INTO t VALUES (4, 4, 'v', 1); ALTER TABLE t DROP COLUMN n; INSERT INTO t VALUES (5, 'x', 4); UPDATE t SET v = 'y' WHERE id = 2",
  ]
  await live(pair, { columnsDropped }, steps, 'SELECT id, v, d FROM t ORDER BY id')
  expect(await columnsOf(pair.to, 't')).toEqual([
    'id integer',
    ...(columnsDropped === 'keep' ? ['n integer'] : []),
    'v character varying(5)',
    'd numeric(6,2)',
  ])
  if (columnsDropped === 'keep') {
    expect(await rowsOf(pair.to, '(SELECT id, n FROM t)')).toEqual(['(1,1)', '(2,2)', '(3,3)', '(4,4)', '(5,)'])
  }
})

test.concurrent('types of new columns are made, and enums get their labels, before a run and in it', async () => {
  const sql = "CREATE TYPE mood AS ENUM ('b', 'd'); CREATE TABLE t (id int PRIMARY KEY, m mood)"
  await using pair = await between('t', sql)
  await pair.from.query("INSERT INTO t VALUES (1, 'b')")
  await pair.expectSame('t', { destination })
  await pair.from.query(
    "ALTER TYPE mood ADD VALUE 'a' BEFORE 'b'; ALTER TYPE mood ADD VALUE 'c' BEFORE 'd'; ALTER TYPE mood ADD VALUE 'e'",
  )
  await pair.from.query(`
    INSERT INTO t VALUES (2, 'a'), (3, 'c'), (4, 'e');
    CREATE TYPE point3 AS (x float8, y float8, z float8); CREATE DOMAIN word AS text CHECK (VALUE <> '');
    ALTER TABLE t ADD COLUMN p point3, ADD COLUMN w word, ADD COLUMN ms mood[];
    INSERT INTO t VALUES (5, 'a', (1, 2, 3), 'w', '{a,e}')`)
  await pair.expectSame('t', { destination })
  const labels = (db: TestDatabase) => db.query('SELECT unnest(enum_range(NULL::mood)) AS label')
  expect(await labels(pair.to)).toEqual(await labels(pair.from))
})

describe('NOT NULL that the source has dropped is dropped at the target, with the first row that has a NULL', () => {
  const STRICT = 'CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, v text NOT NULL, d int)'
  const notNull = async (db: TestDatabase) => {
    const rows = await db.query<{ name: string }>(
      "SELECT attname AS name FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND attnotnull ORDER BY attnum",
    )
    return rows.map(({ name }) => name)
  }

  test.concurrent('while a run goes on, in a table that it made', async () => {
    await using pair = await between('t', STRICT, '')
    await live(pair, {}, [
      "INSERT INTO t VALUES (1, 1, 'v', 1)",
      "INSERT INTO t VALUES (2, 2, 'v', 2); ALTER TABLE t ALTER n DROP NOT NULL; INSERT INTO t VALUES (3, NULL, 'v', 3)",
      "UPDATE t SET n = NULL WHERE id = 1; INSERT INTO t VALUES (4, 4, 'w')",
    ])
    expect(await notNull(pair.to)).toEqual(['id', 'v'])
  })

  test.concurrent.each([
    ['', ['id', 'v']],
    // As the catalog has it again when the rows are read.
    ['; UPDATE t SET n = 0 WHERE n IS NULL; ALTER TABLE t ALTER n SET NOT NULL', ['id', 'v']],
  ])('while nothing ran, among thousands of rows, beside rejected ones%s', async (again, expected) => {
    await using pair = await between('t', STRICT)
    await pair.from.query("INSERT INTO t VALUES (1, 1, 'v', 1)")
    await pair.expectSame('t', { destination })
    await pair.to.query('ALTER TABLE t ADD CONSTRAINT small CHECK (d % 100 <> 7)')
    await pair.from.query(`
      INSERT INTO t SELECT i, i, 'v', i FROM generate_series(2, 1000) i; ALTER TABLE t ALTER n DROP NOT NULL;
      INSERT INTO t SELECT i, nullif(i % 7, 0), 'v', i FROM generate_series(1001, 3000) i${again}`)
    await pair.run({ destination: { ...destination, onRejected: 'dead-letter' } })
    expect(await notNull(pair.to)).toEqual(expected)
    expect(await rowsOf(pair.to, 't')).toEqual(await rowsOf(pair.from, '(SELECT * FROM t WHERE d % 100 <> 7)'))
    expect(new Set(await rowsOf(pair.to, '(SELECT sqlstate FROM tailrace.dead_letter)'))).toEqual(new Set(['(23514)']))
  })

  test.concurrent('in the transaction of that row: where another one ends that, it is there as it was', async () => {
    await using pair = await between('t', STRICT)
    await pair.from.query("INSERT INTO t VALUES (1, 1, 'v', 1)")
    await pair.expectSame('t', { destination })
    await pair.to.query('ALTER TABLE t ADD CONSTRAINT small CHECK (d < 10)')
    await pair.from.query(
      "ALTER TABLE t ALTER n DROP NOT NULL; BEGIN; INSERT INTO t VALUES (2, NULL, 'v', 2); INSERT INTO t VALUES (3, 3, 'v', 30); COMMIT",
    )
    expect(await failureOf(pair.run({ destination }))).toMatchObject({ code: 'ROW_REJECTED', details: { key: 'id=3' } })
    expect([await notNull(pair.to), await rowsOf(pair.to, 't')]).toEqual([['id', 'n', 'v'], ['(1,1,v,1)']])
    await pair.to.query('ALTER TABLE t DROP CONSTRAINT small')
    await pair.expectSame('t', { destination })
    expect(await notNull(pair.to)).toEqual(['id', 'v'])
  })

  test.concurrent("but not the target's own, whose mend is told; once mended the same command goes on", async () => {
    const own = STRICT.replace(', d int', ', d int NOT NULL')
    await using pair = await between('t', STRICT, own)
    await pair.from.query("INSERT INTO t VALUES (1, 1, 'v', 1)")
    await pair.expectSame('t', { destination })
    await pair.from.query("INSERT INTO t VALUES (2, 2, 'v', NULL)")
    const sql = 'ALTER TABLE public.t ALTER COLUMN d DROP NOT NULL'
    for (const options of [destination, {}]) {
      expect(await failureOf(pair.run({ destination: options }))).toMatchObject({
        code: 'ROW_REJECTED',
        hint: expect.stringContaining(`The source takes NULL there: ${sql};`),
      })
    }
    await pair.to.query(sql)
    await pair.expectSame('t', { destination })
  })
})

describe('what was altered while nothing ran is followed as if it had been seen', () => {
  const CASES: readonly [what: string, change: string, columns?: readonly string[]][] = [
    [
      'a column renamed, with rows of both shapes',
      "INSERT INTO t VALUES (3, 3, 'v', 3); ALTER TABLE t RENAME n TO number; INSERT INTO t VALUES (4, 4, 'v', 4)",
      ['id integer', 'number integer', 'v character varying(5)', 'd numeric(6,2)'],
    ],
    [
      'one renamed twice, and another made under its old name, of the same type',
      `INSERT INTO t VALUES (3, 3, 'v', 3); ALTER TABLE t RENAME n TO x; INSERT INTO t VALUES (4, 4, 'v', 4);
       ALTER TABLE t RENAME x TO y; ALTER TABLE t ADD COLUMN n int DEFAULT 9; INSERT INTO t VALUES (5, 5, 'v', 5, 5)`,
    ],
    [
      'two that change their names, of one type',
      'ALTER TABLE t RENAME n TO x; ALTER TABLE t RENAME o TO n; ALTER TABLE t RENAME x TO o; UPDATE t SET n = 7 WHERE id = 1',
    ],
    [
      'one added and dropped again, with rows between',
      "ALTER TABLE t ADD COLUMN x int DEFAULT (random() * 9)::int; INSERT INTO t (id, x) VALUES (3, 3); ALTER TABLE t DROP COLUMN x; INSERT INTO t VALUES (4, 4, 'v', 4)",
      ['id integer', 'n integer', 'v character varying(5)', 'd numeric(6,2)'],
    ],
    [
      'one dropped, another widened, a third added',
      "INSERT INTO t VALUES (3, 3, 'v', 3); ALTER TABLE t DROP COLUMN n, ALTER v TYPE text, ADD COLUMN n2 int DEFAULT 4; INSERT INTO t VALUES (4, 'longer than five', 4, 5)",
      ['id integer', 'v text', 'd numeric(6,2)', 'n2 integer'],
    ],
  ]
  test.concurrent.each(CASES)('%s', async (what, change, columns) => {
    const made = what.startsWith('two') ? `${SQL}; ALTER TABLE t ADD COLUMN o int DEFAULT 5` : SQL
    await using pair = await between('t', made)
    await pair.from.query("INSERT INTO t VALUES (1, 1, 'v', 1.25), (2, 2, 'w', 2)")
    const options = { ...destination, columnsDropped: 'drop' } as const
    await pair.expectSame('t', { destination: options })
    await pair.from.query(change)
    await pair.expectSame('t', { destination: options })
    if (columns !== undefined) expect(await columnsOf(pair.to, 't')).toEqual(columns)
    // What was remembered of that is right, too.
    await pair.from.query('ALTER TABLE t RENAME v TO w; DELETE FROM t WHERE id = 1; INSERT INTO t (id) VALUES (9)')
    await pair.expectSame('t', { destination: options })
    expect(new Set(await columnsOf(pair.to, 't'))).toEqual(new Set(await columnsOf(pair.from, 't')))
  })

  const STOPS: readonly [what: string, change: string, code: string, mend: string][] = [
    [
      'a column dropped and made anew, of the same type',
      'ALTER TABLE t DROP COLUMN n; ALTER TABLE t ADD COLUMN n int DEFAULT 8; ALTER TABLE t DROP COLUMN d; INSERT INTO t (id) VALUES (3)',
      'COLUMN_REPLACED',
      'ALTER TABLE t DROP COLUMN n, ADD COLUMN n int DEFAULT 8',
    ],
    [
      'one that was dropped before, and is made anew now',
      'ALTER TABLE t ADD COLUMN d numeric(6, 2) DEFAULT 6; INSERT INTO t (id) VALUES (3)',
      'COLUMN_REPLACED',
      'ALTER TABLE t DROP COLUMN d, ADD COLUMN d numeric(6, 2) DEFAULT 6',
    ],
    [
      'a type that became another whose text the old one takes',
      'ALTER TABLE t ALTER v TYPE int USING 1; INSERT INTO t (id) VALUES (3)',
      'TARGET_TYPE_DIFFERS',
      'ALTER TABLE t ALTER v TYPE int USING 1',
    ],
  ]
  test.concurrent.each(STOPS)(
    'or told, and the next run knows that it was mended: %s',
    async (what, change, code, mend) => {
      await using pair = await between('t', SQL)
      await pair.from.query("INSERT INTO t VALUES (1, 1, 'v', 1.25), (2, 2, 'w', 2)")
      await pair.expectSame('t', { destination })
      if (what.startsWith('one that')) {
        await pair.from.query('ALTER TABLE t DROP COLUMN d; INSERT INTO t (id) VALUES (7)')
        await pair.run({ destination })
      }
      await pair.from.query(change)
      for (let attempt = 0; attempt < 2; attempt++) {
        expect(await failureOf(pair.run({ destination }))).toMatchObject({ code })
        expect(await rowsOf(pair.to, 't')).toHaveLength(what.startsWith('one that') ? 3 : 2)
      }
      await pair.to.query(mend)
      await pair.run({ destination })
      const columns = 'SELECT id, n, v FROM t'
      expect(await rowsOf(pair.to, `(${columns})`)).toEqual(await rowsOf(pair.from, `(${columns})`))
    },
  )

  test.concurrent('but not by the numbers of a table that was dropped since, or after a new beginning', async () => {
    await using pair = await between('t', SQL)
    await pair.from.query("INSERT INTO t VALUES (1, 1, 'v', 1)")
    await pair.expectSame('t', { destination })
    await pair.from.query(`
      DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v varchar(5), n int, d numeric(6, 2)); INSERT INTO t VALUES (1, 'w', 2, 3)`)
    await pair.run({ destination })
    expect(await rowsOf(pair.to, '(SELECT id, v, n, d FROM t)')).toEqual(await rowsOf(pair.from, 't'))
    const known = await pair.to.query('SELECT source, relation, shape FROM tailrace.table_shape')
    expect(known).toMatchObject([
      { source: 'test', relation: 'public.t', shape: { columns: [{ name: 'id', number: 1, at: 1 }, {}, {}, {}] } },
    ])
    await pair.to.query('DELETE FROM tailrace.checkpoint')
    await using writing = pair.destination(destination)
    await writing.open()
    expect(await rowsOf(pair.to, 'tailrace.table_shape')).toEqual([])
  })
})

describe('what cannot be followed is told with the SQL; what came before is written, and once mended it goes on', () => {
  const CASES: readonly [what: string, change: string, code: string, sql: string, mend: string][] = [
    [
      'a type that becomes narrower',
      'ALTER TABLE t ALTER d TYPE numeric(6, 1); INSERT INTO t VALUES (4, 4, NULL, 4)',
      'TARGET_TYPE_DIFFERS',
      'ALTER COLUMN d TYPE numeric(6,1) USING',
      'ALTER TABLE t ALTER d TYPE numeric(6, 1)',
    ],
    [
      'a type that becomes another',
      "ALTER TABLE t ALTER n TYPE date USING '2026-01-01'::date + n; INSERT INTO t VALUES (4, '2026-01-01')",
      'TARGET_TYPE_DIFFERS',
      'ALTER COLUMN n TYPE date USING',
      "ALTER TABLE t ALTER n TYPE date USING '2026-01-01'::date + n",
    ],
    [
      'values that were computed for the rows that were there',
      'ALTER TABLE t ADD COLUMN made int DEFAULT (random() * 0)::int + 5; INSERT INTO t VALUES (4, 4, NULL, 4, 5)',
      'COLUMN_VALUES_UNKNOWN',
      'ADD COLUMN made integer;',
      'ALTER TABLE t ADD COLUMN made int DEFAULT 5',
    ],
    [
      'a column that took the place of another of its name',
      'ALTER TABLE t DROP COLUMN d; ALTER TABLE t ADD COLUMN d text DEFAULT 3; INSERT INTO t VALUES (4)',
      'COLUMN_REPLACED',
      'DROP COLUMN d, ADD COLUMN d text;',
      'ALTER TABLE t DROP COLUMN d, ADD COLUMN d text DEFAULT 3',
    ],
  ]
  test.concurrent('a table, or a column, that the target has lost: none is made in its place', async () => {
    await using pair = await between('t', SQL)
    await pair.from.query("INSERT INTO t VALUES (1, 1, 'v', 1), (2, 2, 'w', 2)")
    await pair.expectSame('t', { destination })
    await pair.to.query('ALTER TABLE t DROP COLUMN v')
    await pair.from.query("INSERT INTO t VALUES (3, 3, 'x', 3)")
    expect(await failureOf(pair.run({ destination }))).toMatchObject({ code: 'TARGET_COLUMN_MISSING' })
    await pair.to.query("ALTER TABLE t ADD COLUMN v varchar(5); UPDATE t SET v = CASE id WHEN 1 THEN 'v' ELSE 'w' END")
    await pair.run({ destination })
    expect(await rowsOf(pair.to, '(SELECT id, n, v, d FROM t)')).toEqual(await rowsOf(pair.from, 't'))
    await pair.to.query('ALTER TABLE t RENAME TO away')
    await pair.from.query("INSERT INTO t VALUES (4, 4, 'y', 4)")
    expect(await failureOf(pair.run({ destination }))).toMatchObject({ code: 'TARGET_TABLE_GONE' })
    await pair.to.query('ALTER TABLE away RENAME TO t')
    await pair.run({ destination })
    expect(await rowsOf(pair.to, '(SELECT id, n, v, d FROM t)')).toEqual(await rowsOf(pair.from, 't'))
    // One that was dropped on both sides is another table.
    await pair.to.query('DROP TABLE t')
    await pair.from.query(
      'DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, n int, v text, d numeric); INSERT INTO t VALUES (1)',
    )
    await pair.expectSame('t', { destination })
    await pair.from.query("UPDATE t SET v = '007'")
    await pair.expectSame('t', { destination })
    await pair.from.query('ALTER TABLE t ALTER v TYPE int USING v::int; INSERT INTO t VALUES (2, 2, 8)')
    expect(await failureOf(pair.run({ destination }))).toMatchObject({ code: 'TARGET_TYPE_DIFFERS' })
    await pair.to.query('ALTER TABLE t ALTER v TYPE int USING v::int')
    await pair.expectSame('t', { destination })
  })

  test.concurrent.each(CASES)('%s', async (_, change, code, sql, mend) => {
    await using pair = await between('t', SQL)
    await pair.from.query("INSERT INTO t VALUES (1, 1, 'v', 1.25)")
    await pair.expectSame('t', { destination })
    const failures: unknown[] = []
    const steps = ["INSERT INTO t VALUES (2, 2, 'v', 2)", `INSERT INTO t VALUES (3, 3, 'v', 3); ${change}`]
    await live(pair, {}, steps, undefined, async (error) => {
      failures.push(error)
      // Not in part, and not in vain.
      expect(await rowsOf(pair.to, 't')).toHaveLength(3)
      await pair.to.query(mend)
    })
    expect(failures).toMatchObject([{ code, hint: expect.stringContaining(sql) }])
    expect(await columnsOf(pair.to, 't')).toEqual(await columnsOf(pair.from, 't'))
  })

  test.concurrent('a column that may have been renamed, of which no shape is known; the same command goes on', async () => {
    await using pair = await between('t', SQL)
    await pair.from.query("INSERT INTO t VALUES (1, 1, 'v', 1)")
    await pair.expectSame('t', { destination })
    // As a version left it that kept none.
    await pair.to.query('DROP TABLE tailrace.table_shape')
    await pair.from.query(`
      INSERT INTO t VALUES (2, 2, 'v', 2); ALTER TABLE t RENAME n TO number; INSERT INTO t VALUES (3, 3, 'v', 3)`)
    expect(await failureOf(pair.run({ destination }))).toMatchObject({
      code: 'COLUMN_MAYBE_RENAMED',
      hint: expect.stringContaining('RENAME COLUMN n TO number;'),
    })
    expect(await rowsOf(pair.to, 't')).toHaveLength(2)
    await pair.to.query('ALTER TABLE t RENAME COLUMN n TO number')
    await pair.expectSame('t', { destination })
  })
})
