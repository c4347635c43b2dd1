import { expect, test } from 'vitest'
import { walSenderTimeoutMs } from '../../../../src/postgres/replication/walSenderTimeout.js'
import { testDatabase } from '../../../support/database.js'
import { openSession, urlAs } from '../../../support/openSession.js'
import { describeEachMajor } from '../../../support/versions.js'

describeEachMajor('wal_sender_timeout', (postgres) => {
  test.each([
    ['0', 0],
    ["'1500ms'", 1500],
    ["'90s'", 90_000],
    ["'2min'", 120_000],
    ["'1h'", 3_600_000],
    ["'1d'", 86_400_000],
  ])('is the one of the replication session: a role that has %s', async (setting, milliseconds) => {
    await using db = await testDatabase(postgres.server)
    const role = `reader_${db.name}`
    await db.query(`CREATE ROLE ${role} LOGIN REPLICATION`)
    try {
      await db.query(`ALTER ROLE ${role} SET wal_sender_timeout = ${setting}`)
      await using session = await openSession(urlAs(db.url, role), { replication: true })
      expect(await walSenderTimeoutMs(session)).toBe(milliseconds)
      await using other = await openSession(db.url, { replication: true })
      expect(await walSenderTimeoutMs(other)).toBe(60_000)
    } finally {
      await db.query(`DROP ROLE ${role}`)
    }
  })
})
