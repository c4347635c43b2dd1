import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { Batch } from '../../../src/source/batch.js'
import type { SourceEvent } from '../../../src/source/events.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { openSession } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { requireTable } from '../../support/sourceCapture.js'
import { readSource, type SourceReader } from '../../support/sourceReader.js'
import { requireOrder } from '../../support/sourceReplay.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLES = `
  CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT id, 0 FROM generate_series(1, 100) id;
  CREATE TABLE u (id int PRIMARY KEY, n int); INSERT INTO u SELECT id, 0 FROM generate_series(1, 5000) id;
  CREATE SCHEMA s; CREATE TABLE s.v (id int PRIMARY KEY, n int); INSERT INTO s.v VALUES (1, 1)`

const published = async (db: TestDatabase) =>
  (await db.query<{ name: string }>('SELECT tablename AS name FROM pg_publication_tables ORDER BY 1')).map(
    ({ name }) => name,
  )

test.concurrent('a table is added while its rows change, and another taken out', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  await using reader = readSource({ url: db.url, tables: 't', slot: `s_${db.name}` })
  await reader.told('streaming')
  let over = false
  const writing = (async () => {
    for (let round = 0; !over; round++) {
      await db.query(`UPDATE u SET n = n + 1 WHERE id % 50 = ${round % 50}; UPDATE t SET n = n + 1 WHERE id = 1;
        DELETE FROM u WHERE id = ${1 + ((round * 7) % 5000)}; INSERT INTO u VALUES (${6000 + round}, 0)`)
    }
  })()
  expect(await reader.source.addTables('u')).toEqual(['public.u'])
  await reader.until(() => reader.events.filter(({ type }) => type === 'snapshot-finished').length === 2, {
    what: 'u to be read',
  })
  over = true
  await writing
  await db.query('INSERT INTO u VALUES (1000000, 1)')
  await reader.seen(({ table, key }) => table === 'u' && key?.id === 1_000_000, 'the last row')
  expect(reader.snapshotOf('u').length).toBeGreaterThan(4000)
  await requireTable(db, reader.records, 'u')
  requireOrder(reader.records)

  expect(await reader.source.removeTables('u')).toEqual(['public.u'])
  expect(await published(db)).toEqual(['t'])
  await db.query('UPDATE u SET n = -1 WHERE id = 1000000; UPDATE t SET n = -1 WHERE id = 2')
  await reader.seen(({ table, key, operation }) => table === 't' && operation === 'update' && key?.id === 2, 't')
  expect(reader.records.at(-1)!.table).toBe('t')
  expect(reader.changesOf('u').at(-1)).toMatchObject({ operation: 'create', key: { id: 1_000_000 } })
  await expect(reader.source.removeTables('u')).rejects.toMatchObject({ code: 'TABLE_NOT_CAPTURED' })
})

test.concurrent('what a transaction changed before its table was added, and commits afterwards, is not lost', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  await using reader = readSource({ url: db.url, tables: 't', slot: `s_${db.name}` })
  await reader.told('streaming')
  await using open = await openSession(db.url)
  await open.query('BEGIN')
  await open.query('UPDATE public.u SET n = 5 WHERE id <= 3')
  const adding = reader.source.addTables('u')
  adding.catch(() => {})
  // The server publishes from now on, and not what was changed before.
  await waitFor(async () => (await published(db)).includes('u'), { what: 'u to be published' })
  const waits = () => reader.events.some(({ type }) => type === 'waiting-for-transactions')
  await reader.until(() => waits() || reader.snapshotOf('u').length === 5000, { what: 'the wait for it' })
  await open.query('COMMIT')
  await adding
  await reader.until(() => reader.events.filter(({ type }) => type === 'snapshot-finished').length === 2, {
    what: 'u to be read',
  })
  await db.query('INSERT INTO u VALUES (1000000, 1)')
  await reader.seen(({ table, key }) => table === 'u' && key?.id === 1_000_000, 'the last row')
  await requireTable(db, reader.records, 'u')
})

test.concurrent('a table is read once more, whole and in part', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  await using reader = readSource({ url: db.url, tables: 't', slot: `s_${db.name}` })
  await reader.told('streaming')
  await reader.source.resnapshot('t')
  await reader.until(() => reader.snapshotOf('t').length === 200, { what: 'all rows again' })
  await reader.source.resnapshot('t', { where: 'id > 90' })
  await reader.until(() => reader.snapshotOf('t').length === 210, { what: 'some rows again' })
  expect(new Set(reader.snapshotOf('t').map(({ id }) => id)).size).toBe(210)
  requireOrder(reader.records)
  const bad = reader.source.resnapshot('t', { where: 'true) TO STDOUT; DROP TABLE t; --' })
  await expect(bad).rejects.toMatchObject({ code: 'WHERE_INVALID' })
  await expect(reader.source.resnapshot('u')).rejects.toMatchObject({ code: 'TABLE_NOT_CAPTURED' })
})

test.concurrent('a part that is read once more takes the place of no rows that are still to be read', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  await db.query('INSERT INTO u SELECT id, 0 FROM generate_series(5001, 100000) id')
  await using reader = readSource({ url: db.url, tables: 'u', slot: `s_${db.name}` })
  await reader.told('streaming')
  await reader.source.resnapshot('u')
  await reader.source.resnapshot('u', { where: 'id < 10' })
  const isOver = () => reader.events.filter(({ type }) => type === 'snapshot-finished').length >= 2
  await reader.until(isOver, { what: 'the rows', timeoutMs: 30_000 })
  const again = reader.snapshotOf('u').slice(100_000)
  expect(new Set(again.map(({ key }) => key!.id)).size).toBe(100_000)
})

test.concurrent('other tables at the next start: new ones are read, those left out leave the publication', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  const options = { url: db.url, slot: `s_${db.name}` }
  let position: object
  {
    await using reader = readSource({ ...options, tables: 't' })
    await reader.told('streaming')
    position = reader.batches.at(-1)!.position.toJSON()
  }
  await db.query('UPDATE u SET n = 1 WHERE id < 10; UPDATE t SET n = 1 WHERE id < 10')
  {
    await using reader = readSource({ ...options, tables: 't,u', position } as never)
    await reader.told('snapshot-finished')
    await db.query('UPDATE u SET n = 2 WHERE id < 5')
    await reader.until(() => reader.changesOf('u').length === 4, { what: 'changes of u' })
    expect(reader.snapshotOf('t')).toEqual([])
    expect(reader.changesOf('t')).toHaveLength(9)
    await requireTable(db, reader.records, 'u')
    position = reader.batches.at(-1)!.position.toJSON()
    expect(await published(db)).toEqual(['t', 'u'])
  }
  {
    await using reader = readSource({ ...options, tables: 't', position } as never)
    await reader.told('streaming')
    expect(await published(db)).toEqual(['t'])
    await reader.until(() => reader.batches.length > 0, { what: 'a position' })
    position = reader.batches.at(-1)!.position.toJSON()
  }
  await using reader = readSource({ ...options, tables: 't,u', position } as never)
  await reader.told('snapshot-finished')
  expect(reader.snapshotOf('u')).toHaveLength(5000)
})

test.concurrent('a pattern takes in a table that is made while the stream runs, and one made anew', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  await using reader = readSource({ url: db.url, tables: 's.*', slot: `s_${db.name}` })
  await reader.told('streaming')
  await db.query('CREATE TABLE s.w (id int PRIMARY KEY); INSERT INTO s.w VALUES (1), (2)')
  await reader.until(() => reader.snapshotOf('w').length === 2, { what: 'the new table', timeoutMs: 20_000 })
  await db.query('INSERT INTO s.w VALUES (3)')
  await reader.until(() => reader.changesOf('w').length === 1, { what: 'its change' })
  await db.query('DROP TABLE s.v; CREATE TABLE s.v (id int PRIMARY KEY); INSERT INTO s.v VALUES (7)')
  await waitFor(() => reader.snapshotOf('v').some(({ key }) => key!.id === 7), { what: 'v anew', timeoutMs: 20_000 })
})

test.concurrent('a slot that exists is taken over, and all rows are read', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  const slot = `s_${db.name}`
  // Before its publication, as some guides have it.
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot])
  await db.query('UPDATE t SET n = 1 WHERE id < 10')
  await using reader = readSource({ url: db.url, tables: 't', slot, existingSlot: 'snapshot' })
  await reader.told('snapshot-finished')
  await db.query('UPDATE t SET n = 2 WHERE id < 5')
  await reader.until(() => reader.changesOf('t').length === 4, { what: 'changes' })
  expect(reader.snapshotOf('t')).toHaveLength(100)
  await requireTable(db, reader.records, 't')
})

test.concurrent('a table that our publication lost is read again, also where the run that saw it is killed', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  const options = { url: db.url, slot: `s_${db.name}` }
  let position: object
  {
    await using reader = readSource({ ...options, tables: 't,u,s.v' })
    await reader.told('streaming')
    await reader.close()
    position = reader.batches.at(-1)!.position.toJSON()
  }
  // As a run does that is killed before it could record anything.
  await db.query('ALTER PUBLICATION tailrace DROP TABLE u')
  await db.query('UPDATE u SET n = 1 WHERE id < 10; DELETE FROM u WHERE id = 10; INSERT INTO u VALUES (6000, 0)')
  {
    let publishedAtFirst: string[] | undefined
    const onBatch = async () => {
      publishedAtFirst ??= await published(db)
    }
    const ack = (batch: Batch) => batch === reader.batches[0]
    await using reader: SourceReader = readSource({ ...options, tables: 't,u', position } as never, { onBatch, ack })
    await reader.told('snapshot-finished')
    await db.query('UPDATE u SET n = 2 WHERE id = 6000')
    await reader.until(() => reader.changesOf('u').length === 1, { what: 'a change of u' })
    await requireTable(db, reader.records, 'u')
    expect(reader.snapshotOf('t')).toEqual([])
    expect(await published(db)).toEqual(['t', 'u'])
    // Recorded before the publication was altered.
    expect(publishedAtFirst).toEqual(['t', 'v'])
    position = reader.batches[0]!.position.toJSON()
  }
  await using reader = readSource({ ...options, tables: 't,u', position } as never)
  await reader.told('snapshot-finished')
  await requireTable(db, reader.records, 'u')
})

test.concurrent('a removal is recorded before the publication is altered: killed at any moment, the next run goes on', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  const options = { url: db.url, tables: 't,u', slot: `s_${db.name}` }
  let [acking, position] = [true, {} as object]
  {
    const ack = (batch: Batch) => {
      if (acking) position = batch.position.toJSON()
      return acking
    }
    await using reader = readSource(options, { ack })
    await reader.told('streaming')
    acking = false
    // Killed while the removal waits.
    reader.source.removeTables('u').catch(() => {})
    await reader.until(() => capturedIn(reader.batches.at(-1)!).length === 1, { what: 'a position without u' })
    expect(await published(db)).toEqual(['t', 'u'])
  }
  await db.query('UPDATE u SET n = 1 WHERE id = 1')
  acking = true
  {
    // Killed right behind the removal: of what it acknowledged only the first is known.
    const ack = (batch: Batch) => {
      const takes = acking
      if (acking) position = batch.position.toJSON()
      if (capturedIn(batch).length === 1) acking = false
      return takes
    }
    await using reader = readSource({ ...options, position } as never, { ack })
    await reader.until(() => reader.changesOf('u').length === 1, { what: 'the change of u' })
    expect(await reader.source.removeTables('u')).toEqual(['public.u'])
    expect(await published(db)).toEqual(['t'])
  }
  await db.query('UPDATE u SET n = 2 WHERE id = 1')
  await using reader = readSource({ ...options, position } as never)
  await reader.told('snapshot-finished')
  await requireTable(db, reader.records, 'u')
})

test.concurrent('a run that is killed when a table left out has left the publication stops no later one', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  const options = { url: db.url, slot: `s_${db.name}` }
  let position: object
  {
    await using reader = readSource({ ...options, tables: 't,u' })
    await reader.told('streaming')
    await reader.close()
    position = reader.batches.at(-1)!.position.toJSON()
  }
  {
    const ack = (batch: Batch) => batch === reader.batches[0]
    await using reader: SourceReader = readSource({ ...options, tables: 't', position } as never, { ack })
    await reader.told('streaming')
    expect(await published(db)).toEqual(['t'])
    position = reader.batches[0]?.position.toJSON() ?? position
  }
  await db.query('UPDATE u SET n = 2 WHERE id = 1')
  await using reader = readSource({ ...options, tables: 't,u', position } as never)
  await reader.told('snapshot-finished')
  await requireTable(db, reader.records, 'u')
})

test.concurrent('a run that is killed between the record of a removal and its doing has the next one do it', async () => {
  await using db = await testDatabase(server, `${TABLES}; CREATE TABLE theirs (id int)`)
  db.expectSlots = true
  const options = { url: db.url, slot: `s_${db.name}` }
  let position: object
  {
    let acking = true
    await using reader = readSource({ ...options, tables: 't,u,s.v' }, { ack: () => acking })
    await reader.told('streaming')
    acking = false
    reader.source.removeTables('u').catch(() => {})
    await reader.until(() => capturedIn(reader.batches.at(-1)!).length === 2, { what: 'a position without u' })
    // Killed when this was recorded, and the publication not altered yet.
    position = reader.batches.at(-1)!.position.toJSON()
    await reader.close()
  }
  expect(await published(db)).toEqual(['t', 'u', 'v'])
  // Of that nobody of us knows.
  await db.query('ALTER PUBLICATION tailrace ADD TABLE theirs')
  {
    // And another one that is left out, by a run that is killed right behind the record of it.
    let first: Batch | undefined
    const onBatch = (batch: Batch) => {
      first ??= batch
      return new Promise((resolve) => setTimeout(resolve, 50))
    }
    await using reader = readSource({ ...options, tables: 't', position } as never, { onBatch, ack: false })
    await reader.until(() => first, { what: 'the record' })
    position = first!.position.toJSON()
    await reader.close()
  }
  expect(await published(db)).toEqual(['t', 'theirs', 'u', 'v'])
  await using reader = readSource({ ...options, tables: 't', position } as never)
  await reader.told('streaming')
  expect(await published(db)).toEqual(['t', 'theirs'])
  await db.query('UPDATE t SET n = 1 WHERE id = 1')
  const { position: now } = await reader.seen(({ operation }) => operation === 'update', 'a change of t')
  expect(now.leaving).toBeUndefined()
})

test.concurrent('a consumer that does not acknowledge keeps no table left out waiting: it leaves when he does', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  const options = { url: db.url, slot: `s_${db.name}` }
  let position: object
  {
    await using reader = readSource({ ...options, tables: 't,u' })
    await reader.told('streaming')
    await reader.close()
    position = reader.batches.at(-1)!.position.toJSON()
  }
  let acking = false
  await using reader = readSource({ ...options, tables: 't', position } as never, { ack: () => acking })
  await reader.told('streaming', 40_000)
  expect(await published(db)).toEqual(['t', 'u'])
  await db.query('UPDATE u SET n = 1 WHERE id = 1; UPDATE t SET n = 1 WHERE id = 1')
  const change = await reader.seen(({ table }) => table === 't', 'a change of t')
  expect(reader.changesOf('u')).toEqual([])
  expect(capturedIn(reader.batches.at(-1)!)).toHaveLength(1)
  expect(change.position.leaving).toHaveLength(1)
  acking = true
  await reader.until(async () => (await published(db)).length === 1, { what: 'u to leave' })
  await db.query('UPDATE t SET n = 2 WHERE id = 1')
  await reader.seen(({ after }) => after?.n === 2, 'a later change of t')
  expect(reader.records.at(-1)!.position.leaving).toBeUndefined()
})

test.concurrent('a consumer that does not acknowledge keeps a lost table from being added, and is told so', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  const options = { url: db.url, slot: `s_${db.name}`, tables: 't,u' }
  let position: object
  {
    await using reader = readSource({ ...options, tables: 't,u,s.v' })
    await reader.told('streaming')
    await reader.close()
    position = reader.batches.at(-1)!.position.toJSON()
  }
  await db.query('ALTER PUBLICATION tailrace DROP TABLE u')
  let acking = false
  await using reader = readSource({ ...options, position, stallMs: 3000 } as never, { ack: () => acking })
  const waits = (event: SourceEvent) => event.type === 'stalled' && event.waitingFor === 'acknowledgement'
  const told = () => reader.events.find(waits)
  expect(await reader.until(told, { what: 'why', timeoutMs: 20_000 })).toMatchObject({ side: 'consumer' })
  expect(await published(db)).toEqual(['t', 'v'])
  acking = true
  await reader.told('snapshot-finished')
  await requireTable(db, reader.records, 'u')
})

const capturedIn = ({ position }: Batch) => (position.toJSON() as unknown as { captured: number[] }).captured

test.concurrent('what somebody altered a moment before a removal still stops the run', async () => {
  await using db = await testDatabase(server, TABLES)
  await using reader = readSource({ url: db.url, tables: 't,u', publication: `p_${db.name}` })
  await reader.told('streaming')
  await db.query(`ALTER PUBLICATION p_${db.name} DROP TABLE t; ALTER PUBLICATION p_${db.name} ADD TABLE t`)
  await expect(reader.source.removeTables('u')).rejects.toMatchObject({ code: 'PUBLICATION_CHANGED' })
  await expect(reader.ended).rejects.toMatchObject({ code: 'PUBLICATION_CHANGED' })
})
