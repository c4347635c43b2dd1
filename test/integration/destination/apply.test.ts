import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { Replication, rowsOf } from '../../support/replication.js'
import { DEFAULT_MAJOR, startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ major: DEFAULT_MAJOR })
})
afterAll(() => server?.[Symbol.asyncDispose]())

const long = (letter: string) => `repeat('${letter}', 3000)`
const between = (tables: string, sql: string, targetSql?: string) =>
  Replication.between(server, server, tables, sql, targetSql)

test.concurrent('rows of before, and every kind of change after them', async () => {
  await using pair = await between('t', 'CREATE TABLE t (id int PRIMARY KEY, note text, at timestamptz)')
  await pair.from.query("INSERT INTO t SELECT i, E'a\\tb\\n\\\\' || i, '2026-01-01Z' FROM generate_series(1, 5000) i")
  await pair.expectSame('t')
  expect(await rowsOf(pair.to, 't')).toHaveLength(5000)
  await pair.from.query(`
    INSERT INTO t VALUES (5001, NULL, NULL), (5002, '', 'infinity');
    UPDATE t SET note = E'\\r\\\\N' WHERE id % 7 = 0;
    DELETE FROM t WHERE id % 5 = 0;
    BEGIN; INSERT INTO t VALUES (9000, 'x'); UPDATE t SET note = 'y' WHERE id = 9000; DELETE FROM t WHERE id = 9000; COMMIT`)
  await pair.expectSame('t')
  await pair.from.query("TRUNCATE t; INSERT INTO t VALUES (1, 'after')")
  await pair.expectSame('t')
})

test.concurrent('keys that change: composite ones, chains, swaps, shifts, with values that were not sent', async () => {
  const sql = `
    CREATE TABLE t (a text, b int, n int, big text, PRIMARY KEY (b, a));
    ALTER TABLE t ALTER big SET STORAGE EXTERNAL`
  await using pair = await between('t', sql)
  await pair.from.query(`INSERT INTO t SELECT 'k' || i, i, 0, ${long('x')} || i FROM generate_series(1, 40) i`)
  await pair.expectSame('t')
  await pair.from.query(`
    UPDATE t SET n = 1 WHERE b < 4;
    UPDATE t SET a = 'moved', n = 2 WHERE b = 5;
    UPDATE t SET a = 'and again', big = 'short' WHERE b = 5;
    BEGIN; UPDATE t SET b = 99 WHERE b = 6; UPDATE t SET b = 98 WHERE b = 99; UPDATE t SET b = 97 WHERE b = 98; COMMIT;
    BEGIN; UPDATE t SET a = 'swap', b = 90 WHERE b = 7; UPDATE t SET a = 'k7', b = 7 WHERE b = 8; UPDATE t SET a = 'k8', b = 8 WHERE b = 90; COMMIT;
    UPDATE t SET b = b + 1000 WHERE b BETWEEN 20 AND 30;
    UPDATE t SET b = b - 999 WHERE b > 1000;
    DELETE FROM t WHERE b = 10; INSERT INTO t VALUES ('k10', 10, 7, 'new');
    UPDATE t SET b = 11, a = 'k11' WHERE false`)
  await pair.expectSame('t')
})

test.concurrent('keys that the server takes for equal though their texts differ', async () => {
  const sql = 'CREATE TABLE t (id numeric PRIMARY KEY, n int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL'
  await using pair = await between('t', sql)
  await pair.from.query(`INSERT INTO t SELECT i, 0, ${long('x')} || i FROM generate_series(1, 9) i`)
  await pair.expectSame('t')
  await pair.from.query(
    `
    UPDATE t SET id = 1.0; UPDATE t SET n = 1 WHERE id = 1`.replace('SET id = 1.0', 'SET id = 1.0 WHERE id = 1'),
  )
  await pair.from.query(`
    BEGIN; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (2.00, 5, 'new'); COMMIT;
    BEGIN; UPDATE t SET id = 3.0 WHERE id = 3; UPDATE t SET id = 3 WHERE id = 3; UPDATE t SET n = 3 WHERE id = 3; COMMIT;
    UPDATE t SET n = 4 WHERE id = 4;
    UPDATE t SET id = 5.000 WHERE id = 5; DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (5, 1, NULL)`)
  await pair.expectSame('t')
})

