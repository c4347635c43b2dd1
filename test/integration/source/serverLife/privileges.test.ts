import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../../support/database.js'
import { urlAs } from '../../../support/openSession.js'
import { failureOf, killWalsender } from '../../../support/serverLife.js'
import { startServer } from '../../../support/servers.js'
import { readSource } from '../../../support/sourceReader.js'
import { publicationsOf } from '../../../support/sourceSlots.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLES = `
  CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT id, repeat('x', 100) FROM generate_series(1, 5000) id;
  CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u SELECT generate_series(1, 1000)`

/** A role with what a run needs and nothing else, which owns the tables. */
async function asRole(db: TestDatabase) {
  const role = `cdc_${db.name}`
  await db.query(
    `CREATE ROLE ${role} LOGIN REPLICATION; GRANT CREATE ON DATABASE ${db.name} TO ${role};
     ALTER TABLE t OWNER TO ${role}; GRANT SELECT ON u TO ${role}`,
  )
  const drop = async () => {
    await db.query(`REASSIGN OWNED BY ${role} TO postgres; DROP OWNED BY ${role}; DROP ROLE ${role}`)
  }
  return { role, url: urlAs(db.url, role), [Symbol.asyncDispose]: drop }
}

describe('the role loses in mid-stream', () => {
  test('SELECT on the table: changes go on, since they do not need it; a snapshot is refused with the SQL', async () => {
    await using db = await testDatabase(server, TABLES)
    db.expectSlots = true
    await using cdc = await asRole(db)
    const options = { url: cdc.url, tables: 't', slot: `p_${db.name}` }
    await using reader = readSource(options)
    await reader.told('streaming')
    await db.query(`ALTER TABLE t OWNER TO postgres; REVOKE ALL ON t FROM ${cdc.role}`)
    await killWalsender(db)
    await db.query('INSERT INTO t VALUES (6000)')
    await reader.seen(({ key }) => key?.id === 6000, 'the row')
    await reader.close()
    await using fresh = readSource({ url: cdc.url, tables: 't', publication: 'tailrace' })
    const error = await failureOf(fresh)
    expect(error).toMatchObject({ code: 'TABLE_NOT_READABLE' })
    expect(error.hint).toContain('GRANT SELECT ON public.t')
  })

  test('SELECT in the middle of the snapshot: the server’s refusal ends it, and with the grant all comes', async () => {
    await using db = await testDatabase(server, TABLES)
    db.expectSlots = true
    await using cdc = await asRole(db)
    // As somebody else made it, and with tables that the role does not own.
    await db.query(
      'ALTER TABLE t OWNER TO postgres; CREATE PUBLICATION tailrace FOR TABLE t, u WITH (publish_via_partition_root)',
    )
    await db.query(`GRANT SELECT ON t TO ${cdc.role}`)
    const options = { url: cdc.url, tables: 't,u', slot: `p_${db.name}`, snapshotWorkers: 1, maxBytes: 65_536 }
    let revoked = false
    await using reader = readSource(options, {
      onBatch: async ({ length }) => {
        if (length === 0 || revoked) return
        revoked = true
        await db.query(`REVOKE SELECT ON t, u FROM ${cdc.role}`)
      },
    })
    expect(await failureOf(reader)).toMatchObject({
      code: 'SERVER_ERROR',
      message: expect.stringMatching(/permission denied for table (t|u)/),
    })
    await db.query(`GRANT SELECT ON t, u TO ${cdc.role}`)
    await using again = readSource({ ...options, position: reader.batches.at(-1)!.position })
    await again.told('streaming')
    const came = (table: string) => new Set([reader, again].flatMap((run) => run.snapshotOf(table).map(({ id }) => id)))
    await again.until(() => came('t').size + came('u').size === 6000, { what: 'all rows' })
    expect([came('t').size, came('u').size]).toEqual([5000, 1000])
  })

  test.each<[string, (role: string, db: TestDatabase) => string, RegExp, string[]?]>([
    ['REPLICATION', (role) => `ALTER ROLE ${role} NOREPLICATION`, /REPLICATION|replication/, ['REPLICATION_DENIED']],
    [
      'CONNECT',
      (role, db) => `REVOKE CONNECT ON DATABASE ${db.name} FROM PUBLIC, ${role}`,
      /permission denied for database|CONNECT/,
    ],
    ['LOGIN', (role) => `ALTER ROLE ${role} NOLOGIN`, /not permitted to log in/],
  ])(
    '%s: the stream goes on; once its connection is lost, that is the error, with nothing skipped',
    async (_, revoke, says, codes = ['LOGIN_REFUSED', 'SERVER_ERROR']) => {
      await using db = await testDatabase(server, TABLES)
      db.expectSlots = true
      await using cdc = await asRole(db)
      const options = { url: cdc.url, tables: 't', slot: `p_${db.name}`, snapshot: 'never' } as const
      await using reader = readSource(options)
      await reader.told('streaming')
      await db.query(revoke(cdc.role, db))
      await db.query('INSERT INTO t VALUES (6000)')
      const { position } = await reader.seen(({ key }) => key?.id === 6000, 'the row')
      await killWalsender(db)
      await db.query('INSERT INTO t VALUES (6001)')
      const error = await failureOf(reader)
      expect(error).toMatchObject({ code: expect.toBeOneOf(codes), retry: 'operator' })
      expect(error.message).toMatch(says)
      await db.query(`ALTER ROLE ${cdc.role} LOGIN REPLICATION; GRANT CONNECT ON DATABASE ${db.name} TO ${cdc.role}`)
      await using again = readSource({ ...options, position })
      await again.seen(({ key }) => key?.id === 6001, 'the next row')
      expect(again.records).toHaveLength(1)
    },
  )

  test('its publication: the stream goes on; one that would have gone with the run is told as left', async () => {
    await using db = await testDatabase(server, TABLES)
    await using cdc = await asRole(db)
    await using reader = readSource({ url: cdc.url, tables: 't', snapshot: 'never' })
    await reader.told('streaming')
    const [publication] = await publicationsOf(db)
    await db.query(`ALTER PUBLICATION ${publication} OWNER TO postgres`)
    await db.query('INSERT INTO t VALUES (6000)')
    await reader.seen(({ key }) => key?.id === 6000, 'the row')
    await reader.close()
    expect(reader.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'PUBLICATION_LEFT' }))
    expect(await publicationsOf(db)).toEqual([publication])
  })
})
