import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { TestDatabase } from '../../support/database.js'
import { urlAs } from '../../support/openSession.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const between = (tables: string, sql: string, targetSql?: string) =>
  Replication.between(server, server, tables, sql, targetSql)

describe('rows that the target rejects', () => {
  const SOURCE = 'CREATE TABLE t (id int PRIMARY KEY, n text, m text)'
  const CASES: readonly [what: string, targetSql: string, insert: string, expected: object][] = [
    [
      'NOT NULL',
      'CREATE TABLE t (id int PRIMARY KEY, n text NOT NULL, m text)',
      'NULL, NULL',
      { sqlstate: '23502', column: 'n' },
    ],
    [
      'CHECK',
      "CREATE TABLE t (id int PRIMARY KEY, n text CONSTRAINT short CHECK (n <> 'bad'), m text)",
      "'bad', NULL",
      { sqlstate: '23514', constraint: 'short' },
    ],
    [
      'a unique column',
      'CREATE TABLE t (id int PRIMARY KEY, n text, m text UNIQUE)',
      "'bad', 'm5'",
      { sqlstate: '23505', constraint: 't_m_key' },
    ],
    ['a type', 'CREATE TABLE t (id int PRIMARY KEY, n text, m varchar(4))', "'bad', 'too long'", { sqlstate: '22001' }],
  ]

  test.concurrent.each(CASES)(
    '%s: the row is named, nothing of its batch is there, and it goes on once mended',
    async (_, targetSql, values, expected) => {
      await using pair = await between('t', SOURCE, targetSql)
      await pair.from.query("INSERT INTO t SELECT i, 'n', 'm' || i FROM generate_series(1, 9) i")
      await pair.run()
      await pair.from.query(`
      BEGIN; INSERT INTO t SELECT i, 'n', 'n' || i FROM generate_series(10, 30) i; INSERT INTO t VALUES (77, ${values});
      INSERT INTO t SELECT i, 'n', 'n' || i FROM generate_series(31, 50) i; COMMIT`)
      const lengths: number[] = []
      const failed = await failureOf(pair.run({ onBatch: async ({ length }) => lengths.push(length) }))
      expect(failed).toMatchObject({ code: 'ROW_REJECTED', details: { table: 'public.t', key: 'id=77', ...expected } })
      expect(failed!.message).toContain('create of id=77')
      const before = lengths.slice(0, -1).reduce((sum, length) => sum + length, 9)
      expect(await rowsOf(pair.to, 't')).toHaveLength(before)
      await pair.to.query(
        'ALTER TABLE t ALTER n DROP NOT NULL, DROP CONSTRAINT IF EXISTS short, DROP CONSTRAINT IF EXISTS t_m_key, ALTER m TYPE text',
      )
      await pair.expectSame('t')
    },
  )

  test.concurrent('put aside with the reason, where that is set; the rest is written', async () => {
    await using pair = await between('t', SOURCE, CASES[1]![1])
    await pair.from.query("INSERT INTO t VALUES (1, 'bad', 'x'), (2, 'good', 'y')")
    const options = { destination: { onRejected: 'dead-letter', checkpointSchema: 'Own state' } } as const
    await pair.run(options)
    await pair.from.query("INSERT INTO t VALUES (3, 'good', 'y'), (4, 'bad', 'y'); UPDATE t SET m = 'z' WHERE id < 3")
    await pair.run(options)
    expect(await rowsOf(pair.to, 't')).toEqual(['(2,good,z)', '(3,good,y)'])
    const letters = await pair.to.query(
      `SELECT source, target, sqlstate, record ->> 'operation' AS operation, record -> 'after' AS after FROM "Own state".dead_letter ORDER BY at, id`,
    )
    const letter = (operation: string, after: object) => {
      return { source: 'test', target: 'public.t', sqlstate: '23514', operation, after }
    }
    expect(letters).toEqual([
      letter('snapshot', { id: 1, n: 'bad', m: 'x' }),
      letter('create', { id: 4, n: 'bad', m: 'y' }),
      letter('update', { id: 1, n: 'bad', m: 'z' }),
    ])
  })

  // By halves alone these take more than a minute: the limit of 45 s sees it.
  test('thousands of them, for several reasons, in order and without the time that halves would take', async () => {
    await using pair = await between('t', `${SOURCE}; ALTER TABLE t ALTER m SET STORAGE EXTERNAL`)
    await pair.from.query("INSERT INTO t SELECT -i, 'n', repeat('m', 3000) FROM generate_series(1, 40) i")
    await pair.run()
    await pair.to.query(
      'DELETE FROM t WHERE id < -30; ALTER TABLE t ADD CONSTRAINT even CHECK (id < 0 OR id % 2 = 0), ALTER n TYPE varchar(4)',
    )
    await pair.from.query(`
      BEGIN; INSERT INTO t SELECT i, CASE WHEN i % 50 = 0 THEN 'too long' ELSE 'n' END, 'm' FROM generate_series(1, 2500) i;
      UPDATE t SET n = 'new' WHERE id < 0; UPDATE t SET m = 'z' WHERE id BETWEEN 100 AND 110; DELETE FROM t WHERE id BETWEEN 200 AND 220; COMMIT`)
    await pair.run({ destination: { onRejected: 'dead-letter' } })
    const letters = await pair.to.query<{ what: string }>(
      `SELECT concat_ws(' ', record ->> 'operation', record -> 'key' ->> 'id', sqlstate) AS what FROM tailrace.dead_letter ORDER BY number`,
    )
    const inserted = Array.from({ length: 2500 }, (_, i) => i + 1)
    const expected = [
      ...inserted.flatMap((i) => (i % 50 === 0 ? [`create ${i} 22001`] : i % 2 === 1 ? [`create ${i} 23514`] : [])),
      // Their large values were at rows that are gone.
      ...Array.from({ length: 10 }, (_, i) => `update ${-31 - i}`),
      ...[100].map((i) => `update ${i} 22001`),
      ...[101, 103, 105, 107, 109].map((i) => `update ${i} 23514`),
    ]
    const told = letters.map(({ what }) => what)
    expect([...told].sort()).toEqual(expected.sort())
    const creates = told.filter((what) => what.startsWith('create'))
    expect(creates).toEqual(
      inserted.filter((i) => i % 50 === 0 || i % 2 === 1).map((i) => `create ${i} ${i % 50 === 0 ? 22001 : 23514}`),
    )
    const [same] = await pair.from.query(
      "SELECT count(*)::int AS n, sum(id)::int AS sum FROM t WHERE id >= -30 AND (id < 0 OR (id % 2 = 0 AND n = 'n'))",
    )
    expect(await pair.to.query('SELECT count(*)::int AS n, sum(id)::int AS sum FROM t')).toEqual([same])
  }, 45_000)

  test.concurrent('an update whose values stand at a row that is gone', async () => {
    const sql = 'CREATE TABLE t (id int PRIMARY KEY, n text, m text); ALTER TABLE t ALTER m SET STORAGE EXTERNAL'
    await using pair = await between('t', sql)
    await pair.from.query("INSERT INTO t SELECT i, 'n', repeat('m', 3000) FROM generate_series(1, 3) i")
    await pair.expectSame('t')
    await pair.to.query('DELETE FROM t WHERE id = 2')
    await pair.from.query("UPDATE t SET n = 'new'")
    expect(await failureOf(pair.run())).toMatchObject({
      code: 'ROW_REJECTED',
      details: { key: 'id=2', sqlstate: undefined },
      hint: expect.stringContaining("toast: 'fetch'"),
    })
    await pair.expectSame('t', { source: { toast: 'fetch' } })
  })
})

