import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLES = `
  CREATE TABLE many (id int PRIMARY KEY, n int);
  CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n < 1000), big text, tags text[], doc jsonb, code varchar(3), blob bytea);
  ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE log (n int GENERATED ALWAYS AS IDENTITY, note text)`
const ALL = 'many t log'
const INSERTS = { source: { keyless: 'inserts' } } as const

const between = () => Replication.between(server, server, ALL.replaceAll(' ', ','), TABLES)

// A small batch goes as statements with its values in them, a larger one over staging tables.
describe.each([
  ['small', 1],
  ['large', 600],
])('in a %s batch', (_, rows) => {
  const filler = `INSERT INTO many SELECT i, 0 FROM generate_series(1, ${rows}) i ON CONFLICT (id) DO UPDATE SET n = many.n + 1`

  test('every kind of change, and every kind of text', async () => {
    await using pair = await between()
    await pair.from.query(
      `INSERT INTO t SELECT i, i, repeat('x', 3000) || i, '{}', '{}', 'a', '' FROM generate_series(1, 20) i`,
    )
    await pair.expectSame(ALL, INSERTS)
    await pair.from.query(`BEGIN; ${filler};
      INSERT INTO t VALUES (30, NULL, E'it''s \\\\ \\n\\t\\r ''''', ARRAY[['a,b', NULL], ['"', '\\']], '{"a": "\\u0041''"}', 'ü''x', '\\x00ff');
      INSERT INTO log (note) VALUES ('one'), (E'\\\\.'), (NULL);
      UPDATE t SET n = n + 100 WHERE id < 5;
      UPDATE t SET id = id + 50 WHERE id IN (7, 8);
      UPDATE t SET big = 'short', code = NULL WHERE id = 9;
      DELETE FROM t WHERE id BETWEEN 10 AND 15;
      COMMIT`)
    await pair.expectSame(ALL, INSERTS)
    await pair.from.query(
      `BEGIN; ${filler}; UPDATE t SET n = n - 1 WHERE id = 1; DELETE FROM many WHERE id % 2 = 0; COMMIT`,
    )
    await pair.expectSame(ALL, INSERTS)
  })

  test('a row that is rejected, or that lacks what the target should have, is told with its name', async () => {
    await using pair = await between()
    await pair.from.query(`INSERT INTO t SELECT i, i, repeat('x', 3000) FROM generate_series(1, 3) i`)
    await pair.expectSame(ALL, INSERTS)
    await pair.to.query('ALTER TABLE t ALTER code TYPE varchar(2)')
    await pair.from.query(`BEGIN; ${filler}; INSERT INTO t (id, code) VALUES (6, 'abc'); COMMIT`)
    expect(await failureOf(pair.run(INSERTS))).toMatchObject({ code: 'ROW_REJECTED', details: { sqlstate: '22001' } })
    await pair.to.query('ALTER TABLE t ALTER code TYPE varchar(3)')
    await pair.expectSame(ALL, INSERTS)
    await pair.to.query('DELETE FROM t WHERE id = 2')
    await pair.from.query(`BEGIN; ${filler}; UPDATE t SET n = 9 WHERE id = 2; COMMIT`)
    const failure = await failureOf(pair.run(INSERTS))
    expect(failure?.code).toBe('ROW_REJECTED')
    expect(failure?.message).toContain('id=2')
  })

  test('a whole row that the target should have, and has not, is written', async () => {
    await using pair = await between()
    await pair.from.query('INSERT INTO t SELECT i, i FROM generate_series(1, 3) i')
    await pair.expectSame(ALL, INSERTS)
    await pair.to.query('DELETE FROM t WHERE id = 2')
    await pair.from.query(`BEGIN; ${filler}; UPDATE t SET n = 9 WHERE id IN (1, 2); COMMIT`)
    await pair.expectSame(ALL, INSERTS)
  })

  // A division by zero is what our own statements fail with, too: it must not be taken for that.
  test("a check of the target's that divides by zero is told as what it is", async () => {
    await using pair = await between()
    await pair.run(INSERTS)
    await pair.to.query('ALTER TABLE t ADD CHECK (1 / n IS NOT NULL)')
    await pair.from.query(`BEGIN; ${filler}; INSERT INTO t (id, n) VALUES (5, 0); COMMIT`)
    expect(await failureOf(pair.run(INSERTS))).toMatchObject({ code: 'ROW_REJECTED', details: { sqlstate: '22012' } })
    expect(await rowsOf(pair.to, 't')).toEqual([])
  })
})
