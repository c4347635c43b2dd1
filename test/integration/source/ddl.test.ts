import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { capture } from '../../support/sourceCapture.js'
import { readSource, type SourceReader } from '../../support/sourceReader.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLE = "CREATE TABLE t (id int PRIMARY KEY, n int, note text); INSERT INTO t VALUES (1, 1, 'a')"

/** What a reader sees of `t`: the operation, and the row or the columns' names and types. */
function told(reader: SourceReader): unknown[] {
  return reader.changesOf('t').map(({ operation, key, after, columns }) => {
    if (operation !== 'schema') return [operation, after ?? key]
    return ['schema', (columns as { name: string; type: string }[]).map(({ name, type }) => `${name} ${type}`).join()]
  })
}

test.concurrent('a column added, dropped, renamed, retyped with a rewrite: told before the first row of the new shape', async () => {
  await using db = await testDatabase(server, TABLE)
  const reader = await capture(db, { tables: 't' }, () =>
    db.query(`
      UPDATE t SET n = 2;
      ALTER TABLE t ADD added text DEFAULT 'old';
      UPDATE t SET n = 3;
      ALTER TABLE t DROP note;
      ALTER TABLE t RENAME n TO m;
      INSERT INTO t VALUES (2, 5, 'new');
      ALTER TABLE t ALTER m TYPE numeric(10,2);
      UPDATE t SET m = 7.5 WHERE id = 2;
      DELETE FROM t WHERE id = 1`),
  )
  expect(told(reader)).toEqual([
    ['update', { id: 1, n: 2, note: 'a' }],
    ['schema', 'id integer,n integer,note text,added text'],
    ['update', { id: 1, n: 3, note: 'a', added: 'old' }],
    ['schema', 'id integer,m integer,added text'],
    ['create', { id: 2, m: 5, added: 'new' }],
    ['schema', 'id integer,m numeric(10,2),added text'],
    ['update', { id: 2, m: 7.5, added: 'new' }],
    ['delete', { id: 1 }],
  ])
})

test.concurrent('in the middle of a transaction, and taken back in it', async () => {
  await using db = await testDatabase(server, TABLE)
  const reader = await capture(db, { tables: 't' }, () =>
    db.query(`
      BEGIN;
      INSERT INTO t VALUES (2, 2, 'b');
      SAVEPOINT s;
      ALTER TABLE t ADD added int;
      INSERT INTO t VALUES (3, 3, 'c', 3);
      ROLLBACK TO s;
      INSERT INTO t VALUES (4, 4, 'd');
      ALTER TABLE t ADD other int DEFAULT 9;
      INSERT INTO t VALUES (5, 5, 'e');
      COMMIT`),
  )
  expect(told(reader)).toEqual([
    ['create', { id: 2, n: 2, note: 'b' }],
    ['create', { id: 4, n: 4, note: 'd' }],
    ['schema', 'id integer,n integer,note text,other integer'],
    ['create', { id: 5, n: 5, note: 'e', other: 9 }],
  ])
  const seqs = reader.changesOf('t').map(({ seq, id }) => [seq, id.split('/').slice(2).join('/')])
  expect(seqs).toEqual([
    [0, '0'],
    [1, '1'],
    [1, '1/1'],
    [2, '2'],
  ])
})

test.concurrent('the key column renamed, and another primary key', async () => {
  await using db = await testDatabase(server, TABLE)
  const reader = await capture(db, { tables: 't' }, () =>
    db.query(`
      ALTER TABLE t RENAME id TO code;
      UPDATE t SET code = 10;
      ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (n);
      UPDATE t SET n = 2; DELETE FROM t`),
  )
  expect(reader.changesOf('t').map(({ operation, key, oldKey }) => [operation, key, oldKey])).toEqual([
    ['schema', undefined, undefined],
    ['update', { code: 10 }, { code: 1 }],
    ['schema', undefined, undefined],
    ['update', { n: 2 }, { n: 1 }],
    ['delete', { n: 2 }, undefined],
  ])
})

test.concurrent('the table renamed: it goes on under its new name', async () => {
  await using db = await testDatabase(server, TABLE)
  const reader = await capture(db, { tables: 't' }, () =>
    db.query('ALTER TABLE t RENAME TO renamed; UPDATE renamed SET n = 5'),
  )
  expect(reader.changesOf('renamed').map(({ operation, after }) => [operation, after?.n])).toEqual([
    ['schema', undefined],
    ['update', 5],
  ])
})

test.concurrent('the table dropped: said, and the others go on', async () => {
  await using db = await testDatabase(server, `${TABLE}; CREATE TABLE other (id int PRIMARY KEY)`)
  const reader = await capture(db, { tables: 't,other' }, async (reader) => {
    await db.query('UPDATE t SET n = 2; DROP TABLE t; INSERT INTO other VALUES (1)')
    expect(await reader.told('table-dropped')).toMatchObject({ table: 'public.t' })
    await db.query('INSERT INTO other VALUES (2)')
  })
  expect(told(reader)).toEqual([['update', { id: 1, n: 2, note: 'a' }]])
  expect(reader.changesOf('other')).toHaveLength(2)
})

