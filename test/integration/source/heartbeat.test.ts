import { expect, test } from 'vitest'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { urlAs } from '../../support/openSession.js'
import { DEFAULT_MAJOR, majors, startServer } from '../../support/servers.js'
import { slowTest } from '../../support/slow.js'
import { readSource, type SourceReader } from '../../support/sourceReader.js'
import { waitFor } from '../../support/waitFor.js'

const MIB = 1024 * 1024

async function heldBytes(db: TestDatabase): Promise<number> {
  const [row] = await db.query<{ held: string }>(
    `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::text AS held
       FROM pg_replication_slots WHERE database = current_database()`,
  )
  return Number(row!.held)
}

async function insertLsn(db: TestDatabase): Promise<string> {
  const [row] = await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
  return row!.lsn
}

/** Longer than the server waits before it logs its running transactions after something was written (15 s). */
const SILENCE_MS = 18_000

async function silent(db: TestDatabase): Promise<void> {
  let lsn = await insertLsn(db)
  let since = Date.now()
  const quiet = async () => {
    const now = await insertLsn(db)
    if (now !== lsn) since = Date.now()
    lsn = now
    return Date.now() - since > SILENCE_MS
  }
  await waitFor(quiet, { what: 'a server that writes nothing', timeoutMs: 90_000, intervalMs: 200 })
}

/**
 * A slot that stands still on an idle server: its last running transactions were logged while earlier ones were still to
 * be confirmed. Everything is acknowledged then, and 64 MB that another database wrote meanwhile are held for nothing.
 */
async function standStill(db: TestDatabase, other: TestDatabase, reader: SourceReader, ack: () => void): Promise<void> {
  await reader.told('streaming')
  await db.query('INSERT INTO t VALUES (1)')
  await reader.seen(({ key }) => key?.id === 1, 'the row')
  await db.query('CHECKPOINT')
  await other.query('INSERT INTO b SELECT i, repeat(md5(i::text), 32) FROM generate_series(1, 60000) i')
  await silent(db)
  ack()
  await reader.batches.at(-1)!.ack()
  const confirmed = async () => {
    const [row] = await db.query<{ left: string }>(
      `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), confirmed_flush_lsn)::text AS left
         FROM pg_replication_slots WHERE database = current_database()`,
    )
    return Number(row!.left) < 1000
  }
  await reader.until(confirmed, { what: 'the slot to be confirmed', timeoutMs: 20_000 })
  expect(await heldBytes(db)).toBeGreaterThan(32 * MIB)
}

const CASES = [...new Set([majors[0]!, majors.at(-1)!])].map((major) => [major, 'auto' as const] as const)

// A server each, which is idle nearly all the time.
slowTest.concurrent.each([...CASES, [DEFAULT_MAJOR, 'never'] as const])(
  'a slot that stands still on an idle PostgreSQL %i gives back what it holds: heartbeat %s',
  { timeout: 180_000 },
  async (major, heartbeat) => {
    const settings = { autovacuum: 'off', max_wal_size: '4GB', checkpoint_timeout: '1h' }
    await using server = await startServer({ major, settings })
    await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
    await using other = await testDatabase(server, 'CREATE TABLE b (id int, fill text)')
    let acking = false
    const options = {
      url: db.url,
      tables: 't',
      snapshot: 'never',
      messages: true,
      heartbeat,
      heartbeatMs: 3000,
    } as const
    await using reader = readSource(options, { ack: () => acking })
    await standStill(db, other, reader, () => {
      acking = true
    })
    if (heartbeat === 'never') {
      // So it is without us.
      await silent(db)
      expect(await heldBytes(db)).toBeGreaterThan(32 * MIB)
      return
    }
    expect((await reader.told('heartbeat', 30_000)).heldBytes).toBeGreaterThan(32 * MIB)
    await reader.until(async () => (await heldBytes(db)) < MIB, { what: 'the WAL to be freed', timeoutMs: 30_000 })
    // It is no record, though messages were asked for.
    expect(reader.records.map(({ operation }) => operation)).toEqual(['create'])
  },
)

test('heartbeats are written again and again where they are wanted, and who may not write them is told once', async () => {
  await using server = await startServer()
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
  const always = {
    url: db.url,
    tables: 't',
    snapshot: 'never',
    heartbeat: 'always',
    heartbeatMs: 1000,
    stallMs: 600,
  } as const
  {
    await using reader = readSource(always)
    const heartbeats = () => reader.events.filter(({ type }) => type === 'heartbeat').length
    await reader.until(() => heartbeats() >= 3, { what: 'three heartbeats' })
  }
  await db.query(`DO $$ DECLARE f regprocedure; BEGIN
    FOR f IN SELECT oid FROM pg_proc WHERE proname = 'pg_logical_emit_message' LOOP
      EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    END LOOP; END $$`)
  await db.query(`CREATE ROLE reader_${db.name} LOGIN REPLICATION`)
  await db.query(`GRANT SELECT ON t TO reader_${db.name}; CREATE PUBLICATION p FOR TABLE t`)
  await using denied = readSource({ ...always, url: urlAs(db.url, `reader_${db.name}`), publication: 'p' })
  const warning = await denied.told('warning')
  expect(warning).toMatchObject({ code: 'HEARTBEAT_DENIED', message: expect.stringContaining('permission denied') })
  await db.query('INSERT INTO t VALUES (1)')
  await denied.seen(({ key }) => key?.id === 1, 'the row')
  const looks = () => denied.events.filter(({ type }) => type === 'wal-retention').length
  const enough = looks() + 8
  await denied.until(() => looks() >= enough, { what: 'the time for two more' })
  expect(denied.events.filter(({ type }) => type === 'warning')).toHaveLength(1)
})
