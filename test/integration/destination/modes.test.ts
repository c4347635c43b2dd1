import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const between = (tables: string, sql: string, targetSql = '') =>
  Replication.between(server, server, tables, sql, targetSql)

const long = (letter: string) => `repeat('${letter}', 3000)`

describe('delete: soft', () => {
  const destination = { delete: 'soft', autoCreate: true } as const
  const live = (columns = 'id, n') => `(SELECT ${columns} FROM t WHERE _deleted_at IS NULL)`
  const gone = (columns = 'id, n') => `(SELECT ${columns} FROM t WHERE _deleted_at IS NOT NULL)`

  test.concurrent('rows that are deleted are marked, and unmarked when they come again; in small batches and large ones', async () => {
    await using pair = await between('t,log', 'CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE log (n int)')
    const options = { destination, source: { keyless: 'inserts' } } as const
    for (const [from, to] of [
      [1, 9],
      [10, 3000],
    ]) {
      await pair.from.query(
        `INSERT INTO t SELECT i, 0 FROM generate_series(${from}, ${to}) i; INSERT INTO log VALUES (1)`,
      )
      await pair.run(options)
      const third = `id % 3 = 0 AND id BETWEEN ${from} AND ${to}`
      await pair.from.query(`
        DELETE FROM t WHERE ${third}; UPDATE t SET n = n + 1 WHERE id BETWEEN ${from} AND ${to}; UPDATE t SET id = -id WHERE id = ${to! - 1};
        INSERT INTO t VALUES (3, 7) ON CONFLICT DO NOTHING; DELETE FROM t WHERE id = 1`)
      await pair.run(options)
      expect(await rowsOf(pair.to, live())).toEqual(await rowsOf(pair.from, 't'))
      const [row] = await pair.to.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${gone()} t WHERE ${third}`)
      expect(row!.n).toBe(Math.floor(to! / 3) - Math.floor((from! - 1) / 3) - (from === 1 ? 1 : 0))
    }
    // As they were written last: what changed in the batch that deleted them is not, but the transaction may come in two.
    const last = await rowsOf(pair.to, gone())
    expect(last).toContain('(6,0)')
    for (const id of [1, 8]) expect(last.filter((row) => row === `(${id},0)` || row === `(${id},1)`)).toHaveLength(1)
    const marked = await rowsOf(pair.to, '(SELECT id, _deleted_at FROM t WHERE _deleted_at IS NOT NULL AND id = 6)')
    await pair.from.query('TRUNCATE t; INSERT INTO t VALUES (5, 5)')
    await pair.run(options)
    expect(await rowsOf(pair.to, live())).toEqual(['(5,5)'])
    expect((await rowsOf(pair.to, gone())).length).toBeGreaterThan(2900)
    // What was gone before is gone since then.
    expect(await rowsOf(pair.to, '(SELECT id, _deleted_at FROM t WHERE id = 6)')).toEqual(marked)
  })

  test.concurrent('values that were not sent, keys of equal texts, a key that ON CONFLICT does not take, a marker of another name', async () => {
    const sql = (deferrable: string) => `
      CREATE TABLE t (id numeric PRIMARY KEY ${deferrable}, n int, big text ${deferrable && ', "Gone" timestamptz'});
      ALTER TABLE t ALTER big SET STORAGE EXTERNAL`
    await using pair = await between('t', sql(''), sql('DEFERRABLE'))
    const options = { destination: { ...destination, deletedColumn: 'Gone' } }
    await pair.from.query(`INSERT INTO t SELECT i, 0, ${long('x')} || i FROM generate_series(1, 9) i`)
    await pair.run(options)
    await pair.from.query(`
      UPDATE t SET n = 1 WHERE id = 1; UPDATE t SET id = 2.0 WHERE id = 2; UPDATE t SET id = 30 WHERE id = 3;
      BEGIN; DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (4.00, 4, 'new'); COMMIT; DELETE FROM t WHERE id = 5`)
    await pair.run(options)
    expect(await rowsOf(pair.to, '(SELECT id, n, big FROM t WHERE "Gone" IS NULL)')).toEqual(
      await rowsOf(pair.from, 't'),
    )
    expect(await rowsOf(pair.to, '(SELECT id FROM t WHERE "Gone" IS NOT NULL)')).toEqual(['(3)', '(5)'])
  })

  test.concurrent('a table that is read again: what the source has not any more is marked', async () => {
    await using pair = await between('t', 'CREATE TABLE t (id int PRIMARY KEY, n int)')
    await pair.from.query('INSERT INTO t SELECT i, i FROM generate_series(1, 3000) i')
    await pair.run({ destination })
    await pair.to.query(
      'INSERT INTO t SELECT i, i FROM generate_series(9000, 9100) i; UPDATE t SET n = 0 WHERE id < 50',
    )
    await pair.from.query(`DELETE FROM t WHERE id > 2000; SELECT pg_drop_replication_slot('${pair.from.name}')`)
    await pair.run({ destination, source: { onSlotLost: 'resnapshot' } })
    expect(await rowsOf(pair.to, live())).toEqual(await rowsOf(pair.from, 't'))
    expect(await rowsOf(pair.to, gone())).toHaveLength(1101)
  })

  test.concurrent('the column is missing at a target that is there, or the source has one of its name; evolve adds it', async () => {
    const sql = 'CREATE TABLE t (id int PRIMARY KEY, n int)'
    await using pair = await between('t', `${sql}; INSERT INTO t VALUES (1, 1)`, sql)
    expect(await failureOf(pair.run({ destination }))).toMatchObject({
      code: 'TARGET_COLUMN_MISSING',
      hint: expect.stringContaining('ADD COLUMN _deleted_at pg_catalog.timestamptz;'),
    })
    expect(await failureOf(pair.run({ destination: { ...destination, deletedColumn: 'n' } }))).toMatchObject({
      ...{ code: 'ADDED_COLUMN_TAKEN', hint: expect.stringContaining('deletedColumn') },
    })
    await pair.run({ destination: { ...destination, evolve: true } })
    await pair.from.query('DELETE FROM t; INSERT INTO t VALUES (2, 2)')
    await pair.run({ destination })
    expect(await rowsOf(pair.to, gone())).toEqual(['(1,1)'])
  })
})

describe('mode: history', () => {
  const destination = { mode: 'history', autoCreate: true } as const
  const history = '(SELECT id, n, left(big, 2) AS big, _operation, _old_key, _unchanged FROM t ORDER BY number)'
  const numbered = 'ALTER TABLE t ADD COLUMN number serial'

  test.concurrent('every change is a row, in order', async () => {
    const sql =
      'CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL'
    await using pair = await between('t', sql)
    await pair.from.query(`INSERT INTO t VALUES (1, 1, ${long('x')})`)
    await pair.run({ destination })
    await pair.to.query(numbered)
    const [since] = await pair.from.query<{ now: Date }>('SELECT now()')
    await pair.from.query(
      `INSERT INTO t VALUES (2, 2, 'b'); UPDATE t SET n = 3 WHERE id = 2; UPDATE t SET n = 4 WHERE id = 1`,
    )
    await pair.from.query(
      `UPDATE t SET id = 5 WHERE id = 2; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 9, E'\\\\a')`,
    )
    await pair.from.query('TRUNCATE t; ALTER TABLE t REPLICA IDENTITY FULL')
    await pair.from.query(`INSERT INTO t VALUES (7, 7, ${long('y')}); UPDATE t SET n = 8; DELETE FROM t`)
    await pair.run({ destination })
    const rows = await pair.to.query<{ row: string }>(`SELECT t::text AS row FROM ${history} t`)
    expect(rows.map(({ row }) => row)).toEqual([
      '(1,1,xx,snapshot,,)',
      '(2,2,b,create,,)',
      '(2,3,b,update,,)',
      '(1,4,,update,,{big})',
      '(5,3,b,update,"{""id"":""2""}",)',
      '(1,,,delete,,)',
      '(1,9,"\\\\a",create,,)',
      '(,,,truncate,,)',
      '(7,7,yy,create,,)',
      '(7,8,yy,update,,)',
      '(7,8,yy,delete,,)',
    ])
    const [facts] = await pair.to.query(
      'SELECT count(DISTINCT _id)::int AS ids, count(*)::int AS rows, min(_committed_at) AS first, count(_committed_at)::int AS timed FROM t',
    )
    expect(facts).toMatchObject({ ids: 11, rows: 11, timed: 10 })
    expect((facts!.first as Date).getTime()).toBeGreaterThanOrEqual(since!.now.getTime())
    expect(await pair.to.query("SELECT FROM pg_index WHERE indrelid = 't'::regclass")).toEqual([])
  })

  test.concurrent('a new column leaves older rows as they were; of a table that is read again all rows come again', async () => {
    await using pair = await between('t', 'CREATE TABLE t (id int PRIMARY KEY, n int)')
    const options = { destination: { ...destination, evolve: true, historyPrefix: 'h ' } }
    await pair.from.query('INSERT INTO t SELECT i, 0 FROM generate_series(1, 500) i')
    await pair.run(options)
    await pair.from.query(
      'UPDATE t SET n = 1 WHERE id = 1; ALTER TABLE t ADD COLUMN added int DEFAULT 7; UPDATE t SET n = 2 WHERE id = 1',
    )
    await pair.run(options)
    expect(await rowsOf(pair.to, `(SELECT id, n, added, "h operation" FROM t WHERE id = 1)`)).toEqual([
      '(1,0,,snapshot)',
      '(1,1,,update)',
      '(1,2,7,update)',
    ])
    await pair.from.query(`DELETE FROM t WHERE id > 10; SELECT pg_drop_replication_slot('${pair.from.name}')`)
    await pair.run({ ...options, source: { onSlotLost: 'resnapshot' } })
    expect(await pair.to.query('SELECT "h operation" AS op, count(*)::int FROM t GROUP BY 1 ORDER BY 1')).toEqual([
      { op: 'snapshot', count: 510 },
      { op: 'update', count: 2 },
    ])
  })
})
