import { expect, test } from 'vitest'
import { testDatabase } from '../../support/database.js'
import { openSession } from '../../support/openSession.js'
import { readSource } from '../../support/sourceReader.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

/** A server of its own: the slot waits for every transaction there is. */
describeEachMajor('a table that is changed while the slot waits for running transactions', (postgres) => {
  test.each([
    ['altered', "ALTER TABLE public.t ADD COLUMN added text DEFAULT 'yes'", { added: 'yes' }],
    ['truncated', 'TRUNCATE public.t', {}],
  ])('is %s: what follows comes as it is', async (_, ddl, row) => {
    await using db = await testDatabase(
      postgres.server,
      'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)',
    )
    db.expectSlots = true
    await using first = await openSession(db.url)
    await using altering = await openSession(db.url)
    await using third = await openSession(db.url)
    await using fourth = await openSession(db.url)
    const waitsFor = async (...sessions: readonly { processId: number }[]) => {
      const pids = sessions.map(({ processId }) => processId)
      const blocked = () =>
        db.query(
          `SELECT FROM pg_stat_activity
            WHERE backend_type = 'walsender' AND datname = current_database() AND pg_blocking_pids(pid) && ARRAY[${pids.join()}]`,
        )
      await waitFor(async () => (await blocked()).length > 0, { what: 'the slot to wait' })
    }
    await first.query('BEGIN')
    await first.query('INSERT INTO public.other VALUES (1)')
    const options = { tables: 't', slot: `s_${db.name}`, snapshot: 'never' } as const
    await using reader = readSource({ url: db.url, ...options })
    await waitsFor(first)
    // The server has begun to look, and does not see yet what becomes of catalogs.
    await altering.query('BEGIN')
    await altering.query(ddl)
    await third.query('BEGIN')
    await third.query('INSERT INTO public.other VALUES (3)')
    await first.query('COMMIT')
    await waitsFor(altering, third)
    await altering.query('COMMIT')
    await waitsFor(third)
    // Its view of the catalogs is made now, and kept for what comes.
    await fourth.query('BEGIN')
    await fourth.query('INSERT INTO public.t (id) VALUES (2)')
    await third.query('COMMIT')
    await fourth.query('COMMIT')
    await reader.told('streaming')
    await db.query('INSERT INTO t (id) VALUES (3)')
    await reader.seen(({ key }) => key?.id === 3, 'the last row')
    await reader.close()
    // The first of them may have been committed before the slot began.
    for (const { key, after } of reader.changesOf('t').filter(({ operation }) => operation === 'create'))
      expect(after).toEqual({ ...key, ...row })
  })
  // Without an xid: no slot waits for who holds it.
  test('is locked before the slot is made: a consistent snapshot reads it as a rewrite leaves it', async () => {
    await using db = await testDatabase(
      postgres.server,
      'CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT id, 0 FROM generate_series(1, 50) id',
    )
    db.expectSlots = true
    await db.query('CREATE PUBLICATION tailrace FOR TABLE t WITH (publish_via_partition_root)')
    await using migration = await openSession(db.url)
    await migration.query('BEGIN')
    await migration.query('LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE')
    const options = { tables: 't', slot: `s_${db.name}`, strategy: 'consistent' } as const
    await using reader = readSource({ url: db.url, ...options })
    const waits = () =>
      db.query(
        `SELECT FROM pg_stat_activity
          WHERE query LIKE 'LOCK TABLE%' AND pg_blocking_pids(pid) && ARRAY[${migration.processId}]`,
      )
    await waitFor(async () => (await waits()).length > 0, { what: 'a reader to wait for the lock' })
    await migration.query('ALTER TABLE public.t ALTER n TYPE int8')
    await migration.query('COMMIT')
    await reader.told('snapshot-finished')
    await reader.close()
    expect(reader.snapshotOf('t')).toHaveLength(50)
  })
})
