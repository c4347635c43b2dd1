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