test.concurrent('dropped and made again under a publication of all tables: it is the same table in a new shape', async () => {
  await using db = await testDatabase(server, `${TABLE}; CREATE PUBLICATION everything FOR ALL TABLES`)
  const reader = await capture(db, { tables: 't', publication: 'everything' }, () =>
    db.query(`
      DROP TABLE t;
      CREATE TABLE t (note text, key uuid PRIMARY KEY);
      INSERT INTO t VALUES ('b', '00000000-0000-0000-0000-000000000001');
      UPDATE t SET note = 'c';
      CREATE TABLE not_ours (id int PRIMARY KEY);
      INSERT INTO not_ours VALUES (1)`),
  )
  const key = '00000000-0000-0000-0000-000000000001'
  expect(told(reader)).toEqual([
    ['schema', 'note text,key uuid'],
    ['create', { note: 'b', key }],
    ['update', { note: 'c', key }],
  ])
  expect(reader.changesOf('t').at(-1)!.key).toEqual({ key })
  expect(reader.changesOf('not_ours')).toEqual([])
})

test.concurrent('a replica identity set to FULL in mid-stream gives whole old rows from there on', async () => {
  await using db = await testDatabase(server, TABLE)
  const reader = await capture(db, { tables: 't' }, () =>
    db.query('UPDATE t SET n = 2; ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET n = 3; DELETE FROM t'),
  )
  const rows = reader.changesOf('t').filter(({ operation }) => operation !== 'schema')
  expect(rows.map(({ operation, key }) => [operation, key])).toEqual([
    ['update', { id: 1 }],
    ['update', { id: 1 }],
    ['delete', { id: 1 }],
  ])
  expect(rows[0]).not.toHaveProperty('before')
})

test.concurrent('a stream that lags behind reads old shapes whose columns and types are gone', async () => {
  await using db = await testDatabase(
    server,
    "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id int PRIMARY KEY, mood mood, n int); INSERT INTO t VALUES (0, 'sad', 0)",
  )
  db.expectSlots = true
  const options = { url: db.url, tables: 't', slot: `lag_${db.name}`, keyless: 'inserts' } as const
  await using first = readSource(options)
  await first.told('streaming')
  const position = first.batches.at(-1)!.position.toJSON()
  await first.close()
  await db.query(`
    INSERT INTO t VALUES (1, 'sad', 1);
    ALTER TABLE t RENAME id TO code;
    INSERT INTO t VALUES (2, 'sad', 2);
    ALTER TABLE t DROP mood;
    DROP TYPE mood;
    INSERT INTO t VALUES (3, 3)`)
  await using next = readSource({ ...options, position })
  await next.seen(({ key }) => key?.code === 3, 'the last row')
  expect(next.records.map(({ operation, key, after }) => [operation, key, after])).toEqual([
    ['create', { id: 1 }, { id: 1, mood: 'sad', n: 1 }],
    ['schema', undefined, undefined],
    ['create', { code: 2 }, { code: 2, mood: 'sad', n: 2 }],
    ['schema', undefined, undefined],
    ['create', { code: 3 }, { code: 3, n: 3 }],
  ])
})

test.concurrent('a selection of columns stays a selection', async () => {
  await using db = await testDatabase(server, TABLE)
  const reader = await capture(db, { tables: 't', columns: ['t:id,n'] }, () =>
    db.query('ALTER TABLE t ADD added int; UPDATE t SET n = 2; ALTER TABLE t DROP n; UPDATE t SET added = 3'),
  )
  expect(told(reader)).toEqual([
    ['schema', 'id integer,n integer'],
    ['update', { id: 1, n: 2 }],
    ['schema', 'id integer'],
    ['update', { id: 1 }],
  ])
})

test.concurrent('many shapes at once are looked up without a word of warning from the driver', async () => {
  const warnings: Error[] = []
  const listener = (warning: Error) => warnings.push(warning)
  process.on('warning', listener)
  const tables = Array.from({ length: 8 }, (_, n) => `t${n}`)
  await using db = await testDatabase(
    server,
    tables.map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY)`).join(';'),
  )
  db.expectSlots = true
  const options = { url: db.url, tables, slot: `many_${db.name}` }
  await using first = readSource(options)
  await first.told('streaming')
  await first.close()
  await db.query(tables.map((name) => `INSERT INTO ${name} VALUES (1)`).join(';'))
  await using next = readSource({ ...options, position: first.batches.at(-1)!.position })
  await next.until(() => next.records.length === tables.length, { what: 'a row of each' })
  process.off('warning', listener)
  expect(warnings).toEqual([])
})
