import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { capture, rowsOf } from '../../support/sourceCapture.js'
import { readSource } from '../../support/sourceReader.js'
import { byField, replay, sorted } from '../../support/sourceReplay.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** Three levels; the leaves have their columns in other orders, one with a dropped column between. */
const TREE = `
  CREATE TABLE root (id int NOT NULL, region text NOT NULL, n int, big text) PARTITION BY LIST (region);
  ALTER TABLE root ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE asia (n int, gone int, region text NOT NULL, big text, id int NOT NULL);
  ALTER TABLE asia DROP gone, ALTER big SET STORAGE EXTERNAL;
  ALTER TABLE root ATTACH PARTITION asia FOR VALUES IN ('asia');
  CREATE TABLE europe PARTITION OF root FOR VALUES IN ('europe') PARTITION BY RANGE (id);
  CREATE TABLE europe_low PARTITION OF europe FOR VALUES FROM (0) TO (100);
  CREATE TABLE europe_high (region text NOT NULL, id int NOT NULL, big text, n int);
  ALTER TABLE europe ATTACH PARTITION europe_high FOR VALUES FROM (100) TO (1000);`
const KEYED = `${TREE} ALTER TABLE root ADD PRIMARY KEY (id, region);`
const ROWS = `
  INSERT INTO root SELECT id, CASE WHEN id % 3 = 0 THEN 'asia' ELSE 'europe' END, 0, repeat('x', 2500)
    FROM generate_series(1, 30) id;
  INSERT INTO root SELECT id, 'europe', 0, NULL FROM generate_series(101, 110) id;`

async function requireRows(db: TestDatabase, records: Parameters<typeof replay>[0]): Promise<void> {
  const rows = (await rowsOf(db, 'root', 'id')) as Record<string, unknown>[]
  expect(replay(records, 'root').sort(byField('id'))).toEqual(rows.map(sorted))
}

test.concurrent('a partitioned table is one table: rows of every leaf, changes of every leaf, moves between them', async () => {
  await using db = await testDatabase(server, KEYED + ROWS)
  const reader = await capture(db, { tables: 'root', snapshotWorkers: 3 }, () =>
    db.query(`
      UPDATE root SET n = 1 WHERE id IN (1, 3, 101);
      UPDATE root SET id = id + 50 WHERE id = 2;
      DELETE FROM root WHERE id IN (4, 6, 102);
      INSERT INTO root VALUES (500, 'europe', 5, 'new'), (501, 'asia', 5, 'new');
      UPDATE root SET region = 'asia' WHERE id = 5;
      UPDATE root SET id = 150 WHERE id = 7`),
  )
  expect(reader.snapshotOf('root')).toHaveLength(40)
  expect(new Set(reader.records.map(({ table }) => table))).toEqual(new Set(['root', 'capture_marker']))
  // A move is a delete and an insert, whose row is whole.
  const moved = reader.changesOf('root').filter(({ key }) => key!.id === 5)
  expect(moved.map(({ operation }) => operation)).toEqual(['delete', 'create'])
  expect(moved[1]!.after!.big).toHaveLength(2500)
  await requireRows(db, reader.records)
})

test.concurrent('an unchanged value of a leaf is told as unchanged under the names of the root', async () => {
  await using db = await testDatabase(server, KEYED + ROWS)
  const reader = await capture(db, { tables: 'root' }, () => db.query('UPDATE root SET n = 9 WHERE id IN (3, 1)'))
  for (const update of reader.changesOf('root')) {
    expect(update).toMatchObject({ operation: 'update', unchanged: ['big'], after: { n: 9 } })
    expect(update.after).not.toHaveProperty('big')
  }
})

test.concurrent('a root that is FULL with leaves that are not has no whole old rows, whatever the server says', async () => {
  await using db = await testDatabase(server, `${KEYED} ALTER TABLE root REPLICA IDENTITY FULL; ${ROWS}`)
  const reader = await capture(db, { tables: 'root' }, () =>
    db.query('UPDATE root SET n = 9 WHERE id = 1; DELETE FROM root WHERE id = 3; UPDATE root SET id = 40 WHERE id = 8'),
  )
  const changes = reader.changesOf('root')
  expect(changes.map(({ before }) => before)).toEqual([undefined, undefined, undefined])
  expect(changes.map(({ key, oldKey }) => [key!.id, oldKey?.id])).toEqual([
    [1, undefined],
    [3, undefined],
    [40, 8],
  ])
  expect(changes[0]).toMatchObject({ unchanged: ['big'] })
  await requireRows(db, reader.records)
})