test.concurrent('types by their text: arrays, composites, enums, domains, json, bytea, generated and identity columns', async () => {
  const sql = `
    CREATE EXTENSION citext; CREATE EXTENSION hstore;
    CREATE TYPE mood AS ENUM ('it''s', 'b\\'); CREATE TYPE pair AS (x int, y text);
    CREATE DOMAIN code AS varchar(9) NOT NULL CHECK (VALUE <> 'gone');
    CREATE TABLE "T""x""" (
      "k 1" citext, k2 code, k3 char(5),
      m mood[], p pair, ps pair[], j json, jb jsonb, b bytea, n numeric(12, 3), f float8, iv interval, h hstore,
      r int4range, i inet, ts timestamp(3), money money, bits bit(3), x xml, "select" int,
      g int GENERATED ALWAYS AS ("select" * 2) STORED, id bigint GENERATED ALWAYS AS IDENTITY, d code DEFAULT 'd',
      PRIMARY KEY ("k 1", k2, k3));
    ALTER TABLE "T""x""" ALTER jb SET STORAGE EXTERNAL`
  await using pair = await between('"T""x"""', sql)
  await pair.from.query(`
    INSERT INTO "T""x""" ("k 1", k2, k3, m, p, ps, j, jb, b, n, f, iv, h, r, i, ts, money, bits, x, "select")
    SELECT 'Key' || k, 'c', 'ab', ARRAY['it''s', 'b\\', NULL]::mood[], (1, E'a"\\t,\\\\b')::pair, ARRAY[ROW(1, 'x')::pair, NULL],
      E'{ "a" :\\n 1}', jsonb_build_object('b', ${long('j')}), '\\x00ff5c'::bytea, 'NaN', '-Infinity', '1 mon -3 days 04:05:06.7', 'a=>1, b=>NULL',
      '[1,5)', '10.0.0.1/24', '2026-02-03 04:05:06.789', '-1234.5', B'101', '<a>&amp;</a>', k
      FROM generate_series(1, 3) k`)
  await pair.expectSame('"T""x"""')
  await pair.from.query(`
    UPDATE "T""x""" SET "select" = 9, f = -0.0, b = '' WHERE "k 1" = 'key1';
    UPDATE "T""x""" SET "k 1" = 'KEY2' WHERE "k 1" = 'key2';
    UPDATE "T""x""" SET id = DEFAULT, n = 1.5 WHERE "k 1" = 'key1';
    INSERT INTO "T""x""" ("k 1", k2, k3) VALUES ('n', 'n', '');
    DELETE FROM "T""x""" WHERE "k 1" = 'KEY3'; INSERT INTO "T""x""" ("k 1", k2, k3) VALUES ('key3', 'c', 'ab')`)
  await pair.expectSame('"T""x"""')
})

test.concurrent('a key that is an identity column', async () => {
  const sql = (always: string) => `CREATE TABLE t (id int GENERATED ${always} AS IDENTITY PRIMARY KEY, n int)`
  await using pair = await between('t', sql('BY DEFAULT'), sql('ALWAYS'))
  await pair.from.query('INSERT INTO t (n) SELECT i FROM generate_series(1, 9) i')
  await pair.expectSame('t')
  await pair.from.query(
    'INSERT INTO t (n) VALUES (10); UPDATE t SET n = 0 WHERE id < 4; UPDATE t SET id = 100 WHERE id = 5; DELETE FROM t WHERE id = 6',
  )
  await pair.expectSame('t')
})

test.concurrent('a target whose key is deferrable, which ON CONFLICT does not take', async () => {
  const sql = (deferrable: string) => `
    CREATE TABLE t (id int PRIMARY KEY ${deferrable}, n int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE ids (id int PRIMARY KEY ${deferrable})`
  await using pair = await between('t,ids', sql(''), sql('DEFERRABLE'))
  await pair.from.query(
    `INSERT INTO t SELECT i, i, ${long('x')} FROM generate_series(1, 10) i; INSERT INTO ids VALUES (1)`,
  )
  await pair.expectSame('t ids')
  await pair.from.query(`
    UPDATE t SET n = 0, big = 'short' WHERE id = 5; UPDATE t SET id = 11 WHERE id = 6; INSERT INTO t VALUES (6, 1);
    UPDATE t SET id = 0 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 0;
    UPDATE ids SET id = 2; INSERT INTO ids VALUES (1)`)
  await pair.expectSame('t ids')
})

test.concurrent('rows without a key are appended; tables with foreign keys, in whatever order they stand', async () => {
  const sql = `
    CREATE TABLE log (line text);
    CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL);
    CREATE TABLE parent (id int PRIMARY KEY);
    ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES parent`
  await using pair = await between('log,child,parent', sql)
  const options = { source: { keyless: 'inserts' }, destination: { replicationRole: 'origin' } } as const
  await pair.from.query(
    "INSERT INTO log VALUES ('a'), ('a'), (NULL); INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1)",
  )
  // Snapshot rows come a batch a table, in no order that suits.
  await pair.expectSame('log child parent', { source: { keyless: 'inserts' } })
  await pair.from.query(`
    INSERT INTO log VALUES ('a'), ('b');
    UPDATE child SET id = 2;
    BEGIN; INSERT INTO parent VALUES (2), (3); UPDATE child SET parent = 2; DELETE FROM parent WHERE id = 1; INSERT INTO child VALUES (3, 3); COMMIT;
    BEGIN; DELETE FROM child WHERE parent = 3; DELETE FROM parent WHERE id = 3; COMMIT`)
  await pair.expectSame('log child parent', options)
  await pair.from.query('TRUNCATE parent, child')
  await pair.expectSame('log child parent', options)
})

