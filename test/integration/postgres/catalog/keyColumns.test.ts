import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import { keyColumns, keyColumnsOf } from '../../../../src/postgres/catalog/keyColumns.js'
import { testDatabase } from '../../../support/database.js'
import { CountingQueryable, openSession } from '../../../support/openSession.js'
import { startServer } from '../../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test('keys of many tables come in one query, each in its own order; a column that is gone is missing', async () => {
  await using db = await testDatabase(
    server,
    `CREATE DOMAIN code AS text COLLATE "C"; CREATE TABLE a (id int8, kind code, other int, PRIMARY KEY (kind, id));
     CREATE TABLE b (id uuid PRIMARY KEY, "Strange "" name" int); CREATE TABLE c (id int)`,
  )
  await using session = await openSession(db.url)
  const counting = new CountingQueryable(session)
  const rows = await db.query("SELECT oid::int4 FROM pg_class WHERE relname IN ('a', 'b', 'c') ORDER BY relname")
  const [a, b, c] = rows.map(({ oid }) => oid as number)
  const wanted = [
    { oid: a!, key: ['kind', 'id'] },
    { oid: b!, key: ['Strange " name', 'gone', 'id'] },
    { oid: c!, key: [] },
  ]
  const found = await keyColumnsOf(counting, wanted)
  expect(counting.queries).toBe(1)
  expect(found.map((columns) => columns.map(({ name, typeOid }) => [name, typeOid]))).toEqual([
    [
      ['kind', 25],
      ['id', 20],
    ],
    [
      ['Strange " name', 23],
      ['id', 2950],
    ],
    [],
  ])
  expect(found[0]![0]).toMatchObject({ typeName: 'text', collate: ' COLLATE pg_catalog."C"', operators: 'pg_catalog' })
  for (const [index, { oid, key }] of wanted.entries()) {
    expect(await keyColumns(session, oid, key)).toEqual(found[index])
  }
})

test('of which types two values may be equal and print otherwise', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TYPE mood AS ENUM ('well'); CREATE COLLATION loose (provider = icu, locale = 'und', deterministic = false);
     CREATE DOMAIN number AS numeric(5, 2);
     CREATE TABLE t (one int, two text, three mood, four numeric(5, 2), five char(3), six timestamptz,
       seven numeric, eight text COLLATE loose, nine float8, ten number, eleven int[])`,
  )
  await using session = await openSession(db.url)
  const [row] = await db.query<{ oid: number }>("SELECT 't'::regclass::oid::int4 AS oid")
  const names = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven']
  const columns = await keyColumns(session, row!.oid, names)
  // Of a domain it is not looked into what its base may hold.
  expect(columns.flatMap(({ name, alike }) => (alike ? [name] : []))).toEqual(names.slice(6))
})
