import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../../support/database.js'
import { failureOf, killWalsender, LITTLE_WAL, loseWal } from '../../../support/serverLife.js'
import { startServer } from '../../../support/servers.js'
import { readSource } from '../../../support/sourceReader.js'
import { slotsOf } from '../../../support/sourceSlots.js'
import { TcpProxy } from '../../../support/tcpProxy.js'
import { describeEachMajor } from '../../../support/versions.js'
import { waitFor } from '../../../support/waitFor.js'

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, note text)'

function fromNow(db: TestDatabase) {
  return { url: db.url, tables: 't', slot: `l_${db.name}`, snapshot: 'never', existingSlot: 'resume' } as const
}

describeEachMajor(
  'WAL that the slot needs is removed by max_slot_wal_keep_size',
  (postgres) => {
    test('while the run streams: SLOT_LOST, with what was delivered before', async () => {
      await using db = await testDatabase(postgres.server, TABLE)
      db.expectSlots = true
      await using reader = readSource(fromNow(db), { ack: false })
      await reader.told('streaming')
      await db.query('INSERT INTO t VALUES (1)')
      await reader.seen(({ key }) => key?.id === 1, 'row 1')
      await loseWal(db)
      const error = await failureOf(reader)
      expect(error).toMatchObject({ code: 'SLOT_LOST', details: { slot: fromNow(db).slot } })
      expect(error.hint).toContain('max_slot_wal_keep_size')
      expect(reader.records.map(({ key }) => key?.id)).toEqual([1])
    })

    test('while no run is there: SLOT_LOST at the next start, and nothing is made anew', async () => {
      await using db = await testDatabase(postgres.server, TABLE)
      db.expectSlots = true
      const first = readSource(fromNow(db))
      await first.told('streaming')
      await db.query('INSERT INTO t VALUES (1)')
      const { position } = await first.seen(({ key }) => key?.id === 1, 'row 1')
      await first.close()
      await db.query('INSERT INTO t VALUES (2)')
      await loseWal(db)
      await using next = readSource({ ...fromNow(db), position })
      expect(await failureOf(next)).toMatchObject({ code: 'SLOT_LOST' })
      expect(next.records).toEqual([])
      expect(await slotsOf(db)).toEqual([fromNow(db).slot])
    })

    test('in the middle of the snapshot: an error that says so, also at the next start; anew it has everything', async () => {
      await using db = await testDatabase(
        postgres.server,
        `${TABLE}; INSERT INTO t SELECT id, repeat('x', 500) FROM generate_series(1, 20000) id`,
      )
      db.expectSlots = true
      const options = { url: db.url, tables: 't', slot: `l_${db.name}`, maxBytes: 65536 }
      let lost = false
      await using reader = readSource(options, {
        onBatch: async ({ length }) => {
          if (length === 0 || lost) return
          lost = true
          await loseWal(db)
        },
      })
      expect(await failureOf(reader)).toMatchObject({ code: expect.toBeOneOf(['SLOT_LOST', 'SNAPSHOT_INTERRUPTED']) })
      await using stopped = readSource({ ...options, position: reader.batches.at(-1)!.position })
      expect(await failureOf(stopped)).toMatchObject({ code: 'SLOT_LOST' })
      expect(stopped.records).toEqual([])
      await db.query('SELECT pg_drop_replication_slot($1)', [options.slot])
      await using again = readSource(options)
      await again.told('streaming')
      expect(again.snapshotOf('t')).toHaveLength(20_000)
    })
  },
  { settings: LITTLE_WAL },
)

describe('somebody else has the slot', () => {
  let server: EmbeddedPostgres
  beforeAll(async () => {
    server = await startServer({ settings: { wal_sender_timeout: '2s' } })
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  /** A run that was cut off when it had row 1, and hears nothing of the server until the proxy is healed. */
  async function cutOff(db: TestDatabase, proxy: TcpProxy) {
    const reader = readSource({ ...fromNow(db), url: proxy.url(db.url) })
    await reader.told('streaming')
    await db.query('INSERT INTO t VALUES (1)')
    await reader.seen(({ key }) => key?.id === 1, 'row 1')
    proxy.swallow()
    await killWalsender(db)
    return reader
  }

  const free = (db: TestDatabase) =>
    waitFor(async () => (await db.query('SELECT FROM pg_replication_slots WHERE NOT active')).length > 0, {
      what: 'the slot to be free',
    })

  test('who read on with it and left: SLOT_AHEAD, not a gap', async () => {
    await using db = await testDatabase(server, TABLE)
    db.expectSlots = true
    await using proxy = await TcpProxy.to(server.port)
    await using reader = await cutOff(db, proxy)
    await db.query('INSERT INTO t VALUES (2)')
    await free(db)
    const taken = await db.query(
      "SELECT FROM pg_logical_slot_get_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', 'tailrace')",
      [fromNow(db).slot],
    )
    expect(taken.length).toBeGreaterThan(0)
    await db.query('INSERT INTO t VALUES (3)')
    proxy.heal()
    proxy.cutSwallowed()
    expect(await failureOf(reader)).toMatchObject({ code: 'SLOT_AHEAD' })
    expect(reader.records.map(({ key }) => key?.id)).toEqual([1])
  })

  test('who reads it and stays: SLOT_ACTIVE, with his process and name', async () => {
    await using db = await testDatabase(server, TABLE)
    db.expectSlots = true
    await using proxy = await TcpProxy.to(server.port)
    await using reader = await cutOff(db, proxy)
    await free(db)
    await using other = readSource({ ...fromNow(db), url: `${db.url}?application_name=intruder` }, { ack: false })
    await other.told('streaming')
    proxy.heal()
    proxy.cutSwallowed()
    const error = await failureOf(reader)
    expect(error).toMatchObject({ code: 'SLOT_ACTIVE', details: { application: 'intruder' } })
    expect(error.message).toMatch(/process \d+ \("intruder"/)
  })

  test('a slot that sends prepared transactions early (two_phase) is refused', async () => {
    await using db = await testDatabase(server, TABLE)
    db.expectSlots = true
    const { slot } = fromNow(db)
    await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput', false, true)", [slot])
    await using reader = readSource(fromNow(db))
    expect(await failureOf(reader)).toMatchObject({ code: 'SLOT_TWO_PHASE', details: { slot } })
  })
})
