import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Batch } from '../../../src/source/batch.js'
import { Random } from '../../chaos/random.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { urlAs } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { isSlow } from '../../support/slow.js'
import { type CaptureOptions, capture, rowsOf } from '../../support/sourceCapture.js'
import { readSource, type SourceReader } from '../../support/sourceReader.js'
import { byField, replay, requireOrder, sorted } from '../../support/sourceReplay.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

const FETCH = { toast: 'fetch' } as const

/** SQL of a text that is stored out of line. */
const long = (letter: string) => `repeat('${letter}', 3000)`
const LONG = { a: 'a'.repeat(3000), b: 'b'.repeat(3000), c: 'c'.repeat(3000) }

const TABLE = `
  CREATE TABLE t (id int PRIMARY KEY, n int, big text, other text);
  ALTER TABLE t ALTER big SET STORAGE EXTERNAL, ALTER other SET STORAGE EXTERNAL;`
/** More than one batch holds. */
const FILLER = "INSERT INTO filler (note) SELECT repeat('-', 100) FROM generate_series(1, 4000);"

/**
 * Runs `changes` while the consumer holds the batch before them, which has `before`: so all of them are there when it
 * goes on.
 */
async function captureHeld(
  db: TestDatabase,
  options: CaptureOptions,
  changes: string,
  before = '',
): Promise<SourceReader> {
  await db.query(
    'CREATE TABLE IF NOT EXISTS capture_marker (n serial PRIMARY KEY); CREATE TABLE IF NOT EXISTS filler (id serial PRIMARY KEY, note text)',
  )
  let release: () => void = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const holds = (batch: Batch) =>
    [...batch].some(({ table, operation }) => table?.name === 'capture_marker' && operation === 'create')
  let held = false
  const onBatch = (batch: Batch) => {
    if (held || !holds(batch)) return undefined
    held = true
    return released
  }
  const tables = [options.tables, 'capture_marker', 'filler'].flat()
  await using reader = readSource({ url: db.url, ...options, tables } as never, { onBatch })
  await reader.told('streaming')
  await db.query(`${before} INSERT INTO capture_marker DEFAULT VALUES`)
  await waitFor(() => held, { what: 'the batch to be held' })
  await db.query(changes)
  const [written] = await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn() AS lsn')
  await db.query('INSERT INTO capture_marker DEFAULT VALUES')
  const received = () =>
    db.query(
      `SELECT FROM pg_stat_replication r JOIN pg_stat_activity a USING (pid)
        WHERE a.datname = current_database() AND r.write_lsn >= $1`,
      [written!.lsn],
    )
  await waitFor(async () => (await received()).length > 0, { what: 'all changes to be received', timeoutMs: 30_000 })
  release()
  const [marker] = await db.query<{ n: number }>('INSERT INTO capture_marker DEFAULT VALUES RETURNING n')
  await reader.seen(({ table, key }) => table === 'capture_marker' && key?.n === marker!.n, 'the marker')
  return reader
}

/** Key, `big` and what is unchanged of each change of `t`. */
function bigs(reader: SourceReader): unknown[] {
  return reader.changesOf('t').map(({ key, after, unchanged }) => [key!.id, after?.big, unchanged])
}

