import { appendFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { deferred } from '../../../src/core/deferred.js'
import type { SourceOptions } from '../../../src/source/options.js'
import { testDatabase } from '../../support/database.js'
import { openSession, urlAs } from '../../support/openSession.js'
import { Polls } from '../../support/polls.js'
import { prepareServer, startServer } from '../../support/servers.js'
import { readSource, readToCurrent, type SourceReader, type SourceRecord } from '../../support/sourceReader.js'
import { requireOrder } from '../../support/sourceReplay.js'
import { TcpProxy } from '../../support/tcpProxy.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)'
const FAST = { cdcMode: 'long_polling', pollIntervalMs: 20, tables: 't' } as const

function ids(records: readonly SourceRecord[]): unknown[] {
  return records.map(({ after }) => after!.id)
}

function warningOf(reader: SourceReader, code: string): string | undefined {
  return reader.events.flatMap((event) => (event.type === 'warning' && event.code === code ? [event.message] : []))[0]
}

describe('what is polled', () => {
  test.concurrent('snapshot: never begins with what comes, also from transactions open at the start', async () => {
    await using db = await testDatabase(server, `${TABLE}; INSERT INTO t VALUES (1), (2)`)
    const late = await db.connect()
    await late.query('BEGIN; INSERT INTO t VALUES (3)')
    await db.query('BEGIN; SAVEPOINT a; INSERT INTO t VALUES (4); COMMIT')
    const polls = new Polls(db, { snapshot: 'never' })
    expect(ids(await polls.next())).toEqual([])
    await late.query('COMMIT')
    await db.query('INSERT INTO t VALUES (0)')
    expect(ids(await polls.next())).toEqual([0, 3])
  })

  test.concurrent('a row that is written between two pages of the first reading has another id as it is then', async () => {
    await using db = await testDatabase(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, at int, v text);
       INSERT INTO t SELECT i, i, repeat('x', 500) FROM generate_series(1, 3000) i`,
    )
    const late = await db.connect()
    await late.query('BEGIN; UPDATE t SET at = 9000, v = NULL WHERE id = 1')
    // So that the snapshots before and behind its commit have the same xmax.
    await db.query('INSERT INTO t VALUES (0, 0)')
    const committed = deferred()
    await using reader = readSource(
      { url: db.url, ...FAST, cursors: ['t:at'], maxBytes: 65536 },
      { onBatch: async () => committed.promise },
    )
    await reader.until(() => reader.records.length > 0, { what: 'rows' })
    await late.query('COMMIT')
    committed.resolve()
    await reader.seen(({ after }) => after?.at === 9000, 'the row as it is now')
    const one = reader.records.filter(({ key }) => key?.id === 1)
    expect(one.map(({ operation, after }) => [operation, after!.at])).toEqual([
      ['snapshot', 1],
      ['snapshot', 9000],
    ])
    expect(new Set(reader.records.map(({ id }) => id)).size).toBe(reader.records.length)
  })

  test.concurrent('a table without a key by its cursor; with neither it is refused, with the way out', async () => {
    await using db = await testDatabase(
      server,
      'CREATE TABLE t (id int, at timestamptz DEFAULT now(), big text); INSERT INTO t VALUES (1), (1)',
    )
    await expect(new Polls(db).next()).rejects.toMatchObject({
      code: 'POLLING_KEY_MISSING',
      message: 'table public.t cannot be polled: it has neither a key nor a cursor column',
      hint: expect.stringContaining('--cursor public.t:updated_at'),
    })
    const polls = new Polls(db, { cursors: { t: 'at' }, columns: ['t:id'] })
    const first = await polls.next()
    expect(first.map(({ key, after }) => [key, after])).toEqual([
      [undefined, { id: 1 }],
      [undefined, { id: 1 }],
    ])
    await db.query('INSERT INTO t VALUES (1)')
    expect(ids(await polls.next())).toEqual([1])
    await expect(new Polls(db, { cursors: { t: 'att' } }).next()).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
    await expect(new Polls(db, { cursors: ['t:at,id'] }).next()).rejects.toMatchObject({
      code: 'POLLING_CURSOR_INVALID',
    })
    await expect(new Polls(db, { cursors: ['u:at'] }).next()).rejects.toMatchObject({ code: 'KEY_TABLE_UNKNOWN' })
  })

  test.concurrent('composite keys of any type and order, and partitioned tables', async () => {
    await using db = await testDatabase(
      server,
      `CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
       CREATE TABLE t (m mood, name text COLLATE "en-x-icu", n numeric, f float8, at timestamptz, u uuid, PRIMARY KEY (m, name, n, f, at, u))
         PARTITION BY LIST (m);
       CREATE TABLE t1 PARTITION OF t FOR VALUES IN ('sad'); CREATE TABLE t2 PARTITION OF t DEFAULT;
       INSERT INTO t SELECT m, 'Ä''\\' || i, i / 7.0, i / 7.0, '2026-01-01'::timestamptz + i * '0.123457 s'::interval, gen_random_uuid()
         FROM generate_series(1, 400) i, unnest(enum_range(NULL::mood)) m`,
    )
    const polls = new Polls(db, { maxBytes: 65536 })
    const keys = (records: readonly SourceRecord[]) => new Set(records.map(({ key }) => JSON.stringify(key))).size
    const first = await polls.next()
    expect([first.length, keys(first)]).toEqual([1200, 1200])
    for (const index of [327, 500, 1100]) {
      const { position } = first[index]!
      const { records: rest } = await readToCurrent({ url: db.url, ...FAST, maxBytes: 65536, position })
      expect(keys([...first.slice(0, index + 1), ...rest])).toBe(1200)
      expect(rest).toHaveLength(1200 - index - 1)
    }
    await db.query("UPDATE t SET m = 'sad' WHERE m = 'happy' AND n < 0.2")
    expect((await polls.next()).map(({ key }) => key!.m)).toEqual(['sad'])
  })

  test.concurrent('values read the same as in a snapshot', async () => {
    await using db = await testDatabase(
      server,
      `CREATE TYPE pair AS (a int, b text);
       CREATE TABLE t (id int PRIMARY KEY, n numeric, f float8, j jsonb, b bytea, ts timestamptz, i interval, a text[], p pair, g int GENERATED ALWAYS AS (id * 2) STORED);
       INSERT INTO t VALUES (1, 1.500, 'NaN', '{"a": [1e2]}', '\\x00ff', '2026-01-01 12:00+02', '1 day 2 s', '{"a,b",NULL,"\\\\\\""}', '(1,"x ""y")')`,
    )
    const { records } = await readToCurrent({ url: db.url, tables: 't', snapshot: 'only' })
    const [polled] = await new Polls(db).next()
    expect(polled!.after).toEqual({ ...records[0]!.after, ...(polled!.after!.g !== undefined && { g: 2 }) })
    await db.query('UPDATE t SET id = 2')
    const [changed] = await new Polls(db).next()
    expect(changed!.after).toEqual({ ...polled!.after, id: 2, ...(polled!.after!.g !== undefined && { g: 4 }) })
  })

  test.concurrent('a cursor taken back, or another one, reads the table again and says so', async () => {
    await using db = await testDatabase(server, `${TABLE}; INSERT INTO t VALUES (1)`)
    const polls = new Polls(db, { cursors: { t: 'id' } })
    await polls.next()
    await using reader = readSource({ url: db.url, ...FAST, position: polls.position })
    await reader.told('polling')
    expect(warningOf(reader, 'POLLING_READS_AGAIN')).toContain('all its rows are read again')
    expect(ids(reader.records)).toEqual([1])
  })
})

describe('a long run', () => {
  test.concurrent('follows columns added, altered and dropped, and goes on when a table is dropped', async () => {
    await using db = await testDatabase(
      server,
      `${TABLE}; CREATE TABLE u (id int PRIMARY KEY); INSERT INTO t VALUES (1, '7')`,
    )
    await using reader = readSource({ url: db.url, ...FAST, tables: 't,u' })
    await reader.told('polling')
    await db.query("ALTER TABLE t ADD added int DEFAULT 5; INSERT INTO t VALUES (2, '8')")
    expect((await reader.seen(({ key }) => key?.id === 2, 'row 2')).after).toEqual({ id: 2, v: '8', added: 5 })
    await db.query('ALTER TABLE t ALTER v TYPE int USING v::int; INSERT INTO t VALUES (3, 9)')
    expect((await reader.seen(({ key }) => key?.id === 3, 'row 3')).after).toEqual({ id: 3, v: 9, added: 5 })
    await db.query('ALTER TABLE t DROP v; DROP TABLE u; INSERT INTO t VALUES (4, 6)')
    expect((await reader.seen(({ key }) => key?.id === 4, 'row 4')).after).toEqual({ id: 4, added: 6 })
    expect((await reader.told('table-dropped')).table).toBe('public.u')
  })

  test.concurrent('a lost connection is made anew, in the middle of a page too, and no row comes twice', async () => {
    await using db = await testDatabase(
      server,
      `${TABLE}; INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 3000) i`,
    )
    await using proxy = await TcpProxy.to(Number(new URL(db.url).port))
    let cuts = 0
    await using reader = readSource(
      { url: proxy.url(db.url), ...FAST, maxBytes: 65536 },
      {
        onBatch: async () => {
          if (cuts < 3 && reader.records.length > 400 * (cuts + 1)) {
            cuts++
            proxy.cut()
          }
        },
      },
    )
    await reader.seen(({ key }) => key?.id === 3000, 'the last row')
    await db.query("INSERT INTO t VALUES (3001, 'after')")
    await reader.seen(({ key }) => key?.id === 3001, 'the row after the cuts')
    expect(ids(reader.records)).toEqual(Array.from({ length: 3001 }, (_, i) => i + 1))
    expect(reader.events.filter(({ type }) => type === 'reconnecting').length).toBeGreaterThan(0)
    requireOrder(reader.records)
  })

  test.concurrent('a consumer that sleeps keeps no transaction open, however many pages are left', async () => {
    await using db = await testDatabase(
      server,
      // Of such rows no page has more than may wait: see docs/long-polling.md.
      `${TABLE}; INSERT INTO t SELECT i, repeat('x', 40) FROM generate_series(1, 50000) i`,
    )
    let wake = () => {}
    const asleep = new Promise<void>((resolve) => {
      wake = resolve
    })
    await using reader = readSource({ url: db.url, ...FAST, maxBytes: 65536 }, { onBatch: () => asleep })
    await reader.until(() => reader.batches.length > 0, { what: 'a batch' })
    const open = async () => {
      const rows = await db.query(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tailrace' AND xact_start IS NOT NULL",
      )
      return rows.length
    }
    await waitFor(async () => (await open()) === 0, { what: 'the page to end' })
    wake()
    await reader.seen(({ key }) => key?.id === 50000, 'the last row')
  })

  test.concurrent('beside a long transaction more transactions than a position keeps wait for it, and come once', async () => {
    await using db = await testDatabase(server, `${TABLE}; CREATE TABLE other (id int)`)
    const old = await db.connect()
    await old.query('BEGIN; INSERT INTO other VALUES (1)')
    await db.query('SET synchronous_commit = off')
    await db.query('DO $$ BEGIN FOR i IN 1..4500 LOOP INSERT INTO public.t VALUES (i); COMMIT; END LOOP; END $$')
    await using reader = readSource({ url: db.url, ...FAST })
    const { holders } = await reader.told('waiting-for-transactions')
    expect(holders.join()).toContain('tailrace test')
    await reader.until(() => reader.records.length >= 4096, { what: 'the rows that may come' })
    await old.query("INSERT INTO t VALUES (0, 'old'); COMMIT")
    await reader.until(() => reader.records.length >= 4501, { what: 'the others' })
    await db.query('INSERT INTO t VALUES (5000)')
    await reader.seen(({ key }) => key?.id === 5000, 'the last row')
    expect(ids(reader.records).sort((a, b) => Number(a) - Number(b))).toEqual([
      ...Array.from({ length: 4501 }, (_, i) => i),
      5000,
    ])
    requireOrder(reader.records)
  })

  test.concurrent('a lock that keeps it from reading is told, then waited for; a run that is closed meanwhile ends', async () => {
    await using db = await testDatabase(server, `${TABLE}; INSERT INTO t VALUES (1)`)
    const migration = await db.connect()
    await migration.query('BEGIN; LOCK TABLE t')
    await using reader = readSource({ url: db.url, ...FAST })
    await using closed = readSource({ url: db.url, ...FAST })
    const { holders } = await reader.told('waiting-for-lock')
    expect(holders).toEqual([expect.stringContaining('AccessExclusiveLock on public.t')])
    await closed.close()
    await migration.query('INSERT INTO t VALUES (2); COMMIT')
    await reader.seen(({ key }) => key?.id === 2, 'the row of the migration')
    expect(ids(reader.records)).toEqual([1, 2])
  })

  test.concurrent('leaving the loop, and closing in the middle of a page, end the run', async () => {
    await using db = await testDatabase(
      server,
      `${TABLE}; INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 9000) i`,
    )
    for (const way of ['close', 'abort'] as const) {
      const abort = new AbortController()
      await using reader = readSource({ url: db.url, ...FAST, maxBytes: 65536, signal: abort.signal })
      await reader.until(() => reader.records.length > 0, { what: 'rows' })
      if (way === 'abort') abort.abort()
      else await reader.close()
      await reader.ended
    }
  })
})

describe('cdcMode', () => {
  const auto = { cdcMode: 'auto', tables: 't', pollIntervalMs: 20 } as const
  const fellBack = async (options: SourceOptions) => {
    await using reader = readSource(options)
    await reader.told('polling')
    return warningOf(reader, 'LOGICAL_UNAVAILABLE')
  }

  test.concurrent('auto has logical replication where it can be had', async () => {
    await using db = await testDatabase(server, TABLE)
    await using reader = readSource({ url: db.url, ...auto })
    await reader.told('streaming')
    expect(warningOf(reader, 'LOGICAL_UNAVAILABLE')).toBeUndefined()
  })

  test.concurrent('auto says why it polls: the privilege, the owner, the right to make publications', async () => {
    await using db = await testDatabase(server, TABLE)
    const role = `r_${db.name}`
    await db.query(
      `CREATE ROLE ${role} LOGIN; GRANT SELECT ON t TO ${role}; GRANT CREATE ON DATABASE ${db.name} TO ${role}`,
    )
    const url = urlAs(db.url, role)
    expect(await fellBack({ url, ...auto })).toContain(`role ${role} has no REPLICATION privilege`)
    await db.query(`ALTER ROLE ${role} REPLICATION`)
    expect(await fellBack({ url, ...auto })).toContain('the role does not own table public.t')
    await db.query(`ALTER TABLE t OWNER TO ${role}; REVOKE CREATE ON DATABASE ${db.name} FROM ${role}`)
    expect(await fellBack({ url, ...auto })).toContain('may not make a publication in this database')
    await db.query(`GRANT CREATE ON DATABASE ${db.name} TO ${role}`)
    await using reader = readSource({ url, ...auto })
    await reader.told('streaming')
    await reader.close()
    await db.query(`REASSIGN OWNED BY ${role} TO postgres; DROP OWNED BY ${role}; DROP ROLE ${role}`)
  })

  test.concurrent('auto says why it polls: wal_level, a pooler', async () => {
    await using replica = await startServer({ settings: { wal_level: 'replica' } })
    await using db = await testDatabase(replica, TABLE)
    expect(await fellBack({ url: db.url, ...auto })).toContain('wal_level is "replica", not "logical"')
    await using here = await testDatabase(server, TABLE)
    await using pooler = await refusingPooler()
    const replicationUrl = Object.assign(new URL(here.url), {
      port: String(pooler.port),
      search: '?sslmode=disable',
    }).href
    const reason = await fellBack({ url: here.url, replicationUrl, ...auto })
    expect(reason).toMatch(/a connection pooler stands in between: .*unsupported startup parameter: replication/)
  })

  test.concurrent('positions of one mode are refused in the other; auto goes on as it began', async () => {
    await using db = await testDatabase(server, `${TABLE}; INSERT INTO t VALUES (1)`)
    db.expectSlots = true
    const polls = new Polls(db)
    await polls.next()
    const polled = { url: db.url, tables: 't', position: polls.position }
    await expect(readToCurrent({ ...polled, cdcMode: 'logical' })).rejects.toMatchObject({
      code: 'POSITION_OTHER_MODE',
    })
    await db.query('INSERT INTO t VALUES (2)')
    expect(ids((await readToCurrent({ ...polled, ...auto })).records)).toEqual([2])
    const logical = await readToCurrent({ url: db.url, tables: 't', slot: `s_${db.name}` })
    const position = logical.batches.at(-1)!.position.toJSON()
    await expect(readToCurrent({ url: db.url, ...FAST, position })).rejects.toMatchObject({
      code: 'POSITION_OTHER_MODE',
    })
    expect(() => readSource({ url: db.url, ...FAST, until: '0/1' })).toThrow(/it can be "current" only/)
    expect(() => readSource({ url: db.url, ...FAST, slot: 's' })).toThrow(
      /only the position \(--state\) holds the place/,
    )
    expect(() => readSource({ url: db.url, ...FAST, messages: 'm' })).toThrow(/logical messages are not seen/)
  })
})

describe('other servers', () => {
  test('a standby shows rows once, though its snapshots list no running transaction, and goes on after its promotion', async () => {
    await using primary = await startServer({ settings: { wal_level: 'replica' } })
    await sql(primary, "CREATE TABLE public.t (id int PRIMARY KEY, v text); INSERT INTO public.t VALUES (1, 'a')")
    await primary.stop()
    await using standby = await prepareServer({ templateData: primary.dataFolder, settings: { wal_level: 'replica' } })
    const { port, username, hostname } = new URL(primary.url())
    await writeFile(join(standby.dataFolder, 'standby.signal'), '')
    const conninfo = `primary_conninfo = 'host=${hostname} port=${port} user=${username}'\n`
    await appendFile(join(standby.dataFolder, 'postgresql.auto.conf'), conninfo)
    await primary.restart()
    await standby.restart()
    const replayed = async () => {
      await using there = await openSession(primary.url())
      await using here = await openSession(standby.url())
      const [row] = await there.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn')
      const has = async () =>
        (await here.query<{ has: boolean }>('SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS has', [row!.lsn]))[0]!.has
      await waitFor(has, { what: 'the standby to replay' })
    }
    const polls = new Polls({ url: standby.url() }, { cursors: { t: 'id' }, cdcMode: 'auto' })
    expect(ids(await polls.next())).toEqual([1])
    await using late = await openSession(primary.url())
    await late.query(
      "BEGIN; INSERT INTO public.t VALUES (2, 'top'); SAVEPOINT a; INSERT INTO public.t VALUES (3, 'sub'); RELEASE a",
    )
    for (const id of [10, 11, 12]) {
      await sql(primary, `INSERT INTO public.t VALUES (${id}, 'early'); SELECT txid_current()`)
      await replayed()
      expect(ids(await polls.next())).toEqual([id])
    }
    await late.query('COMMIT')
    await replayed()
    expect(ids(await polls.next())).toEqual([2, 3])
    expect(ids(await polls.next())).toEqual([])
    await primary.stop()
    await sql(standby, 'SELECT pg_promote()')
    await sql(standby, "INSERT INTO public.t VALUES (20, 'promoted')")
    expect(ids(await polls.next())).toEqual([20])
    // A primary that has missed it.
    await primary.restart()
    const behind = readToCurrent({ url: primary.url(), ...FAST, position: polls.position })
    await expect(behind).rejects.toMatchObject({ code: 'TIMELINE_BEHIND' })
  })

  test('a transaction open at a poll, prepared after it and carried over a restart of the server is waited for', async () => {
    await using restarted = await startServer()
    await sql(restarted, 'CREATE TABLE public.t (id int PRIMARY KEY, v text)')
    const polls = new Polls({ url: restarted.url() }, { cursors: { t: 'id' } })
    const late = await openSession(restarted.url())
    await late.query('BEGIN; SELECT 1')
    await sql(restarted, 'INSERT INTO public.t VALUES (10)')
    expect(ids(await polls.next())).toEqual([10])
    await late.query("INSERT INTO public.t VALUES (2); PREPARE TRANSACTION 'late'")
    await late.close()
    await restarted.restart()
    for (const id of [11, 12, 13]) {
      await sql(restarted, `INSERT INTO public.t VALUES (${id})`)
      expect(ids(await polls.next())).toEqual([id])
    }
    await sql(restarted, "COMMIT PREPARED 'late'")
    expect(ids(await polls.next())).toEqual([2])
  })

  test('a server whose transactions are behind the position is another history', async () => {
    await using db = await testDatabase(server, TABLE)
    const polls = new Polls(db)
    await polls.next()
    const position = JSON.parse(JSON.stringify(polls.position).replace(/"seen":"\d+/, '"seen":"4000000000'))
    const lost = { code: 'POLLING_HISTORY_LOST', message: expect.stringContaining('at transaction') }
    await expect(readToCurrent({ url: db.url, ...FAST, position })).rejects.toMatchObject(lost)
  })
})

async function sql(to: EmbeddedPostgres, text: string): Promise<void> {
  await using session = await openSession(to.url())
  await session.query(text)
}

/** Answers as PgBouncer does when it is asked for a replication connection. */
async function refusingPooler() {
  const listening = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      const fields = ['SFATAL', 'C08P01', 'Munsupported startup parameter: replication', ''].join('\0')
      const body = Buffer.from(`${fields}\0`)
      const head = Buffer.alloc(5)
      head.write('E')
      head.writeInt32BE(body.length + 4, 1)
      socket.end(Buffer.concat([head, body]))
    })
  })
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  const { port } = listening.address() as { readonly port: number }
  return { port, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void listening.close(() => resolve())) }
}
