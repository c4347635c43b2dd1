import type pg from 'pg'
import { expect, test } from 'vitest'
import type { Session } from '../../../src/postgres/session.js'
import { createSlotWatched } from '../../../src/source/slotCreation.js'
import type { SnapshotReaders } from '../../../src/source/snapshot/snapshotPhase.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { alive, type SnapshotReading, snapshotOf, untilWaiting } from '../../support/snapshotReading.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

/** `a` is more than the queue holds, so that reading stops in the middle of it; `b` comes after. */
const TABLES = `
  CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i;
  CREATE TABLE b (id int PRIMARY KEY, t text); INSERT INTO b SELECT i, 'x' FROM generate_series(1, 1000) i;
  CREATE TABLE o (id int)`

async function pidOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  return rows[0]!.pid
}

/** A session whose next statement waits for a lock of ours. */
async function migration(db: TestDatabase, sql: string) {
  const client = await db.connect({ application_name: 'migration' })
  const pid = await pidOf(client)
  const done = client.query(sql)
  done.catch(() => {})
  await untilWaiting(db, pid)
  return { pid, done }
}

function makeSlot(snapshot: SnapshotReading, owner: Session, readers: SnapshotReaders | undefined, timeoutMs = 0) {
  const { connections, emit, abort } = snapshot
  const slot = { name: `s_${owner.processId}`, temporary: true, exportSnapshot: true }
  const readerPids = readers?.pids ?? []
  const wait = { timeoutMs, emit, signal: abort.signal, walsenderPid: owner.processId, readerPids }
  return createSlotWatched(owner, connections.control, slot, wait)
}

/** Until the slot waits for a transaction. */
async function untilSlotWaits(db: TestDatabase, owner: Session): Promise<void> {
  await untilWaiting(db, owner.processId)
}

async function nothingWaits(db: TestDatabase, owner: Session): Promise<void> {
  expect(await alive(db, [owner.processId])).toEqual([])
  expect(await db.query('SELECT slot_name FROM pg_replication_slots WHERE database = current_database()')).toEqual([])
}

