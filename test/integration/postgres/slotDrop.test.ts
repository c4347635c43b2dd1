import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { SERVER_ERROR } from '../../../src/core/errors.js'
import { ReplicationStream } from '../../../src/postgres/replication/stream.js'
import type { Session } from '../../../src/postgres/session.js'
import { dropNamedSlot } from '../../../src/postgres/slotDrop.js'
import { testDatabase } from '../../support/database.js'
import { openSession, urlAs } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { slotsOf } from '../../support/sourceSlots.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

/** A walsender that streams from the slot until it is ended. */
async function startReading(session: Session, slot: string): Promise<ReplicationStream> {
  const options = {
    slot,
    startLsn: 0n,
    pluginOptions: { proto_version: '1', publication_names: 'p' },
    walSenderTimeoutMs: 60_000,
  }
  const idle = { wal() {}, keepalive() {}, chunkEnd() {}, tick() {}, confirmed: () => 0n }
  const stream = await ReplicationStream.start(session, options, idle)
  stream.ended.catch(() => {}) // it is ended under its hands
  return stream
}

test('an inactive slot is dropped, from whatever database, a missing one answered with the nearest', async () => {
  await using db = await testDatabase(server)
  await using other = await testDatabase(server)
  await using session = await openSession(other.url)
  await expect(dropNamedSlot(session, 'nightly', { force: false })).rejects.toMatchObject({
    code: 'SLOT_UNKNOWN',
    hint: expect.stringContaining('none at all'),
  })
  await db.query(`SELECT pg_create_logical_replication_slot('nightly', 'pgoutput')`)
  await expect(dropNamedSlot(session, 'nightli', { force: true })).rejects.toMatchObject({
    code: 'SLOT_UNKNOWN',
    hint: 'Did you mean "nightly"?',
  })
  await dropNamedSlot(session, 'nightly', { force: false })
  expect(await slotsOf(db)).toEqual([])
})

test('an active slot is dropped only with force, which ends its reader', async () => {
  await using db = await testDatabase(server, 'CREATE PUBLICATION p')
  await db.query(`SELECT pg_create_logical_replication_slot('busy', 'pgoutput')`)
  await using session = await openSession(db.url)
  await using reader = await openSession(db.url, { replication: true })
  const stream = await startReading(reader, 'busy')
  await expect(dropNamedSlot(session, 'busy', { force: false })).rejects.toMatchObject({
    code: 'SLOT_IN_USE',
    message: `replication slot "busy" is being read by process ${reader.processId} (tailrace)`,
  })
  expect(await slotsOf(db)).toEqual(['busy'])
  await dropNamedSlot(session, 'busy', { force: true })
  expect(await slotsOf(db)).toEqual([])
  await expect(stream.ended).rejects.toThrow()
})

test('a temporary slot is explained, and goes with its session', async () => {
  await using db = await testDatabase(server)
  await using session = await openSession(db.url)
  await using holder = await openSession(db.url)
  await holder.query(`SELECT pg_create_logical_replication_slot('mine', 'pgoutput', true)`)
  await expect(dropNamedSlot(session, 'mine', { force: false })).rejects.toMatchObject({
    code: 'SLOT_TEMPORARY',
    details: { slot: 'mine', pid: holder.processId, application: 'tailrace' },
  })
  await dropNamedSlot(session, 'mine', { force: true })
  expect(await slotsOf(db)).toEqual([])
})

test('what the role lacks is named, and the slot stands', async () => {
  await using db = await testDatabase(server, 'CREATE PUBLICATION p')
  db.expectSlots = true
  const role = `${db.name}_nobody`
  await db.query(`CREATE ROLE ${role} LOGIN`)
  await db.query('SELECT pg_create_logical_replication_slot($1, $2)', [db.name, 'pgoutput'])
  {
    await using nobody = await openSession(urlAs(db.url, role))
    const dropping = (force: boolean) => dropNamedSlot(nobody, db.name, { force })
    await expect(dropping(false)).rejects.toMatchObject({
      code: 'SLOT_DROP_DENIED',
      message: expect.stringContaining('to drop it takes the REPLICATION attribute'),
    })
    await using reader = await openSession(db.url, { replication: true })
    await startReading(reader, db.name)
    await expect(dropping(true)).rejects.toMatchObject({
      code: 'SLOT_DROP_DENIED',
      message: expect.stringContaining('takes the role pg_signal_backend'),
    })
  }
  expect(await slotsOf(db)).toEqual([db.name])
  await db.query(`DROP ROLE ${role}`)
})

/** What the server says of a slot, without a server. */
const listed = (facts: object) => [
  {
    ...{ name: 'busy', temporary: false, active: false, active_pid: null, application: null, wal_status: null },
    ...{ restart_lsn: null, confirmed_flush_lsn: null, retained: null, invalidation_reason: null },
    ...{ lag: null, safe_wal_size: null, inactive_since: null },
    ...facts,
  },
]
const taken = { active: true, active_pid: 7, application: 'stuck' }

test('a reader that will not let go is told of in the end', async () => {
  const queryable = { query: async () => listed(taken) as never }
  await expect(dropNamedSlot(queryable, 'busy', { force: true, releaseMs: 120 })).rejects.toMatchObject({
    code: 'SLOT_NOT_RELEASED',
    message: 'replication slot "busy" is still in use after 0.12 s (process 7, stuck)',
  })
})

test('a reader that comes between our look and the drop is not ended without force', async () => {
  let isTaken = false
  const asked: string[] = []
  const query = async (sql: string) => {
    asked.push(sql)
    if (!sql.includes('pg_drop_replication_slot')) return listed(isTaken ? taken : {}) as never
    isTaken = true
    throw SERVER_ERROR({ sqlstate: '55006', message: 'replication slot "busy" is active for PID 7' })
  }
  await expect(dropNamedSlot({ query }, 'busy', { force: false })).rejects.toMatchObject({ code: 'SLOT_IN_USE' })
  expect(asked.filter((sql) => sql.includes('pg_terminate_backend'))).toEqual([])
})
