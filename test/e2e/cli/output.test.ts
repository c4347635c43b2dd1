import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { tailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { linesOf, streamArgs, summary } from './streaming.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const ORDERS = `
  CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL, total numeric, note text);
  INSERT INTO orders VALUES (1, 'Ada', 10.50, NULL), (2, 'Bob', 'NaN', E'two\\nlines')`

test.concurrent('standard output gets the rows, then every change after them, a line each', async () => {
  await using db = await testDatabase(server, ORDERS)
  const { code, stdout, records } = await linesOf(streamArgs(db, 'orders'), 5, () =>
    db.query(`INSERT INTO orders VALUES (3, 'Cyd', 1, '');
              UPDATE orders SET total = 2 WHERE id = 1;
              DELETE FROM orders WHERE id = 2`),
  )
  expect(code).toBe(0)
  expect(summary(records)).toEqual(['snapshot 1', 'snapshot 2', 'create 3', 'update 1', 'delete 2'])
  const id = records[2]!.id.replace(/\/0$/, '')
  expect(stdout.split('\n').slice(0, 3)).toEqual([
    `{"operation":"snapshot","schema":"public","table":"orders","key":{"id":1},"after":{"id":1,"customer":"Ada","total":10.50,"note":null},"id":"${records[0]!.id}"}`,
    `{"operation":"snapshot","schema":"public","table":"orders","key":{"id":2},"after":{"id":2,"customer":"Bob","total":"NaN","note":"two\\nlines"},"id":"${records[1]!.id}"}`,
    `{"operation":"create","schema":"public","table":"orders","key":{"id":3},"after":{"id":3,"customer":"Cyd","total":1,"note":""},"lsn":"${id}","seq":0,"xid":${records[2]!.xid},"committedAt":"${records[2]!.committedAt}","id":"${id}/0"}`,
  ])
  expect(records[0]!.id).toMatch(/^[0-9A-F]+\/[0-9A-F]+\/public\.orders\/1$/)
  expect(records[2]!.committedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
})

test.concurrent('the fields of every kind of record stand in the order that is documented', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (id int PRIMARY KEY, v text);
     ALTER TABLE t ALTER v SET STORAGE EXTERNAL;
     CREATE TABLE f (id int PRIMARY KEY, v text);
     ALTER TABLE f REPLICA IDENTITY FULL;
     INSERT INTO t VALUES (1, repeat('x', 4000));
     INSERT INTO f VALUES (1, 'a')`,
  )
  const { records } = await linesOf(streamArgs(db, 't,f', '--messages'), 11, () =>
    db.query(`BEGIN;
              UPDATE t SET id = 2;
              UPDATE f SET id = 2, v = 'b';
              DELETE FROM f;
              TRUNCATE t;
              SELECT pg_logical_emit_message(true, 'p', 'content');
              INSERT INTO t VALUES (3, '');
              ALTER TABLE t ADD w int;
              INSERT INTO t VALUES (4);
              COMMIT;
              SELECT pg_logical_emit_message(false, 'p', 'outside')`),
  )
  const tail = ['lsn', 'seq', 'xid', 'committedAt', 'id']
  const table = ['operation', 'schema', 'table']
  expect(records.map((record) => Object.keys(record))).toEqual([
    [...table, 'key', 'after', 'id'],
    [...table, 'key', 'after', 'id'],
    [...table, 'key', 'oldKey', 'after', 'unchanged', ...tail],
    [...table, 'key', 'oldKey', 'before', 'after', ...tail],
    [...table, 'key', 'before', ...tail],
    [...table, 'cascade', 'restartIdentity', ...tail],
    ['operation', 'prefix', 'content', 'transactional', ...tail],
    [...table, 'key', 'after', ...tail],
    [...table, 'columns', ...tail],
    [...table, 'key', 'after', ...tail],
    ['operation', 'prefix', 'content', 'transactional', 'lsn', 'id'],
  ])
})