test.concurrent('values of a unique column that change hands are written in the order of the source', async () => {
  await using pair = await between('t', 'CREATE TABLE t (id int PRIMARY KEY, email text UNIQUE)')
  await pair.from.query("INSERT INTO t SELECT i, 'm' || i FROM generate_series(1, 20) i")
  await pair.expectSame('t')
  await pair.from.query(`
    BEGIN; UPDATE t SET email = 'x' WHERE id = 1; UPDATE t SET email = 'm1' WHERE id = 2; UPDATE t SET email = 'm2' WHERE id = 1; COMMIT;
    BEGIN; UPDATE t SET email = 'free' WHERE id = 9; INSERT INTO t VALUES (0, 'm9'); COMMIT;
    BEGIN; DELETE FROM t WHERE id = 12; UPDATE t SET email = 'm12' WHERE id = 11; COMMIT`)
  await pair.expectSame('t')
})

test.concurrent('another table by template, another key, fewer columns, a partitioned target with other columns', async () => {
  await using pair = await between(
    't',
    `CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL UNIQUE, secret text, n int);
     ALTER TABLE t REPLICA IDENTITY FULL`,
    `CREATE SCHEMA "Copy";
     CREATE TABLE "Copy"."public/t" (n int, code text NOT NULL, id int, seen bool DEFAULT true, PRIMARY KEY (code)) PARTITION BY HASH (code);
     CREATE TABLE p0 PARTITION OF "Copy"."public/t" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
     CREATE TABLE p1 PARTITION OF "Copy"."public/t" FOR VALUES WITH (MODULUS 2, REMAINDER 1)`,
  )
  const options = {
    source: { columns: ['t:id,code,n'] },
    destination: { table: 'Copy.{schema}/{table}', keys: ['t:code'] },
  }
  await pair.from.query("INSERT INTO t SELECT i, 'c' || i, 's', i FROM generate_series(1, 9) i")
  await pair.run(options)
  await pair.from.query(
    "UPDATE t SET id = id + 100, n = 0 WHERE id < 4; UPDATE t SET code = 'new' WHERE n = 5; DELETE FROM t WHERE n = 6",
  )
  await pair.run(options)
  const rows = (db: typeof pair.to, table: string) => db.query(`SELECT id, code, n FROM ${table} ORDER BY code`)
  expect(await rows(pair.to, '"Copy"."public/t"')).toEqual(await rows(pair.from, 't'))
})

test.concurrent('a table that is read again: what is missing comes, what the source has not goes', async () => {
  const sql =
    'CREATE TABLE t (a int, b bigint, n int, PRIMARY KEY (a, b)); CREATE TABLE words (w text PRIMARY KEY, n int)'
  await using pair = await between('t,words', sql)
  await pair.from.query(`
    INSERT INTO t SELECT i % 7, i, i FROM generate_series(1, 3000) i; INSERT INTO words SELECT 'w' || i, i FROM generate_series(1, 3000) i`)
  await pair.expectSame('t words')
  await pair.to.query(`
    DELETE FROM t WHERE b % 5 = 0; UPDATE t SET n = 0; INSERT INTO t SELECT 3, i, i FROM generate_series(9000, 9100) i;
    INSERT INTO t VALUES (-1, 1), (99, 1); DELETE FROM words; INSERT INTO words VALUES ('stale', 1)`)
  // Its slot is gone, as if its WAL had been.
  await pair.from.query(`SELECT pg_drop_replication_slot('${pair.from.name}')`)
  await pair.expectSame('t', { source: { onSlotLost: 'resnapshot' } })
  // Which words lie in a part of them depends on the collation, which may be another here.
  const words = new Set(await rowsOf(pair.to, 'words'))
  expect(words.has('(stale,1)') ? words.size : words.size + 1).toBe(3001)
  await pair.from.query('DELETE FROM t; DELETE FROM words')
  await pair.expectSame('t')
  await pair.to.query("INSERT INTO t VALUES (1, 1); INSERT INTO words VALUES ('stale', 1) ON CONFLICT DO NOTHING")
  await pair.from.query(`SELECT pg_drop_replication_slot('${pair.from.name}')`)
  await pair.expectSame('t words', { source: { onSlotLost: 'resnapshot' } })
})
