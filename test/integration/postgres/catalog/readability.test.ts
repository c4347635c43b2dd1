import { expect, test } from 'vitest'
import { readingObstacle } from '../../../../src/postgres/catalog/readability.js'
import { findTables } from '../../../../src/postgres/catalog/tables.js'
import { parseTablePatterns } from '../../../../src/postgres/tablePattern.js'
import { testDatabase } from '../../../support/database.js'
import { openSession, urlAs } from '../../../support/openSession.js'
import { describeEachMajor } from '../../../support/versions.js'

describeEachMajor('readability of partitions', (postgres) => {
  test('a partition is read by its own privileges and policies, not by those of its root', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);
       CREATE TABLE "Odd" PARTITION OF root FOR VALUES FROM (0) TO (10);
       CREATE TABLE two PARTITION OF root FOR VALUES FROM (10) TO (20);
       ALTER TABLE two ENABLE ROW LEVEL SECURITY`,
    )
    const role = `${db.name}_reader`
    await db.query(`CREATE ROLE ${role} LOGIN; GRANT SELECT ON root, two TO ${role}`)
    {
      await using session = await openSession(urlAs(db.url, role), { settings: { row_security: 'off' } })
      const look = async () => readingObstacle(await findTables(session, parseTablePatterns('root')), role)
      const denied = await look()
      expect(denied).toMatchObject({
        code: 'TABLE_NOT_READABLE',
        details: { tables: ['public."Odd"'], sql: `GRANT SELECT ON public."Odd" TO ${role};` },
      })
      await db.query(String(denied!.details.sql))
      const hidden = await look()
      expect(hidden).toMatchObject({ code: 'ROW_SECURITY_ACTIVE', details: { tables: ['public.two'] } })
      await expect(session.query('SELECT FROM ONLY public.two')).rejects.toMatchObject({ code: 'SERVER_ERROR' })
      await db.query(String(hidden!.details.sql))
      expect(await look()).toBeUndefined()
      for (const leaf of ['public."Odd"', 'public.two']) await session.query(`SELECT FROM ONLY ${leaf}`)
    }
    await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  })
})
