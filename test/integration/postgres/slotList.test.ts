import { expect, test } from 'vitest'
import { captureFacts, readSurroundings } from '../../../src/postgres/catalog/surroundings.js'
import { listSlots } from '../../../src/postgres/slotList.js'
import { testDatabase } from '../../support/database.js'
import { CountingQueryable, openSession, urlAs } from '../../support/openSession.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

const MB = 1024 * 1024

describeEachMajor(
  'what an operator asks of a server',
  (postgres) => {
    test('every slot is listed, of whatever kind and database, in one query, to a role without privileges too', async () => {
      await using db = await testDatabase(postgres.server)
      await using other = await testDatabase(postgres.server)
      db.expectSlots = other.expectSlots = true
      const role = `${db.name}_nobody`
      await db.query(`CREATE ROLE ${role} LOGIN`)
      await db.query(`SELECT pg_create_logical_replication_slot('b_idle', 'pgoutput')`)
      await other.query(`SELECT pg_create_logical_replication_slot('c_other', 'test_decoding')`)
      await db.query(`SELECT pg_create_physical_replication_slot('a_standby', true)`)
      {
        await using holder = await openSession(db.url)
        await holder.query(`SELECT pg_create_logical_replication_slot('d_mine', 'pgoutput', true)`)
        await db.query('SELECT pg_switch_wal()')
        await using session = await openSession(urlAs(db.url, role))
        const counting = new CountingQueryable(session)
        const slots = await listSlots(counting)
        expect(counting.queries).toBe(1)
        expect(slots.map(({ name }) => name)).toEqual(['a_standby', 'b_idle', 'c_other', 'd_mine'])
        const [standby, idle, elsewhere, mine] = slots
        expect(standby).toMatchObject({ type: 'physical', plugin: undefined, database: undefined, lagBytes: undefined })
        expect(idle).toMatchObject({
          type: 'logical',
          plugin: 'pgoutput',
          database: db.name,
          active: false,
          activePid: undefined,
          application: undefined,
          walStatus: 'reserved',
          invalidation: undefined,
        })
        expect(elsewhere).toMatchObject({ plugin: 'test_decoding', database: other.name })
        expect(mine).toMatchObject({
          temporary: true,
          active: true,
          activePid: holder.processId,
          application: 'tailrace',
        })
        for (const { retainedBytes, safeWalBytes } of slots) {
          expect(retainedBytes).toBeGreaterThan(0)
          expect(retainedBytes).toBeLessThan(64 * MB)
          expect(safeWalBytes).toBeGreaterThan(0)
        }
        expect(idle!.lagBytes).toBeGreaterThan(0)
        if (postgres.major >= 17) {
          expect(Math.abs(Date.now() - idle!.inactiveSince!.getTime())).toBeLessThan(600_000)
        } else expect(idle!.inactiveSince).toBeUndefined()
      }
      await db.query(`DROP ROLE ${role}; SELECT pg_drop_replication_slot('a_standby')`)
    })

    test('an invalidated slot says so, holds no WAL, and the server goes on', async () => {
      await using db = await testDatabase(postgres.server, 'CREATE TABLE t (id int)')
      db.expectSlots = true
      const slot = `lost_${db.name}`
      await db.query('SELECT pg_create_logical_replication_slot($1, $2)', [slot, 'pgoutput'])
      // a segment has 16 MB, and 64 MB may be kept
      const lost = async () => {
        for (let n = 0; n < 6; n++) await db.query('INSERT INTO t VALUES (1); SELECT pg_switch_wal()')
        await db.query('CHECKPOINT')
        return (await listSlots({ query: db.query.bind(db) as never })).find(
          ({ name, invalidation }) => name === slot && invalidation !== undefined,
        )
      }
      const found = await waitFor(lost, { what: 'the slot to be invalidated' })
      expect(found).toMatchObject({ name: slot, invalidation: 'wal_removed', walStatus: 'lost', retainedBytes: 0 })
    })

    test('surroundings: prefixes of settings, the privilege to publish, the idle timeout where there is one', async () => {
      await using db = await testDatabase(postgres.server)
      const role = `${db.name}_nobody`
      await db.query(`CREATE ROLE ${role} LOGIN; CREATE ROLE neon_superuser`)
      await db.query(`ALTER DATABASE ${db.name} SET rds.something = '1'`)
      const timeout = postgres.major >= 18 ? 0 : undefined
      {
        await using session = await openSession(db.url)
        expect(await readSurroundings(session)).toMatchObject({ mayCreate: true, idleSlotTimeoutSeconds: timeout })
        await using nobody = await openSession(urlAs(db.url, role))
        expect(await readSurroundings(nobody)).toMatchObject({
          mayCreate: false,
          aurora: false,
          roles: ['neon_superuser'],
        })
      }
      await db.query(`DROP ROLE ${role}; DROP ROLE neon_superuser`)
    })

    test('capture facts: ownership, and the columns whose values may be left out of an update', async () => {
      await using db = await testDatabase(
        postgres.server,
        `CREATE TABLE short (id int PRIMARY KEY, code varchar(10), n int);
         CREATE TABLE long (id int PRIMARY KEY, note text, plain text, n numeric, at timestamptz);
         ALTER TABLE long ALTER COLUMN plain SET STORAGE PLAIN;
         CREATE TABLE parts (id int, note text) PARTITION BY RANGE (id);
         CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)`,
      )
      const role = `${db.name}_nobody`
      await db.query(`CREATE ROLE ${role} LOGIN; ALTER TABLE short OWNER TO ${role}`)
      const oids = await db.query<{ name: string; oid: number }>(
        `SELECT relname AS name, oid::int FROM pg_class WHERE relname IN ('short', 'long', 'parts')`,
      )
      const oidOf = (name: string) => oids.find((one) => one.name === name)!.oid
      {
        await using nobody = await openSession(urlAs(db.url, role))
        const facts = await captureFacts(nobody, [oidOf('short'), oidOf('long'), oidOf('parts')])
        expect(facts.get(oidOf('short'))).toEqual({ owned: true, toastable: [] })
        expect(facts.get(oidOf('long'))).toEqual({ owned: false, toastable: ['note', 'n'] })
        expect(facts.get(oidOf('parts'))).toEqual({ owned: false, toastable: ['note'] })
      }
      await db.query(`ALTER TABLE short OWNER TO postgres; DROP ROLE ${role}`)
    })
  },
  { settings: { max_slot_wal_keep_size: '64MB' } },
)
