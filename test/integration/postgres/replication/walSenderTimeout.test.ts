import { expect, test } from 'vitest'
import { walSenderTimeoutMs } from '../../../../src/postgres/replication/walSenderTimeout.js'
import { testDatabase } from '../../../support/database.js'
import { openSession, urlAs } from '../../../support/openSession.js'
import { describeEachMajor } from '../../../support/versions.js'

describeEachMajor('wal_sender_timeout', (postgres) => {
  test('is the one of the replication session, as a role may have its own', async () => {
    await using db = await testDatabase(postgres.server)
    const role = `reader_${db.name}`
    await db.query(`CREATE ROLE ${role} LOGIN REPLICATION`)
    try {
      for (const [setting, milliseconds] of [
        ['0', 0],
        ["'1500ms'", 1500],
        ["'90s'", 90_000],
        ["'2min'", 120_000],
        ["'1h'", 3_600_000],
        ["'1d'", 86_400_000],
      ] as const) {
        await db.query(`ALTER ROLE ${role} SET wal_sender_timeout = ${setting}`)
        await using session = await openSession(urlAs(db.url, role), { replication: true })
        expect(await walSenderTimeoutMs(session), setting).toBe(milliseconds)
      }
      await using other = await openSession(db.url, { replication: true })
      expect(await walSenderTimeoutMs(other)).toBe(60_000)
    } finally {
      await db.query(`DROP ROLE ${role}`)
    }
  })
})