describeEachMajor('toast: fetch', (postgres) => {
  test.concurrent('gives an update the values that it left alone, several columns at once, and the same as a snapshot', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TABLE t (id int PRIMARY KEY, n int, big text, j jsonb, b bytea, f float8[], at timestamptz[]);
       ALTER TABLE t ALTER big SET STORAGE EXTERNAL, ALTER j SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL,
         ALTER f SET STORAGE EXTERNAL, ALTER at SET STORAGE EXTERNAL;
       INSERT INTO t SELECT 1, 0, ${long('"\\\t')} || E'\\n\\\\', jsonb_build_object('x', ${long('y')}),
         decode(${long('00ff')}, 'hex'), array_agg(i / 3.0), array_agg('2026-01-01Z'::timestamptz + i * '1 s'::interval)
         FROM generate_series(1, 1000) i`,
    )
    const reader = await capture(db, { tables: 't', ...FETCH }, () => db.query('UPDATE t SET n = 1'))
    const [snapshot] = reader.snapshotOf('t')
    const [update] = reader.changesOf('t')
    expect(update!.after).toEqual({ ...snapshot!.after, n: 1 })
    expect(update).not.toHaveProperty('unchanged')
    expect(update).toMatchObject({ operation: 'update', key: { id: 1 } })
  })

  test.concurrent('omit leaves it as it was', async () => {
    await using db = await testDatabase(postgres.server, `${TABLE} INSERT INTO t VALUES (1, 0, ${long('a')}, 'x')`)
    const reader = await capture(db, { tables: 't' }, () => db.query('UPDATE t SET n = 1'))
    expect(bigs(reader)).toEqual([[1, undefined, ['big']]])
  })

  test.concurrent('composite keys of odd types, equal only to themselves', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('it''s', 'b\\');
       CREATE DOMAIN s.code AS text CHECK (VALUE <> 'gone');
       CREATE TABLE "T ""x""" ("k 1" s.mood, k2 s.code, k3 char(5), k4 numeric, k5 timestamptz, n int, "big ""b""" text,
         PRIMARY KEY (k4, "k 1", k2, k3, k5));
       ALTER TABLE "T ""x""" ALTER "big ""b""" SET STORAGE EXTERNAL;
       INSERT INTO "T ""x""" VALUES
         ('it''s', 'a,b', 'ab', 1.0, '2026-01-01Z', 0, ${long('a')}), ('b\\', E'\\\\ ''', 'b', 1.00, 'infinity', 0, ${long('b')}),
         ('b\\', 'a', 'b', 'NaN', '2026-01-01Z', 0, ${long('c')})`,
    )
    const reader = await capture(db, { tables: '"T ""x"""', ...FETCH }, () => db.query('UPDATE "T ""x""" SET n = 1'))
    const changes = reader.changesOf('T "x"')
    expect(changes.map(({ after }) => after!['big "b"'])).toEqual([LONG.a, LONG.b, LONG.c])
  })

  test.concurrent('a key of a type whose equality is not in pg_catalog', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE SCHEMA s; CREATE EXTENSION ltree SCHEMA s; CREATE DOMAIN s.place AS s.ltree; CREATE TYPE s.pair AS (a int, b text);
       CREATE TABLE t (id s.place, pair s.pair, n int, big text, PRIMARY KEY (pair, id)); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
       INSERT INTO t VALUES ('top.x', '(1,"a b")', 0, ${long('a')}), ('top', '(1,"a b")', 0, ${long('b')})`,
    )
    const reader = await capture(db, { tables: 't', ...FETCH }, () => db.query('UPDATE t SET n = 1'))
    expect(reader.changesOf('t').map(({ after }) => after!.big)).toEqual([LONG.a, LONG.b])
  })

  test.concurrent('a changed key is read by the new one, through several changes, swaps too', async () => {
    await using db = await testDatabase(
      postgres.server,
      `${TABLE} INSERT INTO t VALUES (1, 0, ${long('a')}), (2, 0, ${long('b')})`,
    )
    const reader = await captureHeld(
      db,
      { tables: 't', ...FETCH },
      'UPDATE t SET id = 5 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 5; UPDATE t SET n = 1',
    )
    expect(bigs(reader)).toEqual([
      [5, LONG.a, undefined],
      [1, LONG.b, undefined],
      [2, LONG.a, undefined],
      [1, LONG.b, undefined],
      [2, LONG.a, undefined],
    ])
    expect(reader.changesOf('t').map(({ oldKey }) => oldKey?.id)).toEqual([1, 2, 5, undefined, undefined])
  })

  test.concurrent('what an earlier record of the batch carried is taken from there: it is exact, whatever came after', async () => {
    await using db = await testDatabase(postgres.server, TABLE)
    const reader = await captureHeld(
      db,
      { tables: 't', ...FETCH },
      `INSERT INTO t VALUES (1, 0, ${long('a')}, ${long('c')});
       UPDATE t SET n = 1;
       UPDATE t SET id = 7;
       UPDATE t SET big = ${long('b')};
       UPDATE t SET n = 2;
       DELETE FROM t;
       INSERT INTO t VALUES (7, 0, 'short', 'short');
       UPDATE t SET n = 3`,
    )
    expect(
      reader.changesOf('t').map(({ operation, after, unchanged }) => [operation, after?.big, after?.other, unchanged]),
    ).toEqual([
      ['create', LONG.a, LONG.c, undefined],
      ['update', LONG.a, LONG.c, undefined],
      ['update', LONG.a, LONG.c, undefined],
      ['update', LONG.b, LONG.c, undefined],
      ['update', LONG.b, LONG.c, undefined],
      ['delete', undefined, undefined, undefined],
      ['create', 'short', 'short', undefined],
      ['update', 'short', 'short', undefined],
    ])
  })

  test.concurrent('a row changed again by then gives its present value, also NULL, and ends the same', async () => {
    await using db = await testDatabase(
      postgres.server,
      `${TABLE} INSERT INTO t VALUES (1, 0, ${long('a')}), (2, 0, ${long('a')})`,
    )
    const reader = await captureHeld(
      db,
      { tables: 't', ...FETCH },
      `UPDATE t SET n = 1; ${FILLER} UPDATE t SET big = ${long('b')} WHERE id = 1; UPDATE t SET big = NULL WHERE id = 2`,
    )
    expect(bigs(reader)).toEqual([
      [1, LONG.b, undefined],
      [2, null, undefined],
      [1, LONG.b, undefined],
      [2, null, undefined],
    ])
  })

  test.concurrent('a row that is gone, or has another key by then, stays named in unchanged', async () => {
    await using db = await testDatabase(
      postgres.server,
      `${TABLE} INSERT INTO t VALUES (1, 0, ${long('a')}), (2, 0, ${long('b')}), (3, 0, ${long('c')})`,
    )
    const changes = (filler: string) =>
      `UPDATE t SET n = 1; ${filler} DELETE FROM t WHERE id = 1; UPDATE t SET id = 12 WHERE id = 2`
    const reader = await captureHeld(db, { tables: 't', ...FETCH }, changes(FILLER))
    expect(bigs(reader)).toEqual([
      [1, undefined, ['big']],
      [2, undefined, ['big']],
      [3, LONG.c, undefined],
      [1, undefined, undefined],
      [12, LONG.b, undefined],
    ])
  })

  test.concurrent('a key change within the batch is followed', async () => {
    await using db = await testDatabase(postgres.server, `${TABLE} INSERT INTO t VALUES (2, 0, ${long('b')})`)
    const reader = await captureHeld(
      db,
      { tables: 't', ...FETCH },
      'UPDATE t SET n = 1; UPDATE t SET id = 12; UPDATE t SET n = 2; UPDATE t SET id = 13',
    )
    expect(bigs(reader)).toEqual([2, 12, 12, 13].map((id) => [id, LONG.b, undefined]))
  })

  test.concurrent('large values: batches are parted so that few are held, each with its position', async () => {
    await using db = await testDatabase(
      postgres.server,
      `${TABLE} INSERT INTO t SELECT i, 0, repeat(i::text, 10 << 20) FROM generate_series(1, 6) i`,
    )
    const reader = await capture(db, { tables: 't', snapshot: 'never', ...FETCH }, () => db.query('UPDATE t SET n = 1'))
    const updates = reader.changesOf('t')
    expect(
      updates.map(
        ({ key, after }) => (after!.big as string).length === 10 << 20 && (after!.big as string)[0] === `${key!.id}`,
      ),
    ).toEqual(Array(6).fill(true))
    const sizes = reader.batches.map(({ bytes }) => bytes)
    expect(Math.max(...sizes)).toBeLessThan(11 << 20)
    expect(reader.batches.filter(({ bytes }) => bytes > 10 << 20)).toHaveLength(6)
    expect(new Set(updates.map(({ position }) => JSON.stringify(position))).size).toBe(6)
  })

  test.concurrent('one large value of many records is read a few times only, and never held many times', async () => {
    await using db = await testDatabase(postgres.server, `${TABLE} INSERT INTO t VALUES (1, 0, repeat('x', 1 << 20))`)
    const changes = Array.from({ length: 20 }, (_, n) => `UPDATE t SET n = ${n + 1};`).join(' ')
    const reader = await captureHeld(db, { tables: 't', snapshot: 'never', ...FETCH }, changes)
    expect(reader.changesOf('t').map(({ after }) => [after!.n, (after!.big as string).length])).toEqual(
      Array.from({ length: 20 }, (_, n) => [n + 1, 1 << 20]),
    )
    expect(Math.max(...reader.batches.map(({ bytes }) => bytes))).toBeLessThan(5 << 20)
  })

  test.concurrent('many rows of one transaction, over many batches, each with its own value', async () => {
    await using db = await testDatabase(
      postgres.server,
      `${TABLE} INSERT INTO t SELECT i, 0, repeat(i::text || ' ', 1000) FROM generate_series(1, 2000) i`,
    )
    const reader = await capture(db, { tables: 't', snapshot: 'never', ...FETCH }, () =>
      db.query('UPDATE t SET n = id'),
    )
    const updates = reader.changesOf('t')
    expect(updates).toHaveLength(2000)
    for (const { key, after, unchanged } of updates) {
      expect(unchanged).toBeUndefined()
      expect(after!.big === `${key!.id} `.repeat(1000) && after!.n === key!.id).toBe(true)
    }
  })

  test.concurrent('a partitioned table is read through its root', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TABLE t (id int PRIMARY KEY, n int, big text) PARTITION BY RANGE (id);
       CREATE TABLE t1 (big text, id int NOT NULL, n int);
       ALTER TABLE t1 ALTER big SET STORAGE EXTERNAL;
       ALTER TABLE t ATTACH PARTITION t1 FOR VALUES FROM (0) TO (10);
       CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20); ALTER TABLE t2 ALTER big SET STORAGE EXTERNAL;
       ALTER TABLE t REPLICA IDENTITY FULL;
       INSERT INTO t VALUES (1, 0, ${long('a')}), (11, 0, ${long('b')})`,
    )
    const reader = await capture(db, { tables: 't', ...FETCH }, () => db.query('UPDATE t SET n = 1'))
    expect(bigs(reader)).toEqual([
      [1, LONG.a, undefined],
      [11, LONG.b, undefined],
    ])
  })

  test.concurrent('children by inheritance are other tables', async () => {
    await using db = await testDatabase(
      postgres.server,
      `${TABLE} CREATE TABLE child () INHERITS (t); INSERT INTO t VALUES (1, 0, ${long('a')}); INSERT INTO child VALUES (1, 0, 'child')`,
    )
    const reader = await capture(db, { tables: 't', ...FETCH }, () => db.query('UPDATE ONLY t SET n = 1'))
    expect(bigs(reader)).toEqual([[1, LONG.a, undefined]])
  })

  test.concurrent('nothing is fetched of columns that were not chosen', async () => {
    await using db = await testDatabase(postgres.server, `${TABLE} INSERT INTO t VALUES (1, 0, ${long('a')}, 'x')`)
    const options = { tables: 't', snapshot: 'never', columns: ['t:id,n'], ...FETCH } as const
    const reader = await capture(db, options, async (running) => {
      await db.query('UPDATE t SET n = 1')
      await running.seen(({ after }) => after?.n === 1, 'the update')
      expect(await copies(db)).toEqual([])
    })
    expect(reader.changesOf('t').map(({ after, unchanged }) => [after, unchanged])).toEqual([
      [{ id: 1, n: 1 }, undefined],
    ])
  })

  test.concurrent('a table altered, renamed or dropped by then is read as it is, or its values stay unchanged', async () => {
    await using db = await testDatabase(
      postgres.server,
      `${TABLE} CREATE TABLE u (LIKE t INCLUDING ALL); CREATE TABLE v (LIKE t INCLUDING ALL); CREATE TABLE w (LIKE t INCLUDING ALL);
       INSERT INTO t VALUES (1, 0, ${long('a')}, ${long('b')}); INSERT INTO u TABLE t; INSERT INTO v TABLE t; INSERT INTO w TABLE t`,
    )
    const update = (n: number) => ['t', 'u', 'v', 'w'].map((table) => `UPDATE ${table} SET n = ${n};`).join(' ')
    const reader = await captureHeld(
      db,
      { tables: 't,u,v,w', ...FETCH },
      `${update(2)} CREATE SCHEMA s; ALTER TABLE t SET SCHEMA s; ALTER TABLE s.t RENAME TO other_name;
       DROP TABLE u; ALTER TABLE v DROP big; ALTER TABLE w ALTER big TYPE json USING to_json(big)`,
      update(1),
    )
    const updates = (table: string) =>
      reader.changesOf(table).map(({ after, unchanged }) => [after!.n, after!.big, after!.other, unchanged])
    const whole = [1, LONG.a, LONG.b, undefined]
    expect(updates('t')).toEqual([whole, [2, LONG.a, LONG.b, undefined]])
    expect(updates('u')).toEqual([whole, [2, undefined, undefined, ['big', 'other']]])
    expect(updates('v')).toEqual([whole, [2, undefined, LONG.b, ['big']]])
    expect(updates('w')).toEqual([whole, [2, undefined, LONG.b, ['big']]])
  })

  test.concurrent('shapes that come and go within a batch keep their values apart', async () => {
    await using db = await testDatabase(postgres.server, TABLE)
    const reader = await captureHeld(
      db,
      { tables: 't', ...FETCH },
      `INSERT INTO t VALUES (1, 0, ${long('a')}); ALTER TABLE t ADD x int; UPDATE t SET big = ${long('b')};
       ALTER TABLE t DROP x; UPDATE t SET n = 1`,
    )
    const rows = reader.changesOf('t').filter(({ operation }) => operation !== 'schema')
    expect(rows.map(({ after }) => after!.big)).toEqual([LONG.a, LONG.b, LONG.b])
  })

  test.runIf(postgres.major >= 15).concurrent('a row that has left the row filter by then is not read', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TABLE t (id int PRIMARY KEY, region text NOT NULL, n int, big text, UNIQUE (id, region));
       ALTER TABLE t ALTER big SET STORAGE EXTERNAL, REPLICA IDENTITY USING INDEX t_id_region_key;
       INSERT INTO t VALUES (1, 'here', 0, ${long('a')}), (2, 'here', 0, ${long('b')});
       CREATE TABLE capture_marker (n serial PRIMARY KEY); CREATE TABLE filler (id serial PRIMARY KEY, note text);
       CREATE PUBLICATION theirs FOR TABLE t WHERE (region = 'here'), capture_marker, filler`,
    )
    const change = `UPDATE t SET n = 1; ${FILLER} UPDATE t SET region = 'elsewhere', big = ${long('c')} WHERE id = 1`
    const reader = await captureHeld(db, { tables: 't', publication: 'theirs', ...FETCH }, change)
    expect(bigs(reader)).toEqual([
      [1, undefined, ['big']],
      [2, LONG.b, undefined],
      [1, undefined, undefined],
    ])
  })

  test.concurrent('a connection cut by the server is made anew', async () => {
    await using db = await testDatabase(postgres.server, `${TABLE} INSERT INTO t VALUES (1, 0, ${long('a')})`)
    const reader = await capture(db, { tables: 't', ...FETCH }, async (running) => {
      await db.query('UPDATE t SET n = 1')
      await running.seen(({ after }) => after?.n === 1, 'the first')
      const pids = await copies(db)
      expect(pids).toHaveLength(1)
      await db.query('SELECT pg_terminate_backend($1)', [pids[0]])
      await db.query('UPDATE t SET n = 2')
      await running.seen(({ after }) => after?.n === 2, 'the second')
    })
    expect(bigs(reader)).toEqual([
      [1, LONG.a, undefined],
      [1, LONG.a, undefined],
    ])
    expect(reader.events.some(({ type }) => type === 'reconnecting')).toBe(true)
  })

  test.concurrent('a role that may not read is told at the start, and stops with an error when it may no more', async ({
    expect,
  }) => {
    await using db = await testDatabase(postgres.server, `${TABLE} INSERT INTO t VALUES (1, 0, ${long('a')})`)
    const role = `reader_${db.name}`
    await db.query(`CREATE ROLE ${role} LOGIN REPLICATION; CREATE PUBLICATION mine FOR TABLE t`)
    try {
      const options = { url: urlAs(db.url, role), tables: 't', publication: 'mine', snapshot: 'never' } as const
      await using refused = readSource({ ...options, ...FETCH })
      await expect(refused.ended).rejects.toMatchObject({ code: 'TABLE_NOT_READABLE' })
      await db.query(`GRANT SELECT ON t TO ${role}`)
      await using reader = readSource({ ...options, ...FETCH })
      await reader.told('streaming')
      await db.query(`REVOKE SELECT ON t FROM ${role}; UPDATE t SET n = 1`)
      await expect(reader.ended).rejects.toMatchObject({
        code: 'TOAST_NOT_FETCHED',
        message: expect.stringContaining('permission denied for table t'),
      })
    } finally {
      await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })
})

test('a commit that is streamed and not visible yet is waited for: an older value is never given', async () => {
  await using server = await startServer()
  await using db = await testDatabase(server, `${TABLE} INSERT INTO t VALUES (1, 0, ${long('a')})`)
  const synchronous = async (standby: string) => {
    await db.query(`ALTER SYSTEM SET synchronous_standby_names = '${standby}'`)
    await db.query('SELECT pg_reload_conf()')
  }
  const waiting = () => db.query("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
  await db.query('CREATE TABLE filler (id serial PRIMARY KEY, note text)')
  await using reader = readSource({ url: db.url, tables: 't,filler', ...FETCH })
  await reader.told('streaming')
  await synchronous('nobody')
  const writer = await db.connect()
  const committed = writer.query(`UPDATE t SET big = ${long('b')}; ${FILLER} UPDATE t SET n = 1`)
  await waitFor(async () => (await waiting()).length > 0, { what: 'the commit to wait' })
  await reader.told('warning')
  expect(reader.events.find(({ type }) => type === 'warning')).toMatchObject({ code: 'COMMIT_NOT_VISIBLE' })
  expect(bigs(reader)).toEqual([[1, LONG.b, undefined]])
  await synchronous('')
  await committed
  await reader.seen(({ after }) => after?.n === 1, 'the second change')
  expect(bigs(reader)).toEqual([
    [1, LONG.b, undefined],
    [1, LONG.b, undefined],
  ])
})

test.each(isSlow ? [1, 2, 3, 4] : [1, 2])(
  'whatever is written meanwhile, a consumer ends with the table (seed %i)',
  async (seed) => {
    await using server = await startServer()
    await using db = await testDatabase(server, `${TABLE} CREATE TABLE capture_marker (n serial PRIMARY KEY)`)
    // The smallest batches, and a consumer that takes its time over some: values are read long after their changes.
    let batches = 0
    const onBatch = () => (++batches % 3 === 0 ? sleep(5) : undefined)
    const options = { url: db.url, tables: 't,capture_marker', maxBytes: 64 * 1024, ...FETCH }
    await using reader = readSource(options, { onBatch })
    await reader.told('streaming')
    const random = new Random(seed)
    for (let n = 0; n < 400; n++) {
      const [id, other, letter] = [
        random.integer(1, 6),
        random.integer(1, 6),
        String.fromCharCode(random.integer(97, 122)),
      ]
      const value = random.chance(0.25) ? 'NULL' : long(letter)
      const swap = `CASE WHEN id = -${id} THEN ${other} WHEN id = -${other} THEN ${id} ELSE -id END`
      const change = random.pick([
        `INSERT INTO t VALUES (${id}, ${n}, ${value}, ${long(letter)}) ON CONFLICT DO NOTHING`,
        `UPDATE t SET n = ${n} WHERE id <= ${id}`,
        `UPDATE t SET n = ${n}`,
        `UPDATE t SET big = ${value} WHERE id = ${id}`,
        `UPDATE t SET other = ${value}, n = ${n} WHERE id = ${id}`,
        `UPDATE t SET id = ${other} WHERE id = ${id} AND NOT EXISTS (SELECT FROM t WHERE id = ${other})`,
        `UPDATE t SET id = -id; UPDATE t SET id = ${swap}`,
        random.chance(0.2) ? 'TRUNCATE t' : `DELETE FROM t WHERE id = ${id}`,
      ])
      await db.query(change)
    }
    await db.query('INSERT INTO capture_marker DEFAULT VALUES')
    await reader.seen(({ table }) => table === 'capture_marker', 'the marker')
    requireOrder(reader.records)
    const rows = (await rowsOf(db, 't', 'id')) as Record<string, unknown>[]
    expect(replay(reader.records, 't').sort(byField('id'))).toEqual(rows.map(sorted))
    expect(reader.changesOf('t').length).toBeGreaterThan(300)
  },
)

/** Sessions whose last statement read values by key. */
async function copies(db: TestDatabase): Promise<number[]> {
  const rows = await db.query<{ pid: number }>(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY (SELECT w.n,%'",
  )
  return rows.map(({ pid }) => pid)
}
