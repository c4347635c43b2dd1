import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { identifySystem, serverFacts } from '../../../../src/postgres/catalog/server.js'
import { testDatabase } from '../../../support/database.js'
import { CountingQueryable, openSession, urlAs } from '../../../support/openSession.js'
import { prepareServer, startServer } from '../../../support/servers.js'
import { describeEachMajor } from '../../../support/versions.js'

describeEachMajor(
  'server facts',
  (postgres) => {
    test('come in one query, to a role without privileges too', async () => {
      await using db = await testDatabase(postgres.server)
      const role = `${db.name}_nobody`
      await db.query(`CREATE ROLE ${role} LOGIN`)
      await db.query(`SELECT pg_create_physical_replication_slot('standby')`)
      {
        await using session = await openSession(urlAs(db.url, role))
        const counting = new CountingQueryable(session)
        const facts = await serverFacts(counting)
        expect(counting.queries).toBe(1)
        const [known] = await db.query<{ system: string; version: string; number: number }>(
          `SELECT system_identifier::text AS system, current_setting('server_version') AS version,
                  current_setting('server_version_num')::int AS number FROM pg_control_system()`,
        )
        expect(facts).toEqual({
          version: known!.number,
          versionText: known!.version,
          systemIdentifier: known!.system,
          timeline: 1,
          inRecovery: false,
          walLevel: 'logical',
          walSenderTimeoutMs: 90_000,
          maxSlotWalKeepBytes: undefined,
          logicalDecodingWorkMemBytes: 64 * 1024 * 1024,
          walSegmentBytes: 16 * 1024 * 1024,
          maxReplicationSlots: 20,
          usedReplicationSlots: 1,
          maxWalSenders: 20,
          usedWalSenders: 0,
          database: db.name,
          encoding: 'UTF8',
          lcMonetary: 'C',
          user: role,
          superuser: false,
          mayReplicate: false,
          bypassesRowSecurity: false,
          insertLsn: expect.any(BigInt),
          writtenLsn: expect.any(BigInt),
          flushedLsn: expect.any(BigInt),
        })
        expect(facts.version).toBe(session.serverVersion)
        expect(Math.floor(facts.version / 10_000)).toBe(postgres.major)
        expect(facts.insertLsn >= facts.writtenLsn && facts.writtenLsn >= facts.flushedLsn).toBe(true)
        await db.query(`ALTER ROLE ${role} REPLICATION BYPASSRLS`)
        expect(await serverFacts(session)).toMatchObject({ mayReplicate: true, bypassesRowSecurity: true })
        await db.query(
          `ALTER ROLE ${role} NOREPLICATION; CREATE ROLE rds_replication; GRANT rds_replication TO ${role}`,
        )
        expect(await serverFacts(session)).toMatchObject({ mayReplicate: true, superuser: false })
      }
      await db.query(`DROP ROLE ${role}; DROP ROLE rds_replication; SELECT pg_drop_replication_slot('standby')`)
    })

    test('agree with what a replication session is told', async () => {
      await using db = await testDatabase(postgres.server)
      await using session = await openSession(db.url)
      await using replication = await openSession(db.url, { replication: true })
      const before = await serverFacts(session)
      const system = await identifySystem(replication)
      const after = await serverFacts(session)
      expect(system).toMatchObject({
        systemIdentifier: before.systemIdentifier,
        timeline: before.timeline,
        database: db.name,
      })
      expect(before.flushedLsn <= system.flushedLsn && system.flushedLsn <= after.flushedLsn).toBe(true)
      expect(before).toMatchObject({ superuser: true, mayReplicate: true, bypassesRowSecurity: true })
    })
  },
  { settings: { wal_sender_timeout: '90s' } },
)

test('a standby says so, and after its promotion the new timeline', async () => {
  await using primary = await startServer()
  await primary.stop()
  await using standby = await prepareServer({ templateData: primary.dataFolder })
  await writeFile(join(standby.dataFolder, 'standby.signal'), '')
  await standby.restart()
  await using session = await openSession(standby.url())
  const facts = await serverFacts(session)
  expect(facts).toMatchObject({ inRecovery: true, timeline: 1 })
  expect(facts.insertLsn).toBe(facts.flushedLsn)
  expect(facts.insertLsn > 0n).toBe(true)
  await session.query('SELECT pg_promote()')
  expect(await serverFacts(session)).toMatchObject({ inRecovery: false, timeline: 2 })
})
