import { describe, expect, test } from 'vitest'
import { formatLsn } from '../../../src/postgres/lsn.js'
import type { Session } from '../../../src/postgres/session.js'
import { checkSlot, copySlot, dropSlot, inspectSlot } from '../../../src/postgres/slot.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { openSession, urlAs } from '../../support/openSession.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

/** On a replication session: a temporary slot and the snapshot that it exports. */
async function exportingSlot(session: Session, name: string) {
  const options = session.serverVersion >= 150000 ? "(SNAPSHOT 'export')" : 'EXPORT_SNAPSHOT'
  const [created] = await session.query<{ snapshot_name: string; consistent_point: string }>(
    `CREATE_REPLICATION_SLOT ${name} TEMPORARY LOGICAL pgoutput ${options}`,
  )
  return created!
}

/** Keys of the inserts that the slot has to send, in the order sent. */
async function insertedKeys(db: TestDatabase, slot: string): Promise<string[]> {
  const rows = await db.query<{ data: Buffer }>(
    `SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', 'p')`,
    [slot],
  )
  // Insert: 'I', Int32 relation, 'N', Int16 columns, 't', Int32 length, the value
  return rows.filter(({ data }) => data[0] === 0x49).map(({ data }) => data.toString('utf8', 13))
}

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t'

