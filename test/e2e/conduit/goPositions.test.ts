import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { Pipeline, shortOf } from '../../support/conduit/pipeline.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { openSession } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

/** As the Go connector leaves it: publication first, then a permanent slot, and nothing that says whose they are. */
async function leftBehind(server: EmbeddedPostgres, tables: string, sql: string): Promise<TestDatabase> {
  const db = await testDatabase(server, sql)
  db.expectSlots = true
  await db.query(`CREATE PUBLICATION conduitpub FOR TABLE ${tables}`)
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [db.name])
  return db
}

/** LSNs of the pending changes themselves, by which the Go connector counts. */
async function changeLsns(db: TestDatabase): Promise<string[]> {
  const rows = await db.query<{ lsn: string; kind: string }>(
    `SELECT lsn::text AS lsn, encode(substr(data, 1, 1), 'escape') AS kind
       FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', 'conduitpub')`,
    [db.name],
  )
  return rows.filter(({ kind }) => 'IUD'.includes(kind)).map(({ lsn }) => lsn)
}

/** The Go connector has had all up to that change, and told the slot so. */
async function acknowledged(db: TestDatabase, lsn: string): Promise<string> {
  await db.query('SELECT pg_replication_slot_advance($1, $2::pg_lsn)', [db.name, lsn])
  return JSON.stringify({ type: 2, last_lsn: lsn })
}

function pipelineBehind(
  db: TestDatabase,
  position: string,
  others: Record<string, string> = {},
  here = true,
): Pipeline {
  const pipeline = new Pipeline({ url: db.url, tables: '*', 'logrepl.slotName': db.name, ...others }, { here })
  pipeline.stored = Buffer.from(position)
  return pipeline
}

const operations = ({ records }: Pipeline) => records.map(shortOf)

describeEachMajor('a CDC position of the Go connector', (postgres) => {
  test('is gone on behind: no snapshot, no gap, also of interleaved transactions and in the middle of one', async () => {
    await using db = await leftBehind(
      postgres.server,
      'orders',
      'CREATE TABLE orders (id int PRIMARY KEY, v text); INSERT INTO orders SELECT n FROM generate_series(1, 50) AS n',
    )
    await using open = await openSession(db.url)
    await open.query('BEGIN; INSERT INTO public.orders VALUES (101)')
    await db.query('INSERT INTO orders VALUES (102)')
    await db.query('INSERT INTO orders VALUES (103), (104), (105)')
    await open.query('INSERT INTO public.orders VALUES (106); COMMIT')
    const [, first] = await changeLsns(db)
    const position = await acknowledged(db, first!)
    await db.query('DELETE FROM orders WHERE id = 50')
    await using pipeline = pipelineBehind(db, position)
    await pipeline.start()
    await pipeline.has(6)
    await pipeline.stop()
    // 102 was acknowledged, and so was 103: the rest of its transaction is still to come, and that comes whole.
    const rest = [103, 104, 105, 101, 106].map((id) => ['create', { id, v: null }])
    expect(operations(pipeline)).toEqual([...rest, ['delete', { id: 50 }]])
    await db.query('UPDATE orders SET v = $$x$$ WHERE id = 1')
    await pipeline.start()
    await pipeline.has(1)
    await pipeline.stop()
    expect(operations(pipeline).slice(6)).toEqual([['update', { id: 1, v: 'x' }]])
    const left = await db.query('SELECT obj_description(oid) AS comment FROM pg_publication')
    expect(left).toEqual([{ comment: null }])
  })

  test('of whom all was acknowledged, whose slot stands at the end of the WAL, and of a bare LSN: the new alone', async () => {
    await using db = await leftBehind(postgres.server, 'orders', 'CREATE TABLE orders (id int PRIMARY KEY)')
    await db.query('INSERT INTO orders VALUES (1)')
    const [lsn] = await changeLsns(db)
    const [end] = await db.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')
    await acknowledged(db, end!.lsn)
    await db.query('INSERT INTO orders VALUES (2)')
    for (const position of [JSON.stringify({ type: 2, last_lsn: lsn }), lsn!]) {
      await using pipeline = pipelineBehind(db, position, {}, false)
      pipeline.stored = Buffer.from(position)
      await pipeline.start()
      await pipeline.has(1)
      // Nothing is acknowledged: the next one begins there too.
      await pipeline.crash()
      expect(operations(pipeline)).toEqual([['create', { id: 2 }]])
    }
  })
})

