import { expect, test } from 'vitest'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { type CaptureOptions, capture, rowsOf } from '../../support/sourceCapture.js'
import type { SourceReader } from '../../support/sourceReader.js'
import { replay, sorted } from '../../support/sourceReplay.js'
import { describeEachMajor } from '../../support/versions.js'

// Snapshot and stream agree about what each has of a row: neither column nor row is in one half only.

/** The rows that a consumer has at the end are those of the query, and every record of `t` has the same columns. */
async function requireSame(db: TestDatabase, reader: SourceReader, rows = 't'): Promise<void> {
  const expected = (await rowsOf(db, rows, 'id')) as Record<string, unknown>[]
  const found = replay(reader.records, 't').sort((a, b) => Number(a.id) - Number(b.id))
  expect(found).toEqual(expected.map(sorted))
}

function columns(reader: SourceReader): unknown[] {
  const rows = reader.records.filter(({ table, after }) => table === 't' && after !== undefined)
  return [...new Set(rows.map(({ after }) => Object.keys(after!).join()))]
}

async function publish(db: TestDatabase, sql: string): Promise<void> {
  await db.query(`CREATE TABLE capture_marker (n serial PRIMARY KEY); ${sql}`)
}

describeEachMajor('both halves', (postgres) => {
  test.concurrent.each(['DEFAULT', 'FULL'])(
    'columns added with a default after rows were written, REPLICA IDENTITY %s',
    async (identity) => {
      await using db = await testDatabase(
        postgres.server,
        `CREATE TABLE t (id int PRIMARY KEY, n int); ALTER TABLE t REPLICA IDENTITY ${identity};
       INSERT INTO t SELECT i, 0 FROM generate_series(1, 6) i;
       ALTER TABLE t ADD fixed text NOT NULL DEFAULT 'stored once', ADD stable timestamptz DEFAULT now(),
         ADD volatile float8 DEFAULT random(), ADD plain text;
       ALTER TABLE t ALTER fixed SET DEFAULT 'another'`,
      )
      const reader = await capture(db, { tables: 't' }, () =>
        db.query(`
        INSERT INTO t (id, n) VALUES (7, 0);
        UPDATE t SET n = 1 WHERE id IN (1, 7);
        UPDATE t SET id = 12 WHERE id = 2;
        DELETE FROM t WHERE id IN (3, 7)`),
      )
      await db.query('SET TimeZone = UTC')
      await requireSame(db, reader)
      expect(columns(reader)).toEqual(['id,n,fixed,stable,volatile,plain'])
      if (identity === 'DEFAULT') return
      const rows = new Map(reader.snapshotOf('t').map(({ key, after }) => [key!.id, after!]))
      const old = reader.changesOf('t').flatMap(({ before }) => (before === undefined ? [] : [before]))
      expect(old.map(({ id }) => id)).toEqual([1, 7, 2, 3, 7])
      for (const row of old) if (rows.has(row.id)) expect(row).toEqual(rows.get(row.id))
    },
  )

  test.concurrent.each(['DEFAULT', 'FULL'])(
    'a column added with a default while the stream runs, REPLICA IDENTITY %s',
    async (identity) => {
      await using db = await testDatabase(
        postgres.server,
        `CREATE TABLE t (id int PRIMARY KEY, n int); ALTER TABLE t REPLICA IDENTITY ${identity}; INSERT INTO t VALUES (1, 0), (2, 0)`,
      )
      const reader = await capture(db, { tables: 't' }, () =>
        db.query(
          "ALTER TABLE t ADD added text DEFAULT 'x'; UPDATE t SET n = 1 WHERE id = 1; DELETE FROM t WHERE id = 2",
        ),
      )
      const [, update, deleted] = reader.changesOf('t')
      expect(update).toMatchObject({ after: { id: 1, n: 1, added: 'x' } })
      const before = (id: number) => (identity === 'FULL' ? { id, n: 0, added: 'x' } : undefined)
      expect([update!.before, deleted!.before]).toEqual([before(1), before(2)])
    },
  )

  const GENERATED = `CREATE TABLE t (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED, note text);
    INSERT INTO t (id, n) VALUES (1, 1), (2, 2);`
  const CHANGE = 'INSERT INTO t (id, n) VALUES (3, 3); UPDATE t SET n = 10 WHERE id = 1; DELETE FROM t WHERE id = 2'

  test.concurrent('stored generated columns: published from 18 on by a publication of ours, before in neither half', async () => {
    await using db = await testDatabase(postgres.server, GENERATED)
    const reader = await capture(db, { tables: 't' }, () => db.query(CHANGE))
    const has = postgres.major >= 18
    expect(columns(reader)).toEqual([has ? 'id,n,twice,note' : 'id,n,note'])
    await requireSame(db, reader, has ? 't' : '(SELECT id, n, note FROM t)')
  })

  const published =
    (options: CaptureOptions, sql: string, selected: string, change = CHANGE) =>
    async () => {
      await using db = await testDatabase(postgres.server, GENERATED)
      await publish(db, sql)
      const reader = await capture(db, { ...options, publication: 'theirs' }, () => db.query(change))
      expect(columns(reader)).toEqual([selected])
      await requireSame(db, reader, `(SELECT ${selected} FROM t)`)
    }
  const theirs = 'CREATE PUBLICATION theirs FOR TABLE t, capture_marker WITH (publish_via_partition_root'
  test
    .runIf(postgres.major >= 18)
    .concurrent(
      'stored generated columns of a publication that has none of them',
      published({ tables: 't' }, `${theirs}, publish_generated_columns = none)`, 'id,n,note'),
    )
  test
    .runIf(postgres.major >= 18)
    .concurrent(
      'stored generated columns of a publication that has them',
      published({ tables: 't' }, `${theirs}, publish_generated_columns = stored)`, 'id,n,twice,note'),
    )
  test
    .runIf(postgres.major >= 18)
    .concurrent(
      'a generated column that a column list names is published whatever the publication says of generated ones',
      published({ tables: 't' }, 'CREATE PUBLICATION theirs FOR TABLE t (id, n, twice), capture_marker', 'id,n,twice'),
    )
  test
    .runIf(postgres.major >= 15)
    .concurrent(
      'a column list',
      published({ tables: 't' }, 'CREATE PUBLICATION theirs FOR TABLE t (id, note), capture_marker', 'id,note'),
    )

  test.runIf(postgres.major >= 18).concurrent('virtual generated columns are in neither half', async () => {
    await using db = await testDatabase(postgres.server, GENERATED.replace('STORED', 'VIRTUAL'))
    const reader = await capture(db, { tables: 't' }, () => db.query(CHANGE))
    expect(columns(reader)).toEqual(['id,n,note'])
    await requireSame(db, reader, '(SELECT id, n, note FROM t)')
  })

  const ROWS = `CREATE TABLE t (id int PRIMARY KEY, n int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
    INSERT INTO t SELECT i, i, repeat(i::text, 3000) FROM generate_series(1, 9) i;`
  /** In, out, across the filter in both directions, by the key too, and across within one transaction. */
  const CROSS = `
    UPDATE t SET n = 2 WHERE id = 1; UPDATE t SET n = 20 WHERE id = 2; UPDATE t SET n = 2 WHERE id = 9;
    UPDATE t SET id = 30 WHERE id = 3; UPDATE t SET n = 3 WHERE id = 30;
    INSERT INTO t VALUES (40, 40, 'x'), (41, 1, 'y'); DELETE FROM t WHERE id IN (4, 40);
    BEGIN; UPDATE t SET n = 50 WHERE id = 1; UPDATE t SET n = 1 WHERE id = 1; COMMIT`

  test.runIf(postgres.major >= 15).concurrent.each(['omit', 'fetch'] as const)(
    'a row filter, and updates that cross it, toast: %s',
    async (toast) => {
      await using db = await testDatabase(postgres.server, `${ROWS} ALTER TABLE t REPLICA IDENTITY FULL`)
      await publish(db, 'CREATE PUBLICATION theirs FOR TABLE t WHERE (n < 7), capture_marker')
      const reader = await capture(db, { tables: 't', publication: 'theirs', toast }, () => db.query(CROSS))
      await requireSame(db, reader, '(SELECT * FROM t WHERE n < 7)')
    },
  )

  test.runIf(postgres.major >= 15).concurrent.each(['omit', 'fetch'] as const)(
    'a row filter over the key, crossed by changes of it, toast: %s',
    async (toast) => {
      await using db = await testDatabase(postgres.server, ROWS)
      await publish(db, 'CREATE PUBLICATION theirs FOR TABLE t WHERE (id < 7), capture_marker')
      const reader = await capture(db, { tables: 't', publication: 'theirs', toast }, () =>
        db.query(
          'UPDATE t SET id = 10 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 8; UPDATE t SET n = 0 WHERE id IN (2, 9); UPDATE t SET id = -3 WHERE id = 3',
        ),
      )
      // The row that comes in has a value that was not sent, and nobody has it from before.
      const entered = reader.changesOf('t').find(({ operation }) => operation === 'create')
      expect(entered!.key).toEqual({ id: 1 })
      if (toast === 'fetch') return await requireSame(db, reader, '(SELECT * FROM t WHERE id < 7)')
      expect(entered).toMatchObject({ after: { id: 1, n: 8 }, unchanged: ['big'] })
    },
  )

  test
    .runIf(postgres.major >= 18)
    .concurrent('generated columns of two publications that say different things of them', async () => {
      await using db = await testDatabase(
        postgres.server,
        `${GENERATED} CREATE TABLE log (n int, twice int GENERATED ALWAYS AS (n * 2) STORED); INSERT INTO log VALUES (1)`,
      )
      await publish(
        db,
        `CREATE PUBLICATION theirs FOR TABLE t, capture_marker WITH (publish_generated_columns = stored);
       CREATE PUBLICATION theirs_inserts FOR TABLE log WITH (publish = 'insert, truncate')`,
      )
      const reader = await capture(db, { tables: 't,log', publication: 'theirs', keyless: 'inserts' }, () =>
        db.query(`${CHANGE}; INSERT INTO log VALUES (2)`),
      )
      await requireSame(db, reader)
      const logged = reader.records
        .filter(({ table }) => table === 'log')
        .map(({ operation, after }) => [operation, after])
      expect(logged).toEqual([
        ['snapshot', { n: 1 }],
        ['create', { n: 2 }],
      ])
    })

  test
    .runIf(postgres.major >= 15)
    .concurrent('column lists and filters of two publications, one of them of inserts', async () => {
      await using db = await testDatabase(
        postgres.server,
        'CREATE TABLE t (id int PRIMARY KEY, n int, hidden text); CREATE TABLE log (n int, hidden text); INSERT INTO t VALUES (1, 1, 1), (9, 9, 9); INSERT INTO log VALUES (1, 1), (9, 9)',
      )
      await publish(
        db,
        `CREATE PUBLICATION theirs FOR TABLE t (id, n) WHERE (id < 5), capture_marker;
       CREATE PUBLICATION theirs_inserts FOR TABLE log (n) WHERE (n < 5) WITH (publish = 'insert, truncate')`,
      )
      const reader = await capture(db, { tables: 't,log', publication: 'theirs', keyless: 'inserts' }, () =>
        db.query(
          `INSERT INTO t VALUES (2, 2, 2), (8, 8, 8); UPDATE t SET n = n + 10; INSERT INTO log VALUES (2, 2), (8, 8)`,
        ),
      )
      await requireSame(db, reader, '(SELECT id, n FROM t WHERE id < 5)')
      const logged = reader.records
        .filter(({ table }) => table === 'log')
        .map(({ operation, after }) => [operation, after])
      expect(logged).toEqual([
        ['snapshot', { n: 1 }],
        ['create', { n: 2 }],
      ])
    })
})
