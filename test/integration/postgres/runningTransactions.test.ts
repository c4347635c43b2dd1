import { expect, test } from 'vitest'
import { addTables } from '../../../src/postgres/publication.js'
import {
  describeTransaction,
  type RunningTransaction,
  runningTransactions,
  slotCreationHolders,
  waitForRunningTransactions,
} from '../../../src/postgres/runningTransactions.js'
import { testDatabase } from '../../support/database.js'
import { openSession, urlAs } from '../../support/openSession.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

const TABLES = 'CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE PUBLICATION p FOR TABLE a'

/** Whom a wait was reported to be for, by application or gid, as often as they changed. */
function reports() {
  const seen: string[][] = []
  const onWaiting = (holders: readonly RunningTransaction[]) =>
    void seen.push(holders.map(({ application, gid }) => gid ?? application ?? '').sort())
  return { seen, onWaiting }
}

describeEachMajor('waiting for running transactions', (postgres) => {
  test('is needed: what an open transaction did before the change is in no stream', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    db.expectSlots = true
    await using session = await openSession(db.url)
    await db.query(`SELECT pg_create_logical_replication_slot('needed', 'pgoutput')`)
    const writer = await db.connect()
    await writer.query('BEGIN; INSERT INTO b VALUES (1)')
    await addTables(session, 'p', [{ schema: 'public', name: 'b' }])
    const wait = waitForRunningTransactions(session)
    await writer.query('INSERT INTO b VALUES (2); COMMIT')
    await wait
    const changes = await db.query<{ data: Buffer }>(
      `SELECT data FROM pg_logical_slot_get_binary_changes('needed', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')`,
    )
    const inserts = changes.filter(({ data }) => data[0] === 0x49).map(({ data }) => data.toString('utf8', 13))
    expect(inserts).toEqual(['2'])
    expect(await db.query('SELECT id FROM b')).toEqual([{ id: 1 }, { id: 2 }]) // after the wait a snapshot has both
  })

  test('ends when all that wrote before the change have ended, and names them', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using session = await openSession(db.url)
    const first = await db.connect({ application_name: 'first' })
    const second = await db.connect({ application_name: 'second' })
    await first.query('BEGIN; INSERT INTO b VALUES (1)')
    await second.query('BEGIN; SAVEPOINT s; INSERT INTO b VALUES (2)')
    await db.query("BEGIN; INSERT INTO b VALUES (3); PREPARE TRANSACTION 'invoice-7'")

    await addTables(session, 'p', [{ schema: 'public', name: 'b' }])
    const { seen, onWaiting } = reports()
    let ended = false
    const wait = waitForRunningTransactions(session, { onWaiting }).then(() => {
      ended = true
    })
    await waitFor(() => seen.length === 1, { what: 'the first report' })
    const later = await db.connect({ application_name: 'later' }) // is not waited for
    await later.query('BEGIN; INSERT INTO b VALUES (4)')
    await first.query('COMMIT')
    await waitFor(() => seen.length === 2, { what: 'the second report' })
    await db.query("COMMIT PREPARED 'invoice-7'")
    await waitFor(() => seen.length === 3, { what: 'the third report' })
    expect(ended).toBe(false)
    await second.query('ROLLBACK')
    await wait
    expect(seen).toEqual([['first', 'invoice-7', 'second'], ['invoice-7', 'second'], ['second']])
    await later.query('ROLLBACK')
  })

  test('does not begin when nobody writes', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using session = await openSession(db.url)
    const reader = await db.connect()
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM a')
    const { seen, onWaiting } = reports()
    await waitForRunningTransactions(session, { onWaiting })
    expect(seen).toEqual([])
    await reader.query('COMMIT')
  })

  test('is since the moment that it is given', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using session = await openSession(db.url)
    const since = await runningTransactions(session)
    const writer = await db.connect()
    await writer.query('BEGIN; INSERT INTO a VALUES (1)')
    await waitForRunningTransactions(session, { since })
    await writer.query('ROLLBACK')
  })

  test('knows one that began to write after the change did and before it committed', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using session = await openSession(db.url)
    const change = await db.connect()
    await change.query('BEGIN; ALTER PUBLICATION p ADD TABLE b')
    const writer = await db.connect({ application_name: 'between' })
    await writer.query('BEGIN; INSERT INTO b VALUES (1)')
    await change.query('COMMIT')
    // its xid is not below the snapshot's xmax, and not in the snapshot's list
    const [snapshot] = await db.query('SELECT count(*)::int AS listed FROM pg_snapshot_xip(pg_current_snapshot())')
    expect(snapshot).toEqual({ listed: 0 })
    expect(await runningTransactions(session)).toMatchObject([{ application: 'between' }])
    await writer.query('ROLLBACK')
  })

  test('goes on when the transaction is prepared meanwhile', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using session = await openSession(db.url)
    const writer = await db.connect({ application_name: 'writer' })
    await writer.query('BEGIN; SAVEPOINT s; INSERT INTO b VALUES (1); RELEASE s; SAVEPOINT t; INSERT INTO b VALUES (2)')
    const since = await runningTransactions(session)
    expect(since).toMatchObject([{ application: 'writer', xids: { length: 2 } }])
    await writer.query("PREPARE TRANSACTION 'meanwhile'")
    let ended = false
    const wait = waitForRunningTransactions(session, { since }).then(() => {
      ended = true
    })
    await expect(waitFor(() => ended, { what: 'a wrong end', timeoutMs: 200 })).rejects.toThrow()
    expect(await runningTransactions(session)).toMatchObject([{ gid: 'meanwhile' }])
    await writer.query("COMMIT PREPARED 'meanwhile'")
    await wait
  })

  test('asks nothing of other databases', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using other = await testDatabase(postgres.server, TABLES)
    await other.query("BEGIN; INSERT INTO a VALUES (1); PREPARE TRANSACTION 'elsewhere'")
    const writer = await other.connect()
    await writer.query('BEGIN; INSERT INTO a VALUES (1)')
    await using session = await openSession(db.url)
    await waitForRunningTransactions(session)
    await writer.query('ROLLBACK')
  })

  test('obeys its signal', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using session = await openSession(db.url)
    const writer = await db.connect()
    await writer.query('BEGIN; INSERT INTO a VALUES (1)')
    const stop = new AbortController()
    const wait = waitForRunningTransactions(session, { signal: stop.signal, onWaiting: () => stop.abort('enough') })
    await expect(wait).rejects.toBe('enough')
    await writer.query('ROLLBACK')
  })

  test('who holds the creation of a slot is told, of whatever database, also to a role that may see little', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using other = await testDatabase(postgres.server, TABLES)
    const role = `${db.name}_replicator`
    await db.query(`CREATE ROLE ${role} LOGIN REPLICATION`)
    await other.query("BEGIN; INSERT INTO a VALUES (1); PREPARE TRANSACTION 'forgotten'")
    const writer = await db.connect({ application_name: 'importer' })
    const { rows } = await writer
      .query('BEGIN; INSERT INTO a VALUES (1)')
      .then(() => writer.query('SELECT pg_backend_pid() AS pid'))
    {
      await using session = await openSession(urlAs(db.url, role))
      await using replication = await openSession(urlAs(db.url, role), { replication: true })
      const created = replication.query('CREATE_REPLICATION_SLOT held TEMPORARY LOGICAL pgoutput')
      const holders = await slotCreationHolders(session)
      expect(holders).toMatchObject([
        { gid: 'forgotten', pid: undefined, database: other.name, user: 'postgres', seconds: expect.any(Number) },
        { gid: undefined, pid: rows[0].pid, database: db.name, user: 'postgres', application: 'importer' },
      ])
      expect(describeTransaction(holders[0]!)).toMatch(/^prepared transaction 'forgotten' \(for \d+ s\)$/)
      expect(describeTransaction(holders[1]!)).toMatch(/^pid \d+ \(importer\)$/) // its state is not shown to this role
      await writer.query('ROLLBACK')
      await other.query("ROLLBACK PREPARED 'forgotten'")
      await created
      expect(await slotCreationHolders(session)).toEqual([])
    }
    await db.query(`DROP ROLE ${role}`)
  })
})
