import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { DEFAULT_MAJOR, startServer } from '../../support/servers.js'
import { capture, rowsOf } from '../../support/sourceCapture.js'
import { readSource, type SourceReader } from '../../support/sourceReader.js'
import { replay, sorted } from '../../support/sourceReplay.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** Operation, key (and old key) of each record of a table. */
function keys(reader: SourceReader, table: string): unknown[] {
  return reader.records
    .filter((record) => record.table === table)
    .map(({ operation, key, oldKey }) => [operation, key, ...(oldKey ? [oldKey] : [])])
}

function replayed(reader: SourceReader, table: string): unknown[] {
  return replay(reader.records, table)
    .map((row) => JSON.stringify(row))
    .sort()
}

function expected(rows: unknown[]): unknown[] {
  return rows.map((row) => JSON.stringify(sorted(row as Record<string, unknown>))).sort()
}

describe('keys', () => {
  test.concurrent('composite ones, in key order, of several types, changed in part', async () => {
    await using db = await testDatabase(
      server,
      `CREATE TABLE t (b text, n int, a int8, PRIMARY KEY (a, b));
       INSERT INTO t VALUES ('x,y', 1, 1), ('back\\slash', 2, 1), ('"quoted"', 3, 1), ('', 4, 9007199254740993)`,
    )
    const reader = await capture(db, { tables: 't' }, () =>
      db.query(`
        UPDATE t SET n = 10 WHERE n = 1;
        UPDATE t SET b = 'new' WHERE n = 2;
        DELETE FROM t WHERE n = 3`),
    )
    expect(keys(reader, 't').slice(4)).toEqual([
      ['update', { a: 1, b: 'x,y' }],
      ['update', { a: 1, b: 'new' }, { a: 1, b: 'back\\slash' }],
      ['delete', { a: 1, b: '"quoted"' }],
    ])
    // Commas of a value are told apart from those between the columns.
    expect(reader.snapshotOf('t').map(({ id }) => id.slice(id.indexOf('/public')))).toEqual([
      '/public.t/1,x\\,y',
      '/public.t/1,back\\\\slash',
      '/public.t/1,"quoted"',
      '/public.t/9007199254740993,',
    ])
    expect(replayed(reader, 't')).toEqual(expected(await rowsOf(db, 't', 'a')))
  })

  test.concurrent('text and uuid', async () => {
    await using db = await testDatabase(
      server,
      `CREATE TABLE by_text (code text PRIMARY KEY, n int);
       CREATE TABLE by_uuid (id uuid PRIMARY KEY, n int);
       INSERT INTO by_text VALUES (E'tab\\t, "quote" \\\\ 雪', 1);
       INSERT INTO by_uuid VALUES ('00000000-0000-0000-0000-00000000000A', 1)`,
    )
    const reader = await capture(db, { tables: 'by_text,by_uuid' }, () =>
      db.query(`UPDATE by_text SET code = E'line\\n' || code; UPDATE by_uuid SET n = 2; DELETE FROM by_uuid`),
    )
    const text = 'tab\t, "quote" \\ 雪'
    expect(keys(reader, 'by_text')).toEqual([
      ['snapshot', { code: text }],
      ['update', { code: `line\n${text}` }, { code: text }],
    ])
    expect(reader.snapshotOf('by_text')[0]!.id.endsWith(`/public.by_text/${text}`)).toBe(true)
    const id = '00000000-0000-0000-0000-00000000000a'
    expect(keys(reader, 'by_uuid')).toEqual([
      ['snapshot', { id }],
      ['update', { id }],
      ['delete', { id }],
    ])
  })

  test.concurrent('of an index that is the replica identity, not the primary key', async () => {
    await using db = await testDatabase(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL UNIQUE, n int);
       ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key;
       INSERT INTO t VALUES (1, 100, 0), (2, 200, 0)`,
    )
    const reader = await capture(db, { tables: 't' }, () =>
      db.query('UPDATE t SET id = 3 WHERE id = 1; UPDATE t SET code = 201 WHERE id = 2; DELETE FROM t WHERE id = 3'),
    )
    expect(keys(reader, 't').slice(2)).toEqual([
      ['update', { code: 100 }],
      ['update', { code: 201 }, { code: 200 }],
      ['delete', { code: 100 }],
    ])
    expect(replayed(reader, 't')).toEqual(expected(await rowsOf(db, 't', 'id')))
  })

  test.concurrent('of the user, where REPLICA IDENTITY is FULL', async () => {
    await using db = await testDatabase(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL, n int);
       ALTER TABLE t REPLICA IDENTITY FULL;
       INSERT INTO t VALUES (1, 100, 0), (2, 200, 0)`,
    )
    const reader = await capture(db, { tables: 't', keys: ['t:code'] }, () =>
      db.query('UPDATE t SET n = 1 WHERE id = 1; UPDATE t SET code = 201 WHERE id = 2; DELETE FROM t WHERE id = 1'),
    )
    expect(keys(reader, 't').slice(2)).toEqual([
      ['update', { code: 100 }],
      ['update', { code: 201 }, { code: 200 }],
      ['delete', { code: 100 }],
    ])
    const [, , update, , deleted] = reader.records
    expect(update!.before).toEqual({ id: 1, code: 100, n: 0 })
    expect(deleted!.before).toEqual({ id: 1, code: 100, n: 1 })
  })

  test.concurrent('of the user, but not one that deletes would lack', async ({ expect }) => {
    await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL)')
    const reader = readSource({ url: db.url, tables: 't', keys: ['t:code'] })
    await expect(reader.ended).rejects.toMatchObject({
      code: 'KEY_OUTSIDE_IDENTITY',
      hint: expect.stringContaining('ALTER TABLE public.t REPLICA IDENTITY FULL;'),
    })
    await db.query('INSERT INTO t VALUES (1, 1); UPDATE t SET code = 2')
  })
})

