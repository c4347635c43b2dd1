import { describe, expect, test } from 'vitest'
import { describeTables, findTables } from '../../../src/postgres/catalog/tables.js'
import { addTables, createPublication, dropPublication, inspectPublication } from '../../../src/postgres/publication.js'
import { checkPublication } from '../../../src/postgres/publicationCheck.js'
import type { Session } from '../../../src/postgres/session.js'
import { parseTablePatterns } from '../../../src/postgres/tablePattern.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { openSession, urlAs } from '../../support/openSession.js'
import { describeEachMajor } from '../../support/versions.js'

const SHOP = `
  CREATE SCHEMA sales;
  CREATE TABLE orders (id int PRIMARY KEY, note text);
  CREATE TABLE sales."Odd.Table" (id int PRIMARY KEY, "Total" int);
  CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
  CREATE TABLE metrics (id int PRIMARY KEY) PARTITION BY RANGE (id);
  CREATE TABLE metrics_1 PARTITION OF metrics FOR VALUES FROM (0) TO (10)`

const find = (session: Session, list: string) => findTables(session, parseTablePatterns(list))

async function create(session: Session, name: string, list: string, operations: 'all' | 'inserts' = 'all') {
  const tables = list === '' ? [] : await find(session, list)
  await createPublication(session, { name, tables, operations, serverVersion: session.serverVersion })
}

async function check(session: Session, name: string, list: string, operations: 'all' | 'inserts' = 'all') {
  const publication = await inspectPublication(session, name)
  return checkPublication(publication!, { tables: await find(session, list), operations })
}

/** Runs the SQL of all findings: there must be none left. */
async function mend(db: TestDatabase, session: Session, name: string, list: string) {
  const findings = await check(session, name, list)
  for (const sql of new Set(findings.map((finding) => finding.sql))) await db.query(sql)
  expect(await check(session, name, list)).toEqual([])
  return findings.map(({ kind }) => kind)
}

