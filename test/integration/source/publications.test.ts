import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { inspectPublication } from '../../../src/postgres/publication.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { openSession } from '../../support/openSession.js'
import { DEFAULT_MAJOR, startServer } from '../../support/servers.js'
import { capture } from '../../support/sourceCapture.js'
import { readSource } from '../../support/sourceReader.js'
import { publicationsOf } from '../../support/sourceSlots.js'

/** Row filters and column lists came with 15. */
const FROM_15 = { skip: DEFAULT_MAJOR < 15 }

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLES = `
  CREATE TABLE t (id int PRIMARY KEY, n int, secret text);
  CREATE TABLE u (id int PRIMARY KEY);
  CREATE TABLE keyless (n int);`
const ROWS = "INSERT INTO t VALUES (1, 1, 'hidden'), (2, 20, 'hidden'), (3, 3, 'hidden')"

async function publication(db: TestDatabase, name: string) {
  await using session = await openSession(db.url)
  return await inspectPublication(session, name)
}

describe('a publication that somebody made', () => {
  test.concurrent('its row filter holds for the snapshot too', FROM_15, async () => {
    await using db = await testDatabase(server, `${TABLES} ALTER TABLE t REPLICA IDENTITY FULL; ${ROWS}`)
    await db.query(
      'CREATE TABLE capture_marker (n serial PRIMARY KEY); CREATE PUBLICATION part FOR TABLE t WHERE (n < 10), capture_marker',
    )
    const reader = await capture(db, { tables: 't', publication: 'part' }, () =>
      db.query(
        'INSERT INTO t VALUES (4, 4), (50, 50); UPDATE t SET n = 30 WHERE id = 3; UPDATE t SET n = 2 WHERE id = 2',
      ),
    )
    // The server makes a delete of a row that leaves the filter, and an insert of one that enters it.
    expect(
      reader.records.filter(({ table }) => table === 't').map(({ operation, key }) => [operation, key!.id]),
    ).toEqual([
      ['snapshot', 1],
      ['snapshot', 3],
      ['create', 4],
      ['delete', 3],
      ['create', 2],
    ])
  })

  test.concurrent('its column list holds for the snapshot too', FROM_15, async () => {
    await using db = await testDatabase(server, `${TABLES} ${ROWS}`)
    await db.query(
      'CREATE TABLE capture_marker (n serial PRIMARY KEY); CREATE PUBLICATION part FOR TABLE t (id, n), capture_marker',
    )
    const reader = await capture(db, { tables: 't', publication: 'part' }, () =>
      db.query('UPDATE t SET n = 7 WHERE id = 1'),
    )
    const rows = reader.records.filter(({ table }) => table === 't').map(({ after }) => after)
    expect(rows).toEqual([
      { id: 1, n: 1 },
      { id: 2, n: 20 },
      { id: 3, n: 3 },
      { id: 1, n: 7 },
    ])
  })

  test.concurrent.each([
    ['lacks a table', 'FOR TABLE t', /it lacks public\.u.*ALTER PUBLICATION own ADD TABLE/s],
    [
      'lacks operations',
      "FOR TABLE t, u WITH (publish = 'insert')",
      /does not publish update, delete, truncate.*ALTER PUBLICATION own SET/s,
    ],
  ])('that %s is answered with the SQL, and altered only on request', async (_, made, problem) => {
    await using db = await testDatabase(server, `${TABLES} CREATE PUBLICATION own ${made}`)
    const before = await publication(db, 'own')
    const options = { url: db.url, tables: 't,u', publication: 'own' }
    const reader = readSource(options)
    const error = await reader.ended.then(
      () => undefined,
      (error) => error,
    )
    expect(error).toMatchObject({ code: 'PUBLICATION_UNFIT' })
    expect(`${error.message}\n${error.hint}`).toMatch(problem)
    expect(await publication(db, 'own')).toEqual(before)

    await using managing = readSource({ ...options, managePublication: true })
    await managing.told('streaming')
    await db.query('INSERT INTO u VALUES (1); DELETE FROM u')
    await managing.seen(({ operation }) => operation === 'delete', 'the delete')
    await managing.close()
    expect(await publicationsOf(db)).toEqual(['own'])
  })

  test.concurrent('of all tables is used as it is', async () => {
    await using db = await testDatabase(
      server,
      `${TABLES.replace('CREATE TABLE keyless (n int);', '')} CREATE PUBLICATION everything FOR ALL TABLES WITH (publish_via_partition_root)`,
    )
    const reader = await capture(db, { tables: 't', publication: 'everything' }, () =>
      db.query('INSERT INTO u VALUES (1); INSERT INTO t VALUES (1)'),
    )
    expect(reader.records.filter(({ table }) => table !== 'capture_marker').map(({ table }) => table)).toEqual(['t'])
  })
})