describe('tables without a key', () => {
  const harmless = 'UPDATE t SET n = n + 1; DELETE FROM t WHERE n > 100'

  test.concurrent.each([
    ['no key at all', 'CREATE TABLE t (n int)'],
    ['a primary key that is deferrable', 'CREATE TABLE t (n int PRIMARY KEY DEFERRABLE)'],
    ['a unique index over nullable columns', 'CREATE TABLE t (n int UNIQUE)'],
    ['REPLICA IDENTITY NOTHING', 'CREATE TABLE t (n int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING'],
  ])('%s: refused with both ways out, and the application goes on', async (_, create) => {
    await using db = await testDatabase(server, create)
    const reader = readSource({ url: db.url, tables: 't' })
    await expect(reader.ended).rejects.toMatchObject({
      code: 'REPLICA_IDENTITY_MISSING',
      hint: expect.stringMatching(/ALTER TABLE public\.t REPLICA IDENTITY FULL;(.|\n)*inserts/),
    })
    await db.query(`INSERT INTO t VALUES (1); ${harmless}`)
    expect(await db.query('SELECT FROM pg_publication')).toEqual([])
  })

  test.concurrent('left out on request, with a warning: not published, and the others are captured', async () => {
    await using db = await testDatabase(
      server,
      'CREATE TABLE t (n int); CREATE TABLE keyed (id int PRIMARY KEY); INSERT INTO t VALUES (1); INSERT INTO keyed VALUES (1)',
    )
    await using reader = readSource({ url: db.url, tables: '*', keyless: 'skip', columns: ['t:n'] })
    await reader.until(() => reader.events.some(({ type }) => type === 'streaming'), { what: 'the stream' })
    // Looked for from time to time, as new tables are: it stays out, and is told once.
    expect(await reader.source.addTables('*')).toEqual([])
    await db.query(`INSERT INTO t VALUES (3); ${harmless}; INSERT INTO keyed VALUES (2)`)
    await reader.seen((record) => record.operation === 'create', 'the change')
    expect(keys(reader, 'keyed')).toEqual([
      ['snapshot', { id: 1 }],
      ['create', { id: 2 }],
    ])
    expect(reader.records.filter(({ table }) => table === 't')).toEqual([])
    const warnings = reader.events.filter((event) => event.type === 'warning')
    expect(warnings).toMatchObject([
      { code: 'TABLE_LEFT_OUT', hint: expect.stringContaining('ALTER TABLE public.t REPLICA IDENTITY FULL') },
    ])
    await using only = await testDatabase(server, 'CREATE TABLE t (n int)')
    await using none = readSource({ url: only.url, tables: '*', keyless: 'skip' })
    await expect(none.ended).rejects.toMatchObject({ code: 'REPLICA_IDENTITY_MISSING' })
  })

  test.concurrent('inserts and truncates only, on request: the application can update and delete all the while', async () => {
    await using db = await testDatabase(
      server,
      'CREATE TABLE t (n int); CREATE TABLE keyed (id int PRIMARY KEY); INSERT INTO t VALUES (1), (1), (2)',
    )
    const reader = await capture(db, { tables: 't,keyed', keyless: 'inserts' }, async () => {
      await db.query(`INSERT INTO t VALUES (3); ${harmless}; INSERT INTO keyed VALUES (1)`)
      await db.query('UPDATE keyed SET id = 2; TRUNCATE t; INSERT INTO t VALUES (9)')
    })
    const seen = reader.records.filter(({ table }) => table === 't')
    expect(seen.map(({ operation, after }) => [operation, after?.n])).toEqual([
      ['snapshot', 1],
      ['snapshot', 1],
      ['snapshot', 2],
      ['create', 3],
      ['truncate', undefined],
      ['create', 9],
    ])
    expect(seen.every(({ key }) => key === undefined)).toBe(true)
    // A row is told apart by where it lies.
    expect(seen[0]!.id).toMatch(/^[0-9A-F]+\/[0-9A-F]+\/public\.t\/\(0,1\)$/)
    expect(keys(reader, 'keyed')).toEqual([
      ['create', { id: 1 }],
      ['update', { id: 2 }, { id: 1 }],
    ])
  })

  test.concurrent('with REPLICA IDENTITY FULL everything, without a key', async () => {
    await using db = await testDatabase(
      server,
      'CREATE TABLE t (n int, note text); ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1, NULL), (1, NULL)',
    )
    const reader = await capture(db, { tables: 't' }, () => db.query(`UPDATE t SET note = 'x'; DELETE FROM t`))
    const changes = reader
      .changesOf('t')
      .map(({ operation, key, before, after }) => ({ operation, key, before, after }))
    const [old, now] = [
      { n: 1, note: null },
      { n: 1, note: 'x' },
    ]
    const updated = { operation: 'update', key: undefined, before: old, after: now }
    const deleted = { operation: 'delete', key: undefined, before: now, after: undefined }
    expect(changes).toEqual([updated, updated, deleted, deleted])
  })
})

