import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { capture, rowsOf } from '../../support/sourceCapture.js'
import { readSource, recordsOf } from '../../support/sourceReader.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const LONG = 'z'.repeat(3000)

test.concurrent('odd names of schemas, tables, columns and publications', async () => {
  const name = '"Größe ☃.""x"""."a.b, ""c"" 🔑"'
  await using db = await testDatabase(
    server,
    `CREATE SCHEMA "Größe ☃.""x"""; CREATE TABLE ${name} ("Schlüssel 🔑" int PRIMARY KEY, "select" text, "tab	""q""\\" text);
     INSERT INTO ${name} VALUES (1, 'a', 'b')`,
  )
  const reader = await capture(db, { tables: [name], publication: 'Odd "name", 🔑' }, () =>
    db.query(`UPDATE ${name} SET "select" = 'c'; TRUNCATE ${name}`),
  )
  const records = reader.records.slice(0, 3)
  for (const record of records) expect(record).toMatchObject({ schema: 'Größe ☃."x"', table: 'a.b, "c" 🔑' })
  expect(records.map(({ operation, key, after }) => [operation, key, after])).toEqual([
    ['snapshot', { 'Schlüssel 🔑': 1 }, { 'Schlüssel 🔑': 1, select: 'a', 'tab\t"q"\\': 'b' }],
    ['update', { 'Schlüssel 🔑': 1 }, { 'Schlüssel 🔑': 1, select: 'c', 'tab\t"q"\\': 'b' }],
    ['truncate', undefined, undefined],
  ])
  expect(records[0]!.id).toMatch(/\/Größe ☃\."x"\.a\.b, "c" 🔑\/1$/)
})

test.concurrent('domains, enums and composites read the same in both halves, and as the server has them', async () => {
  await using db = await testDatabase(
    server,
    `CREATE DOMAIN positive AS int CHECK (VALUE > 0);
     CREATE DOMAIN many AS positive[];
     CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"');
     CREATE TYPE pair AS (a int, b text);
     CREATE TABLE t (id positive PRIMARY KEY, many many, mood mood, pair pair, pairs pair[], n numeric, at timestamptz, j jsonb);
     INSERT INTO t VALUES (1, '{1,NULL,3}', 'sad', '(1,"x y")', '{"(1,)","(2,\\"\\")"}', 1.500, '2026-01-01', '{"a": 1.50}')`,
  )
  const reader = await capture(db, { tables: 't' }, () =>
    db.query('INSERT INTO t SELECT 2, many, mood, pair, pairs, n, at, j FROM t'),
  )
  const [first, second] = reader.records
  expect({ ...first!.after, id: 2 }).toEqual(second!.after)
  await db.query('SET TimeZone = UTC')
  expect(reader.records.slice(0, 2).map(({ after }) => after)).toEqual(await rowsOf(db, 't', 'id'))
})

test.concurrent('an unchanged TOASTed value is left out and named, never null, and given where the old row has it', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE d (id int PRIMARY KEY, n int, big text, nothing text); ALTER TABLE d ALTER big SET STORAGE EXTERNAL;
     CREATE TABLE f (LIKE d INCLUDING ALL); ALTER TABLE f REPLICA IDENTITY FULL;
     INSERT INTO d VALUES (1, 1, '${LONG}', NULL); INSERT INTO f TABLE d`,
  )
  const reader = await capture(db, { tables: 'd,f' }, () =>
    db.query(
      ['d', 'f'].map((t) => `UPDATE ${t} SET n = 2; UPDATE ${t} SET id = 5; UPDATE ${t} SET big = NULL`).join(';'),
    ),
  )
  const [update, move, cleared] = reader.changesOf('d')
  expect(update).toMatchObject({ after: { id: 1, n: 2, nothing: null }, unchanged: ['big'] })
  expect(move).toMatchObject({
    key: { id: 5 },
    oldKey: { id: 1 },
    after: { id: 5, n: 2, nothing: null },
    unchanged: ['big'],
  })
  expect([update!.after, move!.after].some((after) => 'big' in after!)).toBe(false)
  expect(cleared!.after).toEqual({ id: 5, n: 2, big: null, nothing: null })
  expect(cleared).not.toHaveProperty('unchanged')

  const full = reader.changesOf('f')
  expect(full.map(({ after }) => after!.big)).toEqual([LONG, LONG, null])
  expect(full.map(({ before }) => before!.big)).toEqual([LONG, LONG, LONG])
  expect(full.every((record) => !('unchanged' in record))).toBe(true)
})

test.concurrent('records as objects say the same as their lines', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (id int8 PRIMARY KEY, n numeric, big text, b bytea, at timestamptz, j json);
     ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
     INSERT INTO t VALUES (9007199254740993, 1.50, '${LONG}', '\\x00ff', '2026-01-01 00:00:00.123456+00', '{"a": [1]}')`,
  )
  const kinds: unknown[] = []
  await using reader = readSource(
    { url: db.url, tables: 't' },
    {
      onBatch: async (batch) => {
        const lines = recordsOf(batch)
        for (const [index, record] of [...batch].entries()) {
          const line = lines[index]!
          expect([record.operation, record.id]).toEqual([line.operation, line.id])
          expect(record.position).toEqual(batch.at(index)!.position)
          if (record.operation === 'schema' || record.operation === 'truncate' || record.operation === 'message')
            continue
          expect(record.after === undefined ? undefined : JSON.parse(JSON.stringify(record.after))).toEqual(line.after)
          kinds.push([record.operation, record.key, record.after?.toObject()])
          if (record.operation === 'update') {
            expect(record.unchanged).toEqual(['big'])
            expect(record.oldKey).toEqual({ id: 9007199254740993n })
            expect([record.after.get('big'), record.after.text('n')]).toEqual([undefined, '2.50'])
            expect(() => record.after.get('bigg')).toThrow(expect.objectContaining({ code: 'COLUMN_UNKNOWN' }))
          }
        }
        expect([batch.at(-1), batch.at(batch.length)]).toEqual([undefined, undefined])
      },
    },
  )
  await reader.told('streaming')
  await db.query('UPDATE t SET id = id + 1, n = 2.50; DELETE FROM t')
  await reader.seen(({ operation }) => operation === 'delete', 'the delete')
  const [at, b, j] = ['2026-01-01T00:00:00.123456+00:00', Uint8Array.from([0, 255]), { a: [1] }]
  const after = { id: 9007199254740993n, n: '1.50', big: LONG, b, at, j }
  const { big, ...rest } = after
  expect(kinds).toMatchObject([
    ['snapshot', { id: 9007199254740993n }, after],
    ['update', { id: 9007199254740994n }, { ...rest, id: 9007199254740994n, n: '2.50' }],
    ['delete', { id: 9007199254740994n }, undefined],
  ])
})

test.concurrent('numbers as strings and bytes in base64, where asked for', async () => {
  await using db = await testDatabase(
    server,
    "CREATE TABLE t (id int8 PRIMARY KEY, n numeric, b bytea); INSERT INTO t VALUES (1, 1.50, '\\x00ff')",
  )
  const reader = await capture(db, { tables: 't', bigNumbers: 'string', bytea: 'base64' }, () =>
    db.query('UPDATE t SET n = 2.5'),
  )
  expect(reader.records.slice(0, 2).map(({ key, after }) => [key, after])).toEqual([
    [{ id: '1' }, { id: '1', n: '1.50', b: 'AP8=' }],
    [{ id: '1' }, { id: '1', n: '2.5', b: 'AP8=' }],
  ])
})