describeEachMajor('locks of the snapshot', (postgres) => {
  test.each([1, 2])(
    'a rewrite that comes before the reading waits for it, and loses no row (%i readers)',
    async (n) => {
      await using db = await testDatabase(postgres.server, TABLES)
      await using snapshot = await snapshotOf(db, 'a,b')
      await using readers = await snapshot.open(n)
      expect(readers.sessions).toHaveLength(n)
      await using owner = await snapshot.connections.replication()
      const { snapshotName } = await makeSlot(snapshot, owner, readers)
      const rewrite = await migration(db, 'ALTER TABLE b ALTER id TYPE bigint, ALTER t TYPE varchar')
      const application = await migration(db, 'SELECT FROM b')
      const taking = snapshot.take()
      await snapshot.read(readers, snapshotName!)
      expect(await taking).toEqual({ a: 20000, b: 1000 })
      await rewrite.done
      await application.done
    },
  )

  test('with a snapshot of their own, too', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using snapshot = await snapshotOf(db, 'a,b')
    await using readers = await snapshot.open(2)
    const name = await readers.exportSnapshot()
    await db.query('DELETE FROM a; INSERT INTO b VALUES (1001)')
    const rewrite = await migration(db, 'TRUNCATE b')
    const taking = snapshot.take()
    await snapshot.read(readers, name)
    expect(await taking).toEqual({ a: 20000, b: 1000 })
    await rewrite.done
  })

  test('who waits for a table holds no other one, and tells for whom it waits', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using snapshot = await snapshotOf(db, 'a,b')
    const holder = await db.connect({ application_name: 'migration' })
    const pid = await pidOf(holder)
    await holder.query('BEGIN; ALTER TABLE b ADD x int')
    const opening = snapshot.open(2)
    opening.catch(() => {})
    // Else the server's deadlock detector would end one of the two, and it might be the application's.
    await holder.query("SET lock_timeout = '1500ms'; ALTER TABLE a ADD x int")
    const event = await waitFor(() => snapshot.told('waiting-for-lock')[0], { what: 'the event' })
    expect(event.holders.join()).toContain(`pid ${pid} (migration, AccessExclusiveLock on public.`)
    await holder.query('COMMIT')
    await using readers = await opening
    expect(readers.sessions.length).toBeGreaterThan(0)
  })

  test('a partition that is locked by itself is waited for, a prepared transaction told by its name', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);
       CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10)`,
    )
    await using snapshot = await snapshotOf(db, 'root')
    await db.query("BEGIN; LOCK leaf IN ACCESS EXCLUSIVE MODE; PREPARE TRANSACTION 'invoice'")
    const opening = snapshot.open(1)
    opening.catch(() => {})
    const event = await waitFor(() => snapshot.told('waiting-for-lock')[0], { what: 'the event' })
    expect(event.holders).toEqual(["prepared transaction 'invoice' (AccessExclusiveLock on public.leaf)"])
    await db.query("ROLLBACK PREPARED 'invoice'")
    await using readers = await opening
    expect(readers.sessions).toHaveLength(1)
  })

  test('an abort ends the wait for a lock', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using snapshot = await snapshotOf(db, 'a,b')
    await db.query('BEGIN; LOCK a IN ACCESS EXCLUSIVE MODE')
    const opening = snapshot.open(1)
    opening.catch(() => {})
    const waits = async () => (await db.query('SELECT FROM pg_locks WHERE NOT granted')).length > 0
    await waitFor(waits, { what: 'the wait for the lock' })
    snapshot.abort.abort(new Error('enough'))
    await expect(opening).rejects.toThrow('enough')
    await waitFor(async () => !(await waits()), { what: 'the end of the wait' })
    await db.query('ROLLBACK')
  })

  test('a reader that would stand behind a migration is left out', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using snapshot = await snapshotOf(db, 'a,b')
    const connect = snapshot.connections.ordinary.bind(snapshot.connections)
    let opened = 0
    let alter: ReturnType<typeof migration> | undefined
    snapshot.connections.ordinary = async () => {
      const isFirst = opened++ === 0
      const session = await connect()
      const query = session.query.bind(session)
      const behind = async (sql: string) => {
        alter ??= migration(db, 'ALTER TABLE b ADD x int')
        await alter
        return query(sql)
      }
      return isFirst ? session : Object.assign(session, { query: behind })
    }
    const readers = await snapshot.open(4)
    expect(opened).toBe(4)
    expect(readers.sessions).toHaveLength(1)
    await readers.close()
    await (await alter!).done
  })

  test('a slot that waits for one who waits for our locks is given up', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using snapshot = await snapshotOf(db, 'a,b')
    const writer = await db.connect({ application_name: 'migration' })
    const pid = await pidOf(writer)
    await writer.query('BEGIN; INSERT INTO o VALUES (1)')
    const readers = await snapshot.open(2)
    await using owner = await snapshot.connections.replication()
    const creating = makeSlot(snapshot, owner, readers)
    creating.catch(() => {})
    await untilSlotWaits(db, owner)
    const altered = writer.query('ALTER TABLE a ADD x int')
    await expect(creating).rejects.toMatchObject({
      name: 'SlotCreationBlockedByUs',
      waiting: [`pid ${pid} (migration, AccessExclusiveLock on public.a)`],
    })
    await nothingWaits(db, owner)
    await readers.close()
    await altered
    await writer.query('COMMIT')
  })

  test.each(['abort', 'timeout'])('a slot creation ended by %s leaves nothing on the server', async (end) => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using snapshot = await snapshotOf(db, 'a')
    await db.query('BEGIN; INSERT INTO o VALUES (1)')
    const observer = await db.connect()
    await using owner = await snapshot.connections.replication()
    const creating = makeSlot(snapshot, owner, undefined, end === 'timeout' ? 1500 : 0)
    creating.catch(() => {})
    await untilSlotWaits(db, owner)
    if (end === 'abort') snapshot.abort.abort(new Error('enough'))
    await expect(creating).rejects.toMatchObject(end === 'abort' ? { message: 'enough' } : { code: 'SLOT_TIMEOUT' })
    await nothingWaits(db, owner)
    expect(
      (await observer.query("SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")).rows,
    ).toEqual([])
    await db.query('COMMIT')
  })
})