describe('columns', () => {
  test.concurrent('generated ones are in both halves or in neither', async () => {
    await using db = await testDatabase(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, doubled int GENERATED ALWAYS AS (id * 2) STORED, note text);
       INSERT INTO t VALUES (1, DEFAULT, 'a')`,
    )
    const reader = await capture(db, { tables: 't' }, () => db.query("INSERT INTO t VALUES (2, DEFAULT, 'b')"))
    const published = DEFAULT_MAJOR >= 18
    expect(reader.records.slice(0, 2).map(({ after }) => after)).toEqual(
      [
        [1, 'a'],
        [2, 'b'],
      ].map(([id, note]) => (published ? { id, doubled: 2 * Number(id), note } : { id, note })),
    )
  })

  test.concurrent('a selection holds for both halves and old rows, and the key stays in key', async () => {
    await using db = await testDatabase(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, secret text, "Total" numeric, note text);
       ALTER TABLE t REPLICA IDENTITY FULL;
       INSERT INTO t VALUES (1, 'hidden', 1.50, 'a')`,
    )
    const reader = await capture(db, { tables: 't', columns: ['t:"Total",note'] }, () =>
      db.query("UPDATE t SET note = 'b', secret = 'still hidden'; DELETE FROM t"),
    )
    const [snapshot, update, deleted] = reader.records
    expect(snapshot).toMatchObject({ key: { id: 1 }, after: { Total: 1.5, note: 'a' } })
    expect(Object.keys(snapshot!.after!)).toEqual(['Total', 'note'])
    expect(update).toMatchObject({
      key: { id: 1 },
      before: { Total: 1.5, note: 'a' },
      after: { Total: 1.5, note: 'b' },
    })
    expect(deleted).toMatchObject({ key: { id: 1 }, before: { Total: 1.5, note: 'b' } })
    expect(JSON.stringify(reader.records)).not.toContain('hidden')
  })

  test.concurrent('dropped ones leave no trace, those added later have their stored default', async () => {
    await using db = await testDatabase(
      server,
      `CREATE TABLE t (gone int, id int PRIMARY KEY, gone_too text, note text);
       INSERT INTO t VALUES (1, 1, 'x', 'a');
       ALTER TABLE t DROP gone, DROP gone_too, ADD added int NOT NULL DEFAULT 7`,
    )
    const reader = await capture(db, { tables: 't' }, () =>
      db.query("INSERT INTO t VALUES (2, 'b'); UPDATE t SET note = 'c'"),
    )
    expect(reader.records.slice(0, 4).map(({ after }) => after)).toEqual([
      { id: 1, note: 'a', added: 7 },
      { id: 2, note: 'b', added: 7 },
      { id: 1, note: 'c', added: 7 },
      { id: 2, note: 'c', added: 7 },
    ])
  })

  test.concurrent('none at all', async () => {
    await using db = await testDatabase(
      server,
      'CREATE TABLE t (); ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t DEFAULT VALUES',
    )
    const reader = await capture(db, { tables: 't', keyless: 'inserts' }, () =>
      db.query('INSERT INTO t DEFAULT VALUES'),
    )
    expect(reader.records.slice(0, 2).map(({ operation, after }) => [operation, after])).toEqual([
      ['snapshot', {}],
      ['create', {}],
    ])
  })
})
