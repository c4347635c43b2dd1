import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { formatLsn, parseLsn } from '../../../src/postgres/lsn.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'
import { testDatabase } from '../../support/database.js'
import { DEFAULT_MAJOR, startServer } from '../../support/servers.js'
import { readSource } from '../../support/sourceReader.js'
import { TcpProxy } from '../../support/tcpProxy.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

const TABLES = 'CREATE TABLE t (id serial PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)'

const DETACH = 'ALTER TABLE a.root DETACH PARTITION a.leaf'
const ATTACH = 'ALTER TABLE a.root ATTACH PARTITION a.t FOR VALUES FROM (10) TO (20)'

describeEachMajor('publications are watched while the stream runs', (postgres) => {
  const confirmedOf = async (db: Awaited<ReturnType<typeof testDatabase>>, slot: string) => {
    const [row] = await db.query<{ lsn: string }>(
      'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
      [slot],
    )
    return parseLsn(row!.lsn)!
  }

  // PostgreSQL 18 passes over the missing publication without a word: row 2 comes nowhere.
  test('one that is dropped and made again stops the run, and nothing behind it is confirmed', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    db.expectSlots = true
    const [slot, publication] = [`s_${db.name}`, `p_${db.name}`]
    await using reader = readSource({ url: db.url, tables: 't,u', slot, publication })
    await reader.told('streaming')
    await db.query('INSERT INTO t VALUES (1)')
    await reader.seen(({ key }) => key?.id === 1, 'row 1')
    const before = await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
    await db.query(`DROP PUBLICATION ${publication}`)
    await db.query('INSERT INTO t VALUES (2)')
    await db.query(`CREATE PUBLICATION ${publication} FOR TABLE t, u`)
    await db.query('INSERT INTO t VALUES (3)')
    await expect(reader.ended).rejects.toMatchObject({
      // Up to 17 the server itself may say that it is missing, if it decodes row 2 before our next look.
      code: expect.toBeOneOf(['PUBLICATION_CHANGED', 'PUBLICATION_MISSING']),
    })
    if (postgres.major >= 18) {
      await expect(reader.ended).rejects.toMatchObject({
        code: 'PUBLICATION_CHANGED',
        details: { change: expect.stringContaining(`publication ${publication} was dropped`) },
      })
    }
    const dropped = parseLsn(before[0]!.lsn)!
    const confirmed = await confirmedOf(db, slot)
    expect(confirmed, `${formatLsn(confirmed)} is behind ${formatLsn(dropped)}`).toBeLessThanOrEqual(dropped)
  })

  test.each([
    [
      'its options altered, and altered back',
      ["SET (publish = 'insert')", "SET (publish = 'insert, update, delete, truncate')"],
    ],
    ['had public.t taken out and added again', ['DROP TABLE t', 'ADD TABLE t']],
  ])('one that %s stops the run', async (change, alterations) => {
    await using db = await testDatabase(postgres.server, TABLES)
    const publication = `p_${db.name}`
    await db.query(`CREATE PUBLICATION ${publication} FOR TABLE t, u WITH (publish_via_partition_root = true)`)
    await using reader = readSource({ url: db.url, tables: 't,u', publication })
    await reader.told('streaming')
    for (const alteration of alterations) await db.query(`ALTER PUBLICATION ${publication} ${alteration}`)
    await expect(reader.ended).rejects.toMatchObject({
      code: 'PUBLICATION_CHANGED',
      details: { change: expect.stringContaining(change) },
    })
  })

  test('one made anew while no run was there is found by the position, which goes on only when asked to', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    db.expectSlots = true
    const [slot, publication] = [`s_${db.name}`, `p_${db.name}`]
    const options = { url: db.url, tables: 't,u', slot, publication }
    const first = readSource(options)
    await first.told('streaming')
    await db.query('INSERT INTO t VALUES (1)')
    await first.seen(({ key }) => key?.id === 1, 'row 1')
    await first.close()
    const position = first.batches.at(-1)!.position
    await db.query(`DROP PUBLICATION ${publication}; CREATE PUBLICATION ${publication} FOR TABLE t, u`)

    await using stopped = readSource({ ...options, position })
    await expect(stopped.ended).rejects.toMatchObject({
      code: 'PUBLICATION_CHANGED',
      details: { change: 'a publication was dropped, and may be made again' },
    })
    await using reader = readSource({ ...options, position, onPublicationChange: 'continue' })
    await reader.told('streaming')
    expect(reader.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'PUBLICATION_CHANGED' }))
    await db.query('INSERT INTO t VALUES (2)')
    await reader.seen(({ key }) => key?.id === 2, 'row 2')
    await db.query(`ALTER PUBLICATION ${publication} SET (publish_via_partition_root = true)`)
    await reader.until(() => reader.events.filter(({ type }) => type === 'warning').length === 2, { what: 'a warning' })
    await db.query('INSERT INTO t VALUES (3)')
    await reader.seen(({ key }) => key?.id === 3, 'row 3')
  })

  const ON_DEFAULT = postgres.major !== DEFAULT_MAJOR
  test.skipIf(ON_DEFAULT).each([
    ['leaves a published schema', 'a.t', 'FOR TABLES IN SCHEMA a', 'ALTER TABLE a.t SET SCHEMA public', 'left it'],
    ['is detached from a published root', 'a.leaf', 'FOR TABLE a.root, a.u', DETACH, 'detached'],
    ['is attached to a published root', 'a.t', 'FOR TABLE a.root, a.t, a.u', ATTACH, 'attached'],
    ['is made unlogged', 'a.t', 'FOR ALL TABLES', 'ALTER TABLE a.t SET UNLOGGED', 'unlogged'],
  ])('a captured table that %s stops the run', async (_, captured, published, alteration, change) => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE SCHEMA a; CREATE TABLE a.t (id int PRIMARY KEY); CREATE TABLE a.u (id int PRIMARY KEY);
       CREATE TABLE a.root (id int PRIMARY KEY) PARTITION BY RANGE (id);
       CREATE TABLE a.leaf PARTITION OF a.root FOR VALUES FROM (0) TO (10)`,
    )
    const publication = `p_${db.name}`
    const viaRoot = change.startsWith('attached')
    await db.query(`CREATE PUBLICATION ${publication} ${published} WITH (publish_via_partition_root = ${viaRoot})`)
    await using reader = readSource({ url: db.url, tables: `a.u,${captured}`, publication })
    await reader.told('streaming')
    await db.query(alteration)
    await expect(reader.ended).rejects.toMatchObject({
      code: 'PUBLICATION_CHANGED',
      details: { change: expect.stringContaining(change) },
    })
  })

  const OUT_AND_IN = (publication: string) => [
    `ALTER PUBLICATION ${publication} DROP TABLE t`,
    'INSERT INTO t VALUES (2)',
    `ALTER PUBLICATION ${publication} ADD TABLE t`,
  ]

  test.skipIf(ON_DEFAULT)(
    'what is found when a run ends by itself is an error of it, and of the next start',
    async () => {
      await using db = await testDatabase(postgres.server, TABLES)
      db.expectSlots = true
      const [slot, publication] = [`s_${db.name}`, `p_${db.name}`]
      const options = { url: db.url, tables: 't,u', slot, publication }
      const first = readSource({ ...options, until: 'current' })
      await first.ended
      const position = first.batches.at(-1)!.position
      await db.query('INSERT INTO t VALUES (1)')
      // The publication is altered with the last row in hand: only the last look can find it.
      await using second = readSource(
        { ...options, position, until: 'current' },
        {
          onBatch: async ({ length }) => {
            if (length > 0) for (const statement of OUT_AND_IN(publication)) await db.query(statement)
          },
        },
      )
      await expect(second.ended).rejects.toMatchObject({ code: 'PUBLICATION_CHANGED' })
      const stored = second.batches.at(-1)!.position
      await using third = readSource({ ...options, position: stored, until: 'current' })
      await expect(third.ended).rejects.toMatchObject({ code: 'PUBLICATION_CHANGED' })
    },
  )

  test.skipIf(ON_DEFAULT)(
    'other tables than those that the position was read with are told of, where their rows are not read',
    async () => {
      await using db = await testDatabase(postgres.server, TABLES)
      db.expectSlots = true
      const [slot, publication] = [`s_${db.name}`, `p_${db.name}`]
      await db.query(`CREATE PUBLICATION ${publication} FOR TABLE t, u`)
      const options = { url: db.url, slot, publication, until: 'current' } as const
      const first = readSource({ ...options, tables: 't' })
      await first.ended
      const position = first.batches.at(-1)!.position
      for (const [tables, told] of [
        ['t', 0],
        ['t,u', 1],
      ] as const) {
        const next = readSource({ ...options, tables, position, snapshot: 'never' })
        await next.ended
        const warnings = next.events.filter((event) => event.type === 'warning' && event.code === 'TABLES_CHANGED')
        expect(warnings).toHaveLength(told)
      }
    },
  )

  test.skipIf(ON_DEFAULT)('a run ends at once though somebody’s transaction is open, or the server away', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    await using proxy = await TcpProxy.to(postgres.server.port)
    const open = await db.connect()
    for (const away of [false, true]) {
      const source = new PostgresSource({ url: proxy.url(db.url), tables: 't' })
      const events = source.events()
      void (async () => {
        for await (const { type } of events) if (type === 'streaming') await db.query('INSERT INTO t DEFAULT VALUES')
      })()
      let left = 0
      for await (const batch of source) {
        if (batch.at(0)?.operation !== 'create') continue
        await open.query('BEGIN; INSERT INTO u VALUES (1)')
        if (away) proxy.swallow()
        left = performance.now()
        break
      }
      expect(performance.now() - left).toBeLessThan(away ? 12_000 : 2900)
      await open.query('ROLLBACK')
    }
  })

  test.skipIf(postgres.major !== DEFAULT_MAJOR)(
    'what does not touch the captured tables is no matter, nor is a table that is dropped',
    async () => {
      await using db = await testDatabase(postgres.server, `${TABLES}; CREATE TABLE other (id int PRIMARY KEY)`)
      db.expectSlots = true
      const [slot, publication] = [`s_${db.name}`, `p_${db.name}`]
      await using reader = readSource({ url: db.url, tables: 't,u', slot, publication })
      await reader.told('streaming')
      await db.query(`ALTER PUBLICATION ${publication} ADD TABLE other`)
      await db.query(`ALTER PUBLICATION ${publication} OWNER TO postgres`)
      await db.query('DROP TABLE u')
      await db.query('INSERT INTO t VALUES (7)')
      const { lsn } = await reader.seen(({ key }) => key?.id === 7, 'row 7')
      // Confirmed means looked at.
      await waitFor(async () => (await confirmedOf(db, slot)) > parseLsn(lsn!)!, { what: 'the row to be confirmed' })
    },
  )

  test.skipIf(postgres.major !== DEFAULT_MAJOR)(
    'a transaction that stays open for long keeps nothing from being confirmed',
    async () => {
      await using db = await testDatabase(postgres.server, TABLES)
      db.expectSlots = true
      const slot = `s_${db.name}`
      await using reader = readSource({ url: db.url, tables: 't', slot, publication: `p_${db.name}` })
      await reader.told('streaming')
      const open = await db.connect()
      await open.query('BEGIN; INSERT INTO u VALUES (1)')
      await db.query('INSERT INTO t VALUES (1)')
      const { lsn } = await reader.seen(({ key }) => key?.id === 1, 'row 1')
      await waitFor(async () => (await confirmedOf(db, slot)) > parseLsn(lsn!)!, { what: 'the row to be confirmed' })
      await open.query('ROLLBACK')
    },
  )
})

test('nothing is confirmed past an alteration that waits for a synchronous standby, which nobody can see yet', async () => {
  await using server = await startServer()
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  const [slot, publication] = [`s_${db.name}`, `p_${db.name}`]
  await using reader = readSource({ url: db.url, tables: 't,u', slot, publication })
  await reader.told('streaming')
  const alter = await db.connect()
  await db.query('SET synchronous_commit = local')
  await db.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
  await db.query('SELECT pg_reload_conf()')
  const named = async () =>
    (await db.query("SELECT FROM pg_settings WHERE name = 'synchronous_standby_names' AND setting <> ''")).length
  await waitFor(named, { what: 'the setting' })
  const [before] = await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
  const altering = alter.query(`ALTER PUBLICATION ${publication} DROP TABLE t`).catch(() => {})
  const waits = "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
  await waitFor(async () => (await db.query(waits)).length > 0, { what: 'the alteration to wait' })
  await db.query('INSERT INTO u VALUES (1)')
  await reader.seen(({ key }) => key?.id === 1, 'the row behind it')
  // Longer than a look waits for those who run.
  await sleep(4500)
  const [{ lsn }] = (await db.query<{ lsn: string }>(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  )) as [{ lsn: string }]
  expect(parseLsn(lsn)!).toBeLessThanOrEqual(parseLsn(before!.lsn)!)
  await db.query('ALTER SYSTEM RESET synchronous_standby_names')
  await db.query('SELECT pg_reload_conf()')
  await altering
  await expect(reader.ended).rejects.toMatchObject({ code: 'PUBLICATION_CHANGED' })
})