describe('what the target lacks is said before anything is written', () => {
  test.concurrent.each<[what: string, targetSql: string, code: string, hint: string]>([
    ['the table', '', 'TARGET_TABLE_MISSING', 'pg_dump'],
    ['a column', 'CREATE TABLE t (id int PRIMARY KEY)', 'TARGET_COLUMN_MISSING', 'ADD COLUMN "N" numeric(5,2)'],
    [
      'a key',
      'CREATE TABLE t (id int NOT NULL, "N" text, UNIQUE ("N"))',
      'TARGET_KEY_MISSING',
      'UNIQUE INDEX ON public.t (id)',
    ],
    [
      'a key that holds for all rows',
      'CREATE TABLE t (id int, "N" text); CREATE UNIQUE INDEX ON t (id) WHERE id > 0',
      'TARGET_KEY_MISSING',
      'UNIQUE INDEX ON',
    ],
    ['being a table', 'CREATE VIEW t AS SELECT 1 AS id, 2 AS "N"', 'TARGET_NOT_A_TABLE', 'name a table'],
  ])('%s', async (_, targetSql, code, hint) => {
    await using pair = await between(
      't',
      'CREATE TABLE t (id int PRIMARY KEY, "N" numeric(5, 2)); INSERT INTO t VALUES (1, 2)',
      targetSql,
    )
    expect(await failureOf(pair.run())).toMatchObject({
      code,
      message: expect.stringContaining('public.t'),
      hint: expect.stringContaining(hint),
    })
  })

  test.concurrent('a right; and what a role without special rights needs', async () => {
    await using pair = await between('t', 'CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 2)')
    await pair.to.query(`
      DO $$ BEGIN CREATE ROLE writer LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
      GRANT CREATE, TEMPORARY ON DATABASE ${pair.to.name} TO writer; GRANT USAGE ON SCHEMA public TO writer`)
    const destination = { url: urlAs(pair.to.url, 'writer') }
    const denied = await failureOf(pair.run({ destination }))
    expect(denied).toMatchObject({ code: 'TARGET_DENIED', message: expect.stringContaining('table t') })
    await pair.to.query('GRANT SELECT, INSERT, UPDATE, DELETE ON t TO writer')
    await pair.expectSame('t', { destination })
    await pair.from.query('UPDATE t SET id = 2; INSERT INTO t VALUES (3, 4)')
    await pair.expectSame('t', { destination })
    expect(await failureOf(pair.run({ destination: { ...destination, replicationRole: 'replica' } }))).toMatchObject({
      code: 'TARGET_DENIED',
    })
    await pair.to.query('DROP OWNED BY writer')
  })

  test.concurrent('a change without a key', async () => {
    await using pair = await between('t', 'CREATE TABLE t (n int); ALTER TABLE t REPLICA IDENTITY FULL')
    await pair.from.query('INSERT INTO t VALUES (1)')
    await pair.expectSame('t')
    await pair.from.query('DELETE FROM t')
    expect(await failureOf(pair.run())).toMatchObject({
      code: 'KEY_NOT_TOLD',
      message: expect.stringContaining('no key'),
    })
  })

  test.concurrent.each<[what: string, made: string, mended: string, code: string, says: string]>([
    ['table', 'ALTER TABLE t RENAME TO away', 'ALTER TABLE away RENAME TO t', 'TARGET_TABLE_MISSING', 'public.t'],
    ['column', 'ALTER TABLE t RENAME n TO away', 'ALTER TABLE t RENAME away TO n', 'TARGET_COLUMN_MISSING', 'column n'],
  ])('a %s that goes away when the run has written to it; mended it goes on', async (_, made, mended, code, says) => {
    await using pair = await between('t', 'CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1)')
    await pair.expectSame('t')
    await pair.from.query('INSERT INTO t SELECT i, i FROM generate_series(10, 4000) i; UPDATE t SET n = 0')
    let withRows = 0
    const onBatch = async ({ length }: { readonly length: number }) => {
      if (length > 0 && ++withRows === 2) await pair.to.query(made)
    }
    const failed = await failureOf(pair.run({ source: { maxBytes: 64 * 1024 }, onBatch }))
    expect(failed).toMatchObject({ code, message: expect.stringContaining(says) })
    await pair.to.query(mended)
    expect(await rowsOf(pair.to, 't')).not.toHaveLength(1)
    await pair.expectSame('t')
  })

  test.concurrent('a table that was altered under a run is looked at again', async () => {
    await using pair = await between('t', 'CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1)')
    await pair.expectSame('t')
    await pair.from.query("UPDATE t SET n = 2; ALTER TABLE t ADD COLUMN added text; INSERT INTO t VALUES (2, 1, 'x')")
    await pair.to.query('ALTER TABLE t ADD COLUMN added text')
    await pair.expectSame('t')
    await pair.from.query('INSERT INTO t SELECT i, i FROM generate_series(10, 4000) i; UPDATE t SET n = 0')
    let altered = false
    const onBatch = async () => {
      if (altered) return
      altered = true
      await pair.to.query(
        'ALTER TABLE t RENAME TO gone; CREATE TABLE t (added text, n bigint, id int PRIMARY KEY); INSERT INTO t SELECT added, n, id FROM gone',
      )
    }
    await pair.run({ source: { maxBytes: 64 * 1024 }, onBatch })
    const rows = (db: TestDatabase) => db.query('SELECT id, n::int, added FROM t ORDER BY id')
    expect(await rows(pair.to)).toEqual(await rows(pair.from))
  })
})
