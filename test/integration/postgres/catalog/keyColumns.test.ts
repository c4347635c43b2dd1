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