test.concurrent('with root and leaves FULL old rows are whole, and unchanged values are taken from them', async () => {
  const full = ['root', 'asia', 'europe', 'europe_low', 'europe_high'].map(
    (name) => `ALTER TABLE ${name} REPLICA IDENTITY FULL;`,
  )
  await using db = await testDatabase(server, KEYED + full.join('') + ROWS)
  const reader = await capture(db, { tables: 'root' }, () => db.query('UPDATE root SET n = 9 WHERE id IN (1, 3)'))
  for (const update of reader.changesOf('root')) {
    expect(update.before).toMatchObject({ n: 0, big: 'x'.repeat(2500) })
    expect(update.after).toMatchObject({ n: 9, big: 'x'.repeat(2500) })
    expect(update).not.toHaveProperty('unchanged')
  }
})

test.concurrent('leaves without replica identity are refused, each with its SQL', async () => {
  await using db = await testDatabase(server, TREE)
  const reader = readSource({ url: db.url, tables: 'root' })
  const error = await reader.ended.then(
    () => undefined,
    (error) => error,
  )
  expect(error).toMatchObject({ code: 'REPLICA_IDENTITY_MISSING' })
  for (const name of ['root', 'asia', 'europe_low', 'europe_high']) {
    expect(error.hint).toContain(`ALTER TABLE public.${name} REPLICA IDENTITY FULL;`)
  }
  await db.query("INSERT INTO root VALUES (1, 'asia', 1, NULL); UPDATE root SET n = 2; DELETE FROM root")
})

test.concurrent('without a key, inserts of all leaves: each row by the leaf and the place where it lies', async () => {
  await using db = await testDatabase(server, TREE + ROWS)
  const reader = await capture(db, { tables: 'root', keyless: 'inserts' }, () =>
    db.query("INSERT INTO root VALUES (600, 'asia', 1, NULL); UPDATE root SET n = 1; DELETE FROM root WHERE id = 600"),
  )
  expect(reader.snapshotOf('root')).toHaveLength(40)
  expect(reader.changesOf('root').map(({ operation, after }) => [operation, after!.id])).toEqual([['create', 600]])
})

test.concurrent('truncating the root is one record; a leaf can be captured by itself', async () => {
  await using db = await testDatabase(server, KEYED + ROWS)
  const root = await capture(db, { tables: 'root' }, () =>
    db.query("TRUNCATE root; INSERT INTO root VALUES (1, 'asia', 1, NULL)"),
  )
  expect(root.changesOf('root').map(({ operation }) => operation)).toEqual(['truncate', 'create'])
  const leaf = await capture(db, { tables: 'asia' }, () =>
    db.query("INSERT INTO root VALUES (3, 'asia', 1, NULL), (4, 'europe', 1, NULL)"),
  )
  expect(
    leaf.records.filter(({ table }) => table === 'asia').map(({ operation, key }) => [operation, key!.id]),
  ).toEqual([
    ['snapshot', 1],
    ['create', 3],
  ])
})

test.concurrent('a partition made in mid-stream is captured with the others', async () => {
  await using db = await testDatabase(server, KEYED)
  const reader = await capture(db, { tables: 'root' }, async () => {
    await db.query("CREATE TABLE africa PARTITION OF root FOR VALUES IN ('africa')")
    await db.query("INSERT INTO root VALUES (1, 'africa', 1, NULL); UPDATE root SET n = 2; DELETE FROM root")
  })
  expect(reader.changesOf('root').map(({ operation }) => operation)).toEqual(['create', 'update', 'delete'])
})

test.concurrent('new partitions that will lack a replica identity are warned of', async () => {
  const full = ['root', 'asia', 'europe_low', 'europe_high'].map((name) => `ALTER TABLE ${name} REPLICA IDENTITY FULL;`)
  await using db = await testDatabase(server, TREE + full.join(''))
  const reader = await capture(db, { tables: 'root' }, async () => {})
  const warnings = reader.events.filter((event) => event.type === 'warning')
  expect(warnings.map(({ code }) => code)).toEqual(['NEW_PARTITIONS_LACK_IDENTITY'])
})