test.concurrent('newlines inside json documents and texts do not break a line', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (id int PRIMARY KEY, j json, a json[], v text);
     INSERT INTO t VALUES (1, E'{\\n "a":\\r\\n [1,\\n2]\\n}', ARRAY[E'[\\n]'::json], E'x\\r\\n\\ty')`,
  )
  const { stdout, records } = await linesOf(streamArgs(db, 't'), 3, () =>
    db.query(`INSERT INTO t SELECT id + 1, j, a, v FROM t; UPDATE t SET j = E'"\\\\n"\\n' WHERE id = 1`),
  )
  expect(stdout.split('\n')).toHaveLength(4)
  const row = { j: { a: [1, 2] }, a: [[]], v: 'x\r\n\ty' }
  expect(records.map(({ after }) => after)).toEqual([
    { id: 1, ...row },
    { id: 2, ...row },
    { ...row, id: 1, j: '\n' },
  ])
})

test.concurrent('without --url the PG* variables, or a service, say where to; a password file for all is warned of', async () => {
  await using db = await testDatabase(server, ORDERS)
  await using home = await temporaryFolder()
  await writeFile(join(home.path, '.pgpass'), '*:*:*:*:s3cret\n', { mode: 0o644 })
  const place = { PGHOST: '127.0.0.1', PGPORT: `${server.port}`, PGUSER: 'postgres' }
  const args = ['stream', '--tables', 'orders', '--snapshot', 'only']
  const variables = await tailrace(args, { env: { HOME: home.path, ...place, PGDATABASE: db.name } })
  expect(variables.code, variables.stderr).toBe(0)
  expect(summary(variables.records)).toEqual(['snapshot 1', 'snapshot 2'])
  expect(variables.stderr).toMatch(/warning: PASSWORD_FILE_PASSED_OVER: .*\.pgpass was passed over: others may read it/)
  expect(variables.stderr).not.toContain('s3cret')
  const services = Object.entries({ host: place.PGHOST, port: place.PGPORT, user: 'postgres', dbname: db.name })
  const lines = services.map(([name, value]) => `${name}=${value}\n`).join('')
  await writeFile(join(home.path, '.pg_service.conf'), `[shop]\n${lines}`)
  const service = await tailrace([...args, '--url', 'service=shop'], { env: { HOME: home.path, PGPASSWORD: 'x' } })
  expect(summary(service.records), service.stderr).toEqual(['snapshot 1', 'snapshot 2'])
  expect(service.stderr).not.toContain('PASSWORD_FILE')
})

test.concurrent('--format row prints only the row, of a delete its key', async () => {
  await using db = await testDatabase(server, ORDERS)
  const args = streamArgs(db, 'orders', '--format', 'row', '--columns', 'orders:id,total')
  const { stdout } = await linesOf(args, 5, () =>
    db.query(`UPDATE orders SET total = 3 WHERE id = 2; TRUNCATE orders;
              INSERT INTO orders VALUES (9, 'Eve', 1); DELETE FROM orders`),
  )
  expect(stdout).toBe(
    '{"id":1,"total":10.50}\n{"id":2,"total":"NaN"}\n{"id":2,"total":3}\n{"id":9,"total":1}\n{"id":9}\n',
  )
})

test.concurrent('--columns leaves the other columns out of rows, --key takes another key', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE "Orders" (id int PRIMARY KEY, number text NOT NULL UNIQUE, "Total" int, secret text);
     ALTER TABLE "Orders" REPLICA IDENTITY FULL;
     CREATE TABLE other (id int PRIMARY KEY, v text);
     INSERT INTO "Orders" VALUES (1, 'A,1', 5, 'hidden');
     INSERT INTO other VALUES (1, 'v')`,
  )
  const args = streamArgs(db, '"Orders",other', '--columns', '"Orders":number,"Total"', '--columns', 'other:id')
  const { stdout, records } = await linesOf([...args, '--key', '"Orders":number', '--snapshot-workers', '1'], 4, () =>
    db.query(`UPDATE "Orders" SET secret = 'other', number = 'B'; DELETE FROM "Orders"`),
  )
  expect(stdout).not.toMatch(/hidden|secret/)
  expect(
    records.map(({ operation, key, oldKey, before, after }) => ({ operation, key, oldKey, before, after })),
  ).toEqual([
    { operation: 'snapshot', key: { number: 'A,1' }, after: { number: 'A,1', Total: 5 } },
    { operation: 'snapshot', key: { id: 1 }, after: { id: 1 } },
    {
      operation: 'update',
      key: { number: 'B' },
      oldKey: { number: 'A,1' },
      before: { number: 'A,1', Total: 5 },
      after: { number: 'B', Total: 5 },
    },
    { operation: 'delete', key: { number: 'B' }, before: { number: 'B', Total: 5 } },
  ])
})

