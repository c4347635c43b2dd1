import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { deferred } from '../../../src/core/deferred.js'
import type { RowBatch } from '../../../src/core/rowBatch.js'
import { BatchQueue } from '../../../src/source/batchQueue.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { alive, snapshotOf, untilWaiting } from '../../support/snapshotReading.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** `a` is more than the queue and the sockets hold, so that reading stops in the middle of it; `b` comes after, and in one piece. */
const TABLES = `
  CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a SELECT i, repeat('x', 500) FROM generate_series(1, 40000) i;
  CREATE TABLE b (id int PRIMARY KEY, t text); INSERT INTO b SELECT i, 'x' FROM generate_series(1, 100) i`

test('a slow consumer gets a small table behind a large one', async () => {
  await using db = await testDatabase(server, TABLES)
  await using snapshot = await snapshotOf(db, 'a,b')
  await using readers = await snapshot.open(1)
  // Full with whatever is in it: at the end of a table, too, when the socket is given back.
  snapshot.queue = new BatchQueue(1)
  const reading = snapshot.read(readers, await readers.exportSnapshot())
  expect(await snapshot.take(() => sleep(2))).toEqual({ a: 40000, b: 100 })
  await reading
})

test('rows come in binary format to who takes that, where their types allow it, and as text once they are looked into', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a SELECT i, repeat('x', CASE i % 500 WHEN 0 THEN 100000 ELSE 50 END) FROM generate_series(1, 3000) i;
     CREATE TABLE b (id int PRIMARY KEY, t text[]); INSERT INTO b SELECT i, '{x}' FROM generate_series(1, 100) i;
     CREATE TABLE c (id int PRIMARY KEY, t text); INSERT INTO c SELECT i, 'c' FROM generate_series(1, 100) i`,
  )
  const ids = (rows: RowBatch) =>
    Array.from({ length: rows.count }, (_, index) => {
      const { bytes, tape, at } = rows.rowAt(index)
      return Buffer.from(bytes.subarray(tape[at]!, tape[at + 1]!)).toString()
    })
  for (const isLooked of [false, true]) {
    await using snapshot = await snapshotOf(db, 'a,b,c')
    await using readers = await snapshot.open(1)
    snapshot.takesBinary = true
    // Nothing of the next table is asked for before this one's rows were taken.
    snapshot.queue = new BatchQueue(1)
    const reading = snapshot.read(readers, await readers.exportSnapshot())
    const binary: Record<string, Set<boolean>> = {}
    const came: Record<string, string[]> = {}
    for (let rows = await snapshot.queue.next(); rows !== undefined; rows = await snapshot.queue.next()) {
      const { name } = rows.tables[0]!
      const forms = rows.linesAsSent?.some((one) => one.forms !== undefined) ?? false
      binary[name] = (binary[name] ?? new Set()).add(forms)
      came[name] = [...(came[name] ?? []), ...ids(rows)]
      if (isLooked) expect(rows.heads.length).toBeGreaterThan(0)
    }
    await reading
    const all = (count: number) => Array.from({ length: count }, (_, i) => String(i + 1))
    for (const [name, count] of [
      ['a', 3000],
      ['b', 100],
      ['c', 100],
    ] as const) {
      expect(came[name]!.sort((a, b) => Number(a) - Number(b))).toEqual(all(count))
    }
    expect([...binary.a!, ...binary.b!]).toEqual([true, false])
    expect([...binary.c!]).toEqual([!isLooked])
  }
})

test('a reader that does not read in the exported snapshot is found out, though it is alone', async () => {
  await using db = await testDatabase(server, TABLES)
  await using snapshot = await snapshotOf(db, 'a,b')
  await using exporter = await snapshot.connections.ordinary()
  await using readers = await snapshot.open(1)
  await exporter.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  const [row] = await exporter.query<{ name: string }>('SELECT pg_export_snapshot() AS name')
  await db.query('DELETE FROM a')
  const [reader] = readers.sessions
  const query = reader!.query.bind(reader)
  // What a proxy between us and the server may do.
  reader!.query = (sql, values) => (sql.startsWith('SET TRANSACTION') ? Promise.resolve([]) : query(sql, values))
  await expect(snapshot.read(readers, row!.name)).rejects.toMatchObject({ code: 'SNAPSHOT_DIFFERS' })
})

test('a partition that was attached after the lock stops the snapshot', async () => {
  await using db = await testDatabase(
    server,
    `CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);
     CREATE TABLE one PARTITION OF root FOR VALUES FROM (0) TO (10);
     CREATE TABLE two (id int PRIMARY KEY)`,
  )
  await using snapshot = await snapshotOf(db, 'root')
  await using readers = await snapshot.open(2)
  await db.query('ALTER TABLE root ATTACH PARTITION two FOR VALUES FROM (10) TO (20)')
  await snapshot.plan('root')
  const reading = snapshot.read(readers, await readers.exportSnapshot())
  await expect(reading).rejects.toMatchObject({
    code: 'SNAPSHOT_INTERRUPTED',
    details: { problem: 'public.two became a partition while the tables were locked' },
  })
})

test('who waits for a lock of the readers is told, without its statement, and nobody else', async () => {
  await using db = await testDatabase(server, TABLES)
  await using snapshot = await snapshotOf(db, 'a,b')
  await using readers = await snapshot.open(2)
  const go = deferred()
  const taking = snapshot.take(() => go.promise)
  const reading = snapshot.read(readers, await readers.exportSnapshot())
  const migration = await db.connect({ application_name: 'migration' })
  const application = await db.connect({ application_name: 'shop' })
  const pid = async (client: typeof migration) =>
    (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid
  const migrating = await pid(migration)
  const selecting = await pid(application)
  const altered = migration.query("ALTER TABLE a ALTER t SET DEFAULT 'secret'")
  await untilWaiting(db, migrating)
  const selected = application.query("SELECT FROM a WHERE t = 'secret' LIMIT 1")
  await untilWaiting(db, selecting)
  const [event] = await waitFor(() => snapshot.told('lock-waited-for').length > 0 && snapshot.told('lock-waited-for'), {
    what: 'the event',
  })
  expect(event).toEqual({
    type: 'lock-waited-for',
    table: 'public.a',
    pid: migrating,
    application: 'migration',
    mode: 'AccessExclusiveLock',
  })
  go.resolve()
  await taking
  await reading
  await altered
  await selected
  expect(snapshot.told('lock-waited-for')).toHaveLength(1)
})

test('a reader gives its locks back when it has nothing more to read', async () => {
  await using db = await testDatabase(server, TABLES)
  await using snapshot = await snapshotOf(db, 'a,b')
  await using readers = await snapshot.open(3)
  const go = deferred()
  const taking = snapshot.take(() => go.promise)
  const reading = snapshot.read(readers, await readers.exportSnapshot())
  const { pids } = readers
  await waitFor(async () => (await alive(db, pids)).length === 1, { what: 'two readers to go' })
  go.resolve()
  expect(await taking).toEqual({ a: 40000, b: 100 })
  await reading
  expect(await alive(db, pids)).toEqual([])
})

test('the first failure ends all readers and is the one that is told', async () => {
  await using db = await testDatabase(server, TABLES)
  await db.query('CREATE TABLE c AS SELECT * FROM a; CREATE TABLE d (id int, t int); INSERT INTO d VALUES (1, 0)')
  await using snapshot = await snapshotOf(db, 'a,c,d')
  await using readers = await snapshot.open(3)
  snapshot.planned = snapshot.planned.map((one) => (one.table.name === 'd' ? { ...one, rowFilter: 'id / t > 0' } : one))
  const { pids } = readers
  const reading = snapshot.read(readers, await readers.exportSnapshot())
  // Nobody takes anything: the other readers stand still in the middle of their tables.
  await expect(reading).rejects.toMatchObject({ code: 'SERVER_ERROR', details: { sqlstate: '22012' } })
  await waitFor(async () => (await alive(db, pids)).length === 0, { what: 'the readers to end' })
})

test('an abort ends the readers where they stand', async () => {
  await using db = await testDatabase(server, TABLES)
  await using snapshot = await snapshotOf(db, 'a,b')
  await using readers = await snapshot.open(2)
  const { pids } = readers
  const reading = snapshot.read(readers, await readers.exportSnapshot())
  await waitFor(() => snapshot.queue.full, { what: 'the queue to be full' })
  snapshot.abort.abort(new Error('enough'))
  await expect(reading).rejects.toThrow('enough')
  await waitFor(async () => (await alive(db, pids)).length === 0, { what: 'the readers to end' })
})
