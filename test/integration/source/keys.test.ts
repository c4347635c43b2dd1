import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { capture } from '../../support/sourceCapture.js'
import { readSource } from '../../support/sourceReader.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** The keys that table `t` has in a first run, and in one that goes on where that ended. */
async function keysOfTwoRuns(db: TestDatabase, options: object, first: string, second: string): Promise<unknown[][]> {
  db.expectSlots = true
  const source = { tables: 't', slot: `keys_${db.name}`, ...options }
  const fresh = await capture(db, source, () => db.query(first))
  const resumed = await capture(db, { ...source, position: fresh.batches.at(-1)!.position }, () => db.query(second))
  return [fresh, resumed].map((reader) => reader.changesOf('t').map(({ operation, key }) => [operation, key]))
}

test.concurrent('of inserts alone is the same in a resumed run', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (note text, id int NOT NULL UNIQUE)')
  const keys = await keysOfTwoRuns(
    db,
    { keyless: 'inserts' },
    "INSERT INTO t VALUES ('a', 1)",
    "INSERT INTO t VALUES ('b', 2)",
  )
  expect(keys).toEqual([[['create', { id: 1 }]], [['create', { id: 2 }]]])
})

test.concurrent('of inserts alone stays when the table is altered', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (note text, id int NOT NULL UNIQUE)')
  const reader = await capture(db, { tables: 't', keyless: 'inserts' }, () =>
    db.query("INSERT INTO t VALUES ('a', 1); ALTER TABLE t ADD more int; INSERT INTO t VALUES ('b', 2)"),
  )
  expect(reader.changesOf('t').map(({ operation, key }) => [operation, key])).toEqual([
    ['create', { id: 1 }],
    ['schema', undefined],
    ['create', { id: 2 }],
  ])
})

test.concurrent('that the partitions carry, and their root does not, is the same in a resumed run', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (region text NOT NULL, id int NOT NULL, n int) PARTITION BY LIST (region);
     CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a');
     CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('b');
     CREATE UNIQUE INDEX a_id ON t_a (id); ALTER TABLE t_a REPLICA IDENTITY USING INDEX a_id;
     CREATE UNIQUE INDEX b_id ON t_b (id); ALTER TABLE t_b REPLICA IDENTITY USING INDEX b_id`,
  )
  const keys = await keysOfTwoRuns(
    db,
    { keys: { t: ['id'] } },
    "INSERT INTO t VALUES ('a', 1, 1), ('b', 2, 1); DELETE FROM t WHERE id = 1",
    'UPDATE t SET n = 2; DELETE FROM t',
  )
  expect(keys).toEqual([
    [
      ['create', { id: 1 }],
      ['create', { id: 2 }],
      ['delete', { id: 1 }],
    ],
    [
      ['update', { id: 2 }],
      ['delete', { id: 2 }],
    ],
  ])
})

test.concurrent('of a table with REPLICA IDENTITY FULL is the present primary key when its column was renamed', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE t (note text, b int, a int, PRIMARY KEY (a, b)); ALTER TABLE t REPLICA IDENTITY FULL`,
  )
  const reader = await capture(db, { tables: 't' }, () =>
    db.query(
      "INSERT INTO t VALUES ('x', 1, 2); ALTER TABLE t RENAME a TO renamed; UPDATE t SET note = 'y'; DELETE FROM t",
    ),
  )
  expect(reader.changesOf('t').map(({ operation, key }) => [operation, key])).toEqual([
    ['create', { a: 2, b: 1 }],
    ['schema', undefined],
    ['update', { renamed: 2, b: 1 }],
    ['delete', { renamed: 2, b: 1 }],
  ])
})

test.concurrent('of a table whose key column was renamed has its columns in the order of the key', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE t (b int, a int, note text, PRIMARY KEY (a, b))')
  const reader = await capture(db, { tables: 't' }, async (reading) => {
    await db.query("INSERT INTO t VALUES (1, 2, 'x'); ALTER TABLE t RENAME a TO renamed; UPDATE t SET note = 'y'")
    await reading.seen(({ operation }) => operation === 'update', 'the update')
    await db.query('ALTER TABLE t REPLICA IDENTITY FULL; DELETE FROM t')
  })
  const keys = reader.changesOf('t').map(({ operation, key }) => [operation, key && Object.entries(key)])
  const renamed = [
    ['renamed', 2],
    ['b', 1],
  ]
  expect(keys.filter(([operation]) => operation !== 'schema')).toEqual([
    [
      'create',
      [
        ['a', 2],
        ['b', 1],
      ],
    ],
    ['update', renamed],
    ['delete', renamed],
  ])
})

test.concurrent('that a column list leaves out is refused', async () => {
  await using db = await testDatabase(
    server,
    'CREATE TABLE t (id int PRIMARY KEY, note text); CREATE PUBLICATION lists FOR TABLE t (note)',
  )
  for (const snapshot of ['initial', 'never'] as const) {
    await using reader = readSource({ url: db.url, tables: 't', publication: 'lists', snapshot })
    await expect(reader.ended).rejects.toMatchObject({ code: 'KEY_COLUMN_UNPUBLISHED' })
  }
})