describeEachMajor('a publication', (postgres) => {
  test('of our own is made, read back, added to and dropped', async () => {
    await using db = await testDatabase(postgres.server, SHOP)
    await using session = await openSession(db.url)
    expect(await inspectPublication(session, 'Tail "race"')).toBeUndefined()
    await create(session, 'Tail "race"', 'orders,metrics')
    const made = await inspectPublication(session, 'Tail "race"')
    expect(made).toEqual({
      oid: expect.any(Number),
      name: 'Tail "race"',
      owner: 'postgres',
      allTables: false,
      insert: true,
      update: true,
      delete: true,
      truncate: true,
      viaRoot: true,
      generatedColumns: postgres.major >= 18 ? 'stored' : 'none',
      tables: [
        { oid: expect.any(Number), schema: 'public', name: 'metrics', rowFilter: undefined, columns: undefined },
        { oid: expect.any(Number), schema: 'public', name: 'orders', rowFilter: undefined, columns: undefined },
      ],
      schemas: [],
      serverVersion: session.serverVersion,
    })
    expect(await check(session, 'Tail "race"', 'orders,metrics')).toEqual([])
    await addTables(session, 'Tail "race"', await find(session, 'sales."Odd.Table"'))
    await addTables(session, 'Tail "race"', [])
    expect(await check(session, 'Tail "race"', 'orders,metrics,sales.*')).toEqual([])
    await dropPublication(session, 'Tail "race"')
    await dropPublication(session, 'Tail "race"')
    expect(await inspectPublication(session, 'Tail "race"')).toBeUndefined()
    await create(session, 'Tail "race"', '')
    expect((await inspectPublication(session, 'Tail "race"'))!.oid).not.toBe(made!.oid)
  })

  test('has a parent without its children, unless they are named', async () => {
    await using db = await testDatabase(postgres.server, SHOP)
    await using session = await openSession(db.url)
    await create(session, 'p', 'parent')
    expect((await inspectPublication(session, 'p'))!.tables.map(({ name }) => name)).toEqual(['parent'])
    expect((await check(session, 'p', 'parent,child')).map(({ sql }) => sql)).toEqual([
      'ALTER PUBLICATION p ADD TABLE public.child;',
    ])
  })

  test('for inserts alone lets a table without identity be updated', async () => {
    await using db = await testDatabase(postgres.server, 'CREATE TABLE log (line text); INSERT INTO log VALUES (1)')
    await using session = await openSession(db.url)
    await create(session, 'inserts_only', 'log', 'inserts')
    expect(await inspectPublication(session, 'inserts_only')).toMatchObject({
      insert: true,
      update: false,
      delete: false,
      truncate: true,
    })
    expect(await check(session, 'inserts_only', 'log', 'inserts')).toEqual([])
    await db.query('UPDATE log SET line = 2')
    // and this is what we keep from happening
    await create(session, 'everything', 'log')
    await expect(db.query('UPDATE log SET line = 3')).rejects.toThrow(/does not have a replica identity/)
    expect(await mend(db, session, 'everything', 'log')).toEqual(['replica identity missing'])
    await db.query('UPDATE log SET line = 3')
  })

  test('that somebody made otherwise is mended by the SQL of its findings', async () => {
    await using db = await testDatabase(postgres.server, SHOP)
    await using session = await openSession(db.url)
    await db.query(`CREATE PUBLICATION theirs FOR TABLE orders, metrics_1 WITH (publish = 'insert')`)
    expect(await mend(db, session, 'theirs', 'orders,metrics,sales.*,parent')).toEqual([
      'tables missing',
      'operations missing',
      'not via root',
    ])
  })

  test('of all tables has them all', async () => {
    await using db = await testDatabase(postgres.server, SHOP)
    await using session = await openSession(db.url)
    await db.query('CREATE PUBLICATION everything FOR ALL TABLES')
    expect(await inspectPublication(session, 'everything')).toMatchObject({ allTables: true, tables: [] })
    expect(await mend(db, session, 'everything', '*.*')).toEqual(['not via root'])
  })

  test.runIf(postgres.major >= 15)('with row filters, column lists or schemas says so, and is mended', async () => {
    await using db = await testDatabase(postgres.server, SHOP)
    await using session = await openSession(db.url)
    await db.query(
      // a column list and a schema exclude each other
      `CREATE PUBLICATION theirs FOR TABLE orders WHERE (id > 7), TABLE parent, TABLES IN SCHEMA public`,
    )
    const found = await inspectPublication(session, 'theirs')
    expect(found!.schemas).toEqual(['public'])
    expect(found!.tables.map(({ name, rowFilter }) => [name, rowFilter])).toContainEqual(['orders', '(id > 7)'])
    expect(await mend(db, session, 'theirs', 'orders')).toEqual(['row filter'])
    await db.query(`CREATE PUBLICATION lists FOR TABLE sales."Odd.Table" ("Total", id), ONLY parent (id)`)
    expect((await inspectPublication(session, 'lists'))!.tables.map(({ columns }) => columns)).toEqual([
      ['id'],
      ['id', 'Total'],
    ])
    expect(await mend(db, session, 'lists', 'parent,sales.*')).toEqual(['column list', 'column list'])
  })

  test('that the role may not make is refused with the SQL for one who may', async () => {
    await using db = await testDatabase(postgres.server, SHOP)
    const role = `${db.name}_writer`
    await db.query(`CREATE ROLE ${role} LOGIN; GRANT CREATE ON DATABASE ${db.name} TO ${role}`)
    {
      await using session = await openSession(urlAs(db.url, role))
      await expect(create(session, 'p', 'orders')).rejects.toMatchObject({
        code: 'PUBLICATION_DENIED',
        message: expect.stringContaining('must be owner of table orders'),
        hint: expect.stringContaining('CREATE PUBLICATION p FOR TABLE public.orders WITH'),
      })
    }
    await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  })

  describe('and generated columns', () => {
    test.runIf(postgres.major >= 18)('18 refuses the application’s updates unless they are published', async () => {
      await using db = await testDatabase(
        postgres.server,
        `CREATE TABLE whole (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
         ALTER TABLE whole REPLICA IDENTITY FULL; INSERT INTO whole VALUES (1, 1);
         CREATE TABLE half (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) VIRTUAL);
         ALTER TABLE half REPLICA IDENTITY FULL; INSERT INTO half VALUES (1, 1)`,
      )
      await using session = await openSession(db.url)
      await create(session, 'ours', 'whole')
      await db.query('UPDATE whole SET a = 2')
      expect(await check(session, 'ours', 'whole')).toEqual([])
      await db.query('CREATE PUBLICATION theirs FOR TABLE whole, half')
      await expect(db.query('UPDATE whole SET a = 3')).rejects.toThrow(/cannot update table "whole"/)
      await expect(db.query('UPDATE half SET a = 3')).rejects.toThrow(/cannot update table "half"/)
      expect(await mend(db, session, 'theirs', '*')).toEqual([
        'generated column unpublished',
        'generated column unpublished',
      ])
      await db.query('UPDATE whole SET a = 3; UPDATE half SET a = 3')
    })

    test.runIf(postgres.major < 18)('earlier majors accept them, and publish none', async () => {
      await using db = await testDatabase(
        postgres.server,
        `CREATE TABLE whole (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
         ALTER TABLE whole REPLICA IDENTITY FULL; INSERT INTO whole VALUES (1, 1)`,
      )
      await using session = await openSession(db.url)
      await create(session, 'ours', 'whole')
      expect(await check(session, 'ours', 'whole')).toEqual([])
      await db.query('UPDATE whole SET a = 2')
    })
  })

  test('a new partition does not inherit FULL, and its updates fail: what newPartitionsLackIdentity warns of', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TABLE events (id int) PARTITION BY RANGE (id); ALTER TABLE events REPLICA IDENTITY FULL`,
    )
    await using session = await openSession(db.url)
    const [events] = await find(session, 'events')
    await create(session, 'p', 'events')
    await db.query(
      'CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10); INSERT INTO events VALUES (1)',
    )
    await expect(db.query('UPDATE events SET id = 2')).rejects.toThrow(/"events_1".* does not have a replica identity/)
    const [now] = await describeTables(session, [events!.oid])
    expect(now!.partitions).toMatchObject([{ name: 'events_1', replicaIdentity: 'default' }])
    expect(await mend(db, session, 'p', 'events')).toEqual(['replica identity missing'])
    await db.query('UPDATE events SET id = 2')
  })
})