describeEachMajor('a snapshot position of the Go connector', (postgres) => {
  test('is gone on with behind the last row of each table, with the keys that it never reads, and every change', async () => {
    await using db = await leftBehind(
      postgres.server,
      'begun, done, fresh',
      `CREATE TABLE begun (id bigint PRIMARY KEY, v int); INSERT INTO begun VALUES (-1, 0), (0, 0), (1, 0), (2, 0), (3, 0), (5, 0), (6, 0);
       CREATE TABLE done (id smallint PRIMARY KEY, v int); INSERT INTO done VALUES (1, 0), (2, 0);
       CREATE TABLE fresh (id int PRIMARY KEY, v int); INSERT INTO fresh VALUES (1, 0), (2, 0)`,
    )
    const position = JSON.stringify({
      type: 1,
      snapshots: { begun: { last_read: 3, snapshot_end: 6 }, done: { last_read: 2, snapshot_end: 2 } },
    })
    await db.query('UPDATE begun SET v = 1 WHERE id IN (2, 5); DELETE FROM begun WHERE id IN (3, 6)')
    await db.query(
      'INSERT INTO done VALUES (3, 1); UPDATE done SET v = 1 WHERE id = 1; UPDATE fresh SET v = 1 WHERE id = 2',
    )
    await using pipeline = pipelineBehind(db, position)
    await pipeline.start()
    const isRead = ([operation]: readonly [string, unknown]) => operation === 'snapshot'
    await waitFor(() => pipeline.stream.records.map(shortOf).filter(isRead).length >= 5, { what: 'the rows' })
    await db.query('INSERT INTO begun VALUES (7, 2)')
    await waitFor(() => pipeline.stream.records.some((one) => JSON.stringify(shortOf(one)).includes('"id":7')), {
      what: 'the new row',
    })
    await pipeline.stop()
    // What the Go connector had delivered, and what came since.
    const target = new Map(['begun 1 0', 'begun 2 0', 'begun 3 0', 'done 1 0', 'done 2 0'].map(rowOf))
    const came: string[] = []
    for (const record of pipeline.records) {
      const [operation, row] = shortOf(record) as readonly [string, { id: number; v: number }]
      const name = `${record.metadata['opencdc.collection']} ${row.id}`
      came.push(`${operation} ${name}`)
      if (operation === 'delete') target.delete(name)
      else target.set(name, row.v)
    }
    const read = came.filter((one) => one.startsWith('snapshot')).sort()
    const expected = ['begun -1', 'begun 0', 'begun 5', 'fresh 1', 'fresh 2']
    expect(read).toEqual(expected.map((one) => `snapshot ${one}`).sort())
    const rows = await db.query<{ row: string }>(
      `SELECT 'begun ' || id || ' ' || v AS row FROM begun UNION ALL SELECT 'done ' || id || ' ' || v FROM done
        UNION ALL SELECT 'fresh ' || id || ' ' || v FROM fresh`,
    )
    expect(new Map([...target].sort())).toEqual(new Map(rows.map(({ row }) => rowOf(row)).sort()))
    const before = pipeline.records.length
    await pipeline.start()
    await db.query('INSERT INTO begun VALUES (8, 2)')
    await pipeline.has(1)
    await pipeline.stop()
    expect(operations(pipeline).slice(before)).toEqual([['create', { id: 8, v: 2 }]])
  })
})

function rowOf(text: string): [string, number] {
  const [table, id, v] = text.split(' ')
  return [`${table} ${id}`, Number(v)]
}

describe('positions of the Go connector', () => {
  let server: EmbeddedPostgres
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  const TABLE = 'CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)'

  test('of a slot that was dropped, or of another server, are an error and no gap', async () => {
    await using db = await leftBehind(server, 'orders', TABLE)
    await using other = pipelineBehind(db, '{"type":2,"last_lsn":"FFFF/0"}')
    await expect(other.start()).rejects.toThrow(/^POSITION_INVALID: .*beyond the end of the WAL/)
    await db.query('SELECT pg_drop_replication_slot($1)', [db.name])
    for (const position of ['{"type":2,"last_lsn":"0/10"}', '{"type":1,"snapshots":{}}']) {
      await using pipeline = pipelineBehind(db, position)
      await expect(pipeline.start()).rejects.toThrow(/^SLOT_MISSING: .*onSlotLost/)
    }
    await using again = pipelineBehind(db, '{"type":2,"last_lsn":"0/10"}', { onSlotLost: 'resnapshot' })
    await again.start()
    await again.has(1)
    await again.stop()
    expect(operations(again)).toEqual([['snapshot', { id: 1 }]])
  })

  test.each([
    ['{"type":0}', 0],
    ['0/0', 0],
    ['orders:1', 1],
    ['1', 1],
  ])('that say nothing of the stream have all rows read: %s', async (position, warnings) => {
    await using db = await leftBehind(server, 'orders', TABLE)
    await using pipeline = pipelineBehind(db, position)
    await pipeline.start()
    await pipeline.has(1)
    await pipeline.stop()
    expect(operations(pipeline)).toEqual([['snapshot', { id: 1 }]])
    expect(pipeline.host.logs.filter(({ message }) => message.includes('read once more')).length).toBe(warnings)
  })

  test('that are damaged, or none of anybody’s, are refused with what they are', async () => {
    await using db = await leftBehind(server, 'orders', TABLE)
    for (const [position, problem] of [
      ['{"type":2}', /last_lsn is no LSN/],
      ['nonsense', /none of this connector's, nor of Conduit's own: nonsense/],
    ] as const) {
      await using pipeline = pipelineBehind(db, position)
      await expect(pipeline.start()).rejects.toThrow(problem)
    }
  })
})