test.concurrent('--tables takes patterns, and --exclude takes some out again', async () => {
  await using db = await testDatabase(
    server,
    `CREATE SCHEMA sales;
     CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE sales.inv_1 (id int PRIMARY KEY);
     CREATE TABLE sales.inv_old (id int PRIMARY KEY); CREATE TABLE sales.other (id int PRIMARY KEY);
     INSERT INTO a VALUES (1); INSERT INTO sales.inv_1 VALUES (1); INSERT INTO sales.inv_old VALUES (1);
     INSERT INTO sales.other VALUES (1)`,
  )
  const tables = async (...args: string[]) => {
    const { records } = await tailraceHere(streamArgs(db, args[0]!, '--snapshot', 'only', ...args.slice(1)))
    return records.map(({ schema, table }) => `${schema}.${table}`).sort()
  }
  expect(await tables('A,sales.inv_*', '--exclude', 'sales.inv_old')).toEqual(['public.a', 'sales.inv_1'])
  expect(await tables('*.*', '--exclude', 'sales.inv_*')).toEqual(['public.a', 'sales.other'])
})

test.concurrent('--messages gives logical messages, all or those of a prefix', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
  const emit = () =>
    db.query(`SELECT pg_logical_emit_message(true, 'outbox.a', 'one'), pg_logical_emit_message(true, 'other', 'two');
              SELECT pg_logical_emit_message(false, 'outbox.b', 'three');
              INSERT INTO t VALUES (1 + coalesce((SELECT max(id) FROM t), 0))`)
  const contents = async (args: readonly string[], count: number) => {
    const { records } = await linesOf(streamArgs(db, 't', '--snapshot', 'never', ...args), count, emit)
    return records.map(({ operation, content }) =>
      operation === 'message' ? Buffer.from(String(content), 'base64').toString() : operation,
    )
  }
  // One outside any transaction stands where its own record lies: before the commits that follow.
  expect(await contents(['--messages'], 4)).toEqual(expect.arrayContaining(['one', 'two', 'three', 'create']))
  expect(await contents(['--messages', 'outbox'], 3)).toEqual(expect.arrayContaining(['one', 'three', 'create']))
  expect(await contents([], 1)).toEqual(['create'])
})

test.concurrent('--keyless inserts captures a table without replica identity, and leaves its UPDATE to the application', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE log (v text); CREATE TABLE t (id int PRIMARY KEY)')
  const { records } = await linesOf(streamArgs(db, 'log,t', '--keyless', 'inserts'), 4, () =>
    db.query(`INSERT INTO log VALUES ('a'); INSERT INTO t VALUES (1); UPDATE log SET v = 'b'; DELETE FROM log;
              UPDATE t SET id = 2; TRUNCATE log`),
  )
  expect(records.map(({ operation, table, after }) => [operation, table, after])).toEqual([
    ['create', 'log', { v: 'a' }],
    ['create', 't', { id: 1 }],
    ['update', 't', { id: 2 }],
    ['truncate', 'log', undefined],
  ])
})

test.concurrent('--big-numbers string and --bytea base64 change the form of values', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (id int8 PRIMARY KEY, n numeric, i int, b bytea);
     INSERT INTO t VALUES (9007199254740993, 1.10, 7, '\\xdeadbeef')`,
  )
  const args = streamArgs(db, 't', '--snapshot', 'only', '--format', 'row')
  expect((await tailraceHere(args)).stdout).toBe('{"id":9007199254740993,"n":1.10,"i":7,"b":"\\\\xdeadbeef"}\n')
  expect((await tailraceHere([...args, '--big-numbers', 'string', '--bytea', 'base64'])).stdout).toBe(
    '{"id":"9007199254740993","n":"1.10","i":7,"b":"3q2+7w=="}\n',
  )
})

test.concurrent('every option can come as a variable, and the command line wins', async () => {
  await using db = await testDatabase(
    server,
    `${ORDERS}; CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)`,
  )
  const env = {
    TAILRACE_URL: db.url,
    TAILRACE_TABLES: 'nonsense',
    TAILRACE_SNAPSHOT: 'only',
    TAILRACE_FORMAT: 'row',
    TAILRACE_COLUMNS: 'orders:id',
    TAILRACE_KEY: 'orders:id',
    TAILRACE_SNAPSHOT_WORKERS: '1',
    TAILRACE_MAX_BYTES: '65536',
    TAILRACE_IDLE_TIMEOUT: '60',
    TAILRACE_MANAGE_PUBLICATION: 'false',
  }
  const { code, stdout, stderr } = await tailrace(['stream', '--tables', 'orders'], { env })
  expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: '{"id":1}\n{"id":2}\n' })
})