describeEachMajor('a slot', (postgres) => {
  test('is inspected, checked and dropped', async () => {
    await using db = await testDatabase(postgres.server, TABLE)
    await using session = await openSession(db.url)
    const name = `slot_${db.name}`
    const check = async () => checkSlot(await inspectSlot(session, name), { slot: name, database: db.name })?.code
    expect(await check()).toBe('SLOT_MISSING')
    expect(await dropSlot(session, name)).toBe(false)
    await db.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [name])
    const slot = await inspectSlot(session, name)
    expect(slot).toEqual({
      name,
      type: 'logical',
      plugin: 'pgoutput',
      database: db.name,
      temporary: false,
      active: false,
      activePid: undefined,
      restartLsn: expect.any(BigInt),
      confirmedFlushLsn: expect.any(BigInt),
      walStatus: 'reserved',
      twoPhase: false,
      invalidation: undefined,
      retainedBytes: expect.any(Number),
    })
    expect(slot!.confirmedFlushLsn! >= slot!.restartLsn!).toBe(true)
    expect(await check()).toBeUndefined()
    await db.query('INSERT INTO t SELECT generate_series(1, 1000)')
    expect((await inspectSlot(session, name))!.retainedBytes).toBeGreaterThan(slot!.retainedBytes! + 10_000)
    expect(await dropSlot(session, name)).toBe(true)
    expect(await check()).toBe('SLOT_MISSING')
  })

  test('of another kind is told apart', async () => {
    await using db = await testDatabase(postgres.server, TABLE)
    await using other = await testDatabase(postgres.server)
    db.expectSlots = other.expectSlots = true
    await using session = await openSession(db.url)
    const name = (kind: string) => `${kind}_${db.name}`
    await db.query(`SELECT pg_create_physical_replication_slot($1)`, [name('physical')])
    await db.query(`SELECT pg_create_logical_replication_slot($1, 'test_decoding')`, [name('plugin')])
    await other.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [name('database')])
    await db.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput', false, true)`, [name('two_phase')])
    await using replication = await openSession(db.url, { replication: true })
    await exportingSlot(replication, name('active'))
    const codes: unknown[] = []
    for (const kind of ['physical', 'plugin', 'database', 'two_phase', 'active']) {
      codes.push(checkSlot(await inspectSlot(session, name(kind)), { slot: name(kind), database: db.name })?.code)
    }
    expect(codes).toEqual([
      'SLOT_PHYSICAL',
      'SLOT_OTHER_PLUGIN',
      'SLOT_OTHER_DATABASE',
      'SLOT_TWO_PHASE',
      'SLOT_ACTIVE',
    ])
    await expect(dropSlot(session, name('active'))).rejects.toMatchObject({ code: 'SLOT_ACTIVE' })
    await dropSlot(session, name('physical'))
  })

  describe('copied from a temporary one that exports a snapshot', () => {
    test.each(['another session', 'the exporting session'])('by %s', async (by) => {
      await using db = await testDatabase(postgres.server, `${TABLE}; INSERT INTO t VALUES (1)`)
      db.expectSlots = true
      const [temporary, permanent] = [`tmp_${db.name}`, `perm_${db.name}`]
      await using session = await openSession(db.url)
      const replication = await openSession(db.url, { replication: true })
      const created = await exportingSlot(replication, temporary)
      await db.query('INSERT INTO t VALUES (2)')
      const reader = await db.connect()
      await reader.query(`BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '${created.snapshot_name}'`)
      expect((await reader.query('SELECT id FROM t')).rows).toEqual([{ id: 1 }])

      // copySlot's parameters need the extended protocol, which a replication session does not have
      if (by === 'another session') await copySlot(session, temporary, permanent)
      else await replication.query(`SELECT pg_copy_logical_replication_slot('${temporary}', '${permanent}', false)`)
      const [from, to] = [await inspectSlot(session, temporary), await inspectSlot(session, permanent)]
      expect(to).toMatchObject({
        temporary: false,
        active: false,
        plugin: 'pgoutput',
        restartLsn: from!.restartLsn,
        confirmedFlushLsn: from!.confirmedFlushLsn,
        twoPhase: false,
      })
      expect(formatLsn(to!.confirmedFlushLsn!)).toBe(created.consistent_point)
      await reader.query('COMMIT')

      replication.destroy()
      await waitFor(async () => (await inspectSlot(session, temporary)) === undefined, {
        what: 'the end of the session',
      })
      await db.query('INSERT INTO t VALUES (3)')
      expect(await insertedKeys(db, permanent)).toEqual(['2', '3'])
    })

    test('in the middle of writing: snapshot and stream have each row once', async () => {
      await using db = await testDatabase(postgres.server, TABLE)
      db.expectSlots = true
      const [temporary, permanent] = [`tmp_${db.name}`, `perm_${db.name}`]
      let next = 0
      let writing = true
      const write = async () => {
        const client = await db.connect()
        while (writing) {
          await client.query(`BEGIN; INSERT INTO t VALUES (${++next}); SAVEPOINT s; INSERT INTO t VALUES (${++next})`)
          await client.query(next % 7 === 0 ? 'ROLLBACK TO s; COMMIT' : 'COMMIT')
        }
      }
      const checkpoint = async () => {
        while (writing) await db.query('CHECKPOINT; ALTER TABLE t SET (fillfactor = 90)')
      }
      const writers = [write(), write(), write(), checkpoint()]
      await using replication = await openSession(db.url, { replication: true })
      const { snapshot_name } = await exportingSlot(replication, temporary)
      const reader = await db.connect()
      await reader.query(`BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '${snapshot_name}'`)
      const enough = next + 100
      await waitFor(() => next > enough, { what: 'more rows' })
      const snapshot = (await reader.query('SELECT id FROM t')).rows.map(({ id }) => String(id))
      await reader.query('COMMIT')
      await using session = await openSession(db.url)
      await copySlot(session, temporary, permanent)
      writing = false
      await Promise.all(writers)
      const all = (await db.query('SELECT id FROM t')).map(({ id }) => String(id))
      const streamed = await insertedKeys(db, permanent)
      expect([...snapshot, ...streamed].sort()).toEqual(all.sort())
      expect(streamed.length).toBeGreaterThan(0)
    })

    test('by a role that has only REPLICATION', async () => {
      await using db = await testDatabase(postgres.server, TABLE)
      db.expectSlots = true
      const role = `${db.name}_replicator`
      await db.query(`CREATE ROLE ${role} LOGIN REPLICATION`)
      {
        const url = urlAs(db.url, role)
        await using session = await openSession(url)
        await using replication = await openSession(url, { replication: true })
        await exportingSlot(replication, `tmp_${db.name}`)
        await copySlot(session, `tmp_${db.name}`, `perm_${db.name}`)
        expect(await inspectSlot(session, `perm_${db.name}`)).toBeDefined()
      }
      await db.query(`DROP ROLE ${role}`)
    })

    test('is refused where it would make something else', async () => {
      await using db = await testDatabase(postgres.server, TABLE)
      await using other = await testDatabase(postgres.server)
      db.expectSlots = true
      const [temporary, permanent] = [`tmp_${db.name}`, `perm_${db.name}`]
      await using session = await openSession(db.url)
      await using replication = await openSession(db.url, { replication: true })
      await exportingSlot(replication, temporary)
      {
        // the server would make the copy a slot of that database
        await using elsewhere = await openSession(other.url)
        await expect(copySlot(elsewhere, temporary, permanent)).rejects.toMatchObject({ code: 'SLOT_OTHER_DATABASE' })
      }
      await expect(copySlot(session, 'nothing', permanent)).rejects.toMatchObject({ code: 'SLOT_MISSING' })
      await copySlot(session, temporary, permanent)
      // As when the connection was lost before the answer came, and the copy is asked for again.
      await copySlot(session, temporary, permanent)
      await session.query('SELECT pg_logical_emit_message(true, $1, $1)', ['further'])
      await session.query('SELECT pg_replication_slot_advance($1, pg_current_wal_flush_lsn())', [permanent])
      await expect(copySlot(session, temporary, permanent)).rejects.toMatchObject({ code: 'SLOT_EXISTS' })
    })

    test('stays after a crash of the server, the temporary one does not', async () => {
      await using db = await testDatabase(postgres.server, TABLE)
      const permanent = `perm_${db.name}`
      {
        await using session = await openSession(db.url)
        await using replication = await openSession(db.url, { replication: true })
        await exportingSlot(replication, `tmp_${db.name}`)
        await copySlot(session, `tmp_${db.name}`, permanent)
        await db.query('INSERT INTO t VALUES (1)')
        await postgres.server.crash('SIGKILL')
        await postgres.server.restart()
      }
      await using session = await openSession(db.url)
      expect(await inspectSlot(session, `tmp_${db.name}`)).toBeUndefined()
      expect(await inspectSlot(session, permanent)).toMatchObject({ walStatus: 'reserved' })
      expect(await dropSlot(session, permanent)).toBe(true)
    })
  })
})