describe('a publication of ours', () => {
  test.concurrent('has the tables and no others, and those without a key in one of inserts beside it', async () => {
    await using db = await testDatabase(server, TABLES)
    db.expectSlots = true
    await using reader = readSource({
      url: db.url,
      tables: 't,keyless',
      slot: `p_${db.name}`,
      publication: 'Mine',
      keyless: 'inserts',
    })
    await reader.told('streaming')
    const [mine, inserts] = [await publication(db, 'Mine'), await publication(db, 'Mine_inserts')]
    expect(mine).toMatchObject({
      allTables: false,
      schemas: [],
      viaRoot: true,
      insert: true,
      update: true,
      delete: true,
      truncate: true,
    })
    expect(mine!.tables.map(({ name, rowFilter, columns }) => [name, rowFilter, columns])).toEqual([
      ['t', undefined, undefined],
    ])
    expect(inserts).toMatchObject({ insert: true, update: false, delete: false, truncate: true })
    expect(inserts!.tables.map(({ name }) => name)).toEqual(['keyless'])
    await db.query('INSERT INTO keyless VALUES (1); UPDATE keyless SET n = 2; DELETE FROM keyless')
  })

  test.concurrent('never makes the application fail, also of columns that were chosen', async () => {
    await using db = await testDatabase(server, `${TABLES} ${ROWS}`)
    await using reader = readSource({ url: db.url, tables: 't', columns: ['t:n'] })
    await reader.told('streaming')
    await db.query('ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET n = 0; DELETE FROM t')
  })

  test.concurrent('that is gone is not made anew for a position: what changed meanwhile is nowhere', async ({
    expect,
  }) => {
    await using db = await testDatabase(server, `${TABLES} ${ROWS}`)
    db.expectSlots = true
    const options = { url: db.url, tables: 't', slot: `p_${db.name}` }
    await using first = readSource(options)
    await first.told('streaming')
    await first.close()
    await db.query('DROP PUBLICATION tailrace; DELETE FROM t')
    await using next = readSource({ ...options, position: first.batches.at(-1)!.position })
    await expect(next.ended).rejects.toMatchObject({ code: 'PUBLICATION_MISSING' })
    expect(await publicationsOf(db)).toEqual([])
  })

  test.concurrent('made for a slot that exists waits for the transactions that run, whose changes it would lack', async () => {
    await using db = await testDatabase(server, TABLES)
    db.expectSlots = true
    const slot = `p_${db.name}`
    await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot])
    const open = await db.connect()
    await open.query('BEGIN; INSERT INTO t VALUES (1)')
    await using reader = readSource({ url: db.url, tables: 't', slot, existingSlot: 'resume', snapshot: 'never' })
    const { holders } = await reader.told('waiting-for-transactions')
    expect(holders).toHaveLength(1)
    await open.query('INSERT INTO t VALUES (2); COMMIT')
    await reader.told('streaming')
    await db.query('INSERT INTO t VALUES (3)')
    await reader.seen(({ key }) => key!.id === 3, 'the row')
    expect(reader.records.map(({ key }) => key!.id)).toEqual([3])
  })
})