describeEachMajor(
  'a server that keeps little',
  (postgres) => {
    test('a slot whose WAL was removed is lost', async () => {
      await using db = await testDatabase(postgres.server, TABLE)
      db.expectSlots = true
      await using session = await openSession(db.url)
      await db.query(`SELECT pg_create_logical_replication_slot('late', 'pgoutput')`)
      for (let segment = 0; segment < 3; segment++) {
        await db.query('TRUNCATE t; INSERT INTO t VALUES (1)')
        await db.query('SELECT pg_switch_wal()')
      }
      await db.query('CHECKPOINT')
      const slot = await inspectSlot(session, 'late')
      expect(slot).toMatchObject({ walStatus: 'lost', invalidation: 'wal_removed' })
      expect(checkSlot(slot, { slot: 'late', database: db.name })).toMatchObject({
        code: 'SLOT_LOST',
        message: 'replication slot "late" is lost (wal_removed)',
      })
      await expect(copySlot(session, 'late', 'copy')).rejects.toThrow()
    })

    test('a slot too many is refused with what to do', async () => {
      await using db = await testDatabase(postgres.server, TABLE)
      db.expectSlots = true
      await using session = await openSession(db.url)
      for (const name of ['one', 'two']) {
        await db.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [name])
      }
      await expect(copySlot(session, 'one', 'three')).rejects.toMatchObject({ code: 'SLOTS_EXHAUSTED' })
    })
  },
  { settings: { max_slot_wal_keep_size: '1MB', max_replication_slots: '2' } },
)
