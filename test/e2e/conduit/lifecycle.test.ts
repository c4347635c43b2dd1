import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { SourcePluginService } from '../../../src/homes/conduit/proto/connector/v2/source.js'
import { launch } from '../../support/conduit/conduitHost.js'
import { Pipeline } from '../../support/conduit/pipeline.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

async function database(): Promise<TestDatabase> {
  const db = await testDatabase(server, 'CREATE TABLE orders (id int PRIMARY KEY)')
  db.expectSlots = true
  return db
}

function settings(db: TestDatabase, others: Record<string, string> = {}): Record<string, string> {
  return { url: db.url, tables: 'orders', 'logrepl.slotName': db.name, 'logrepl.publicationName': 'shop', ...others }
}

async function left(db: TestDatabase): Promise<{ slots: number; publications: string[] }> {
  const slots = await db.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [db.name])
  const publications = await db.query<{ pubname: string }>('SELECT pubname FROM pg_publication ORDER BY 1')
  return { slots: slots.length, publications: publications.map(({ pubname }) => pubname) }
}

/** In a process of its own, without Configure, as Conduit does it. */
async function deleted(config: Record<string, string>, connectorId?: string): Promise<readonly string[]> {
  await using host = await launch({ ...(connectorId && { connectorId }) })
  await host.call(SourcePluginService.lifecycleOnDeleted, { config })
  await host.teardown()
  expect(await host.kill()).toMatchObject({ killed: false })
  return host.logs.map(({ message }) => message)
}

async function ran(db: TestDatabase, others: Record<string, string> = {}): Promise<void> {
  await using pipeline = new Pipeline(settings(db, others))
  await pipeline.start()
  await pipeline.host.says('streaming from')
  await pipeline.stop()
}

describe('a connector that is deleted', () => {
  test('leaves neither slot nor publication, also when it is deleted once more', async () => {
    await using db = await database()
    await ran(db)
    const [publication] = await db.query(
      "SELECT obj_description(oid, 'pg_publication') AS comment FROM pg_publication WHERE pubname = 'shop'",
    )
    expect(publication!.comment).toBe(`Made by tailrace for slot ${db.name}, Conduit connector pipeline:connector`)
    await deleted(settings(db))
    expect(await left(db)).toEqual({ slots: 0, publications: [] })
    await deleted(settings(db))
  })

  test('leaves both when it is told to', async () => {
    await using db = await database()
    await ran(db)
    await deleted(settings(db, { 'logrepl.autoCleanup': 'false' }))
    expect(await left(db)).toEqual({ slots: 1, publications: ['shop'] })
  })

  test('leaves what others made, and says how to drop the slot', async () => {
    await using db = await database()
    await db.query('CREATE PUBLICATION shop FOR TABLE orders WITH (publish_via_partition_root = true)')
    await ran(db)
    const said = await deleted(settings(db))
    expect(said).toContainEqual(expect.stringContaining(`SELECT pg_drop_replication_slot('${db.name}')`))
    expect(await left(db)).toEqual({ slots: 1, publications: ['shop'] })
  })

  test('leaves what another connector made', async () => {
    await using db = await database()
    await ran(db)
    await deleted(settings(db), 'another:connector')
    expect(await left(db)).toEqual({ slots: 1, publications: ['shop'] })
  })

  test('ends whoever reads its slot', async () => {
    await using db = await database()
    await using pipeline = new Pipeline(settings(db))
    await pipeline.start()
    await pipeline.host.says('streaming from')
    await deleted(settings(db))
    expect(await left(db)).toEqual({ slots: 0, publications: [] })
    expect(await pipeline.stream.fails()).toMatch(/^(SLOT_MISSING|PUBLICATION_\w+): /)
  })

  test('takes the older names of its settings, with blanks around them', async () => {
    await using db = await database()
    await ran(db)
    await deleted({ ' url ': ` ${db.url} `, table: 'orders', slot_name: db.name, publication_name: 'shop' })
    expect(await left(db)).toEqual({ slots: 0, publications: [] })
  })
})

test('created and updated need nothing: what there is, is gone on with', async () => {
  await using host = await launch()
  await host.call(SourcePluginService.lifecycleOnCreated, { config: { url: 'x' } })
  await host.call(SourcePluginService.lifecycleOnUpdated, { configBefore: {}, configAfter: { url: 'x' } })
  await host.teardown()
})

describe('Configure', () => {
  test('checks settings without a server, as Conduit has them validated', async () => {
    await using host = await launch({ connectorId: 'validate-source-config' })
    const good = { url: 'postgres://nobody@127.0.0.1:1/none', tables: 'orders' }
    await host.configure(good)
    await expect(
      host.configure({ ...good, tabels: 'x', 'sdk.batch.size': '-1', snapshotMode: 'once' }),
    ).rejects.toThrow(
      /"tabels": there is no such setting; did you mean "tables"\?.*"snapshotMode" is "once": it is one of initial, never.*"sdk.batch.size" is "-1"/,
    )
    await expect(host.configure({ ...good, tables: 'a.b.c.d' })).rejects.toThrow('TABLE_PATTERN_INVALID')
    await host.teardown()
  })

  test('never prints a password', async () => {
    await using host = await launch({ logLevel: 'trace' })
    const url = 'postgres://app:s3cret@127.0.0.1:1/none?sslmode=nonsense'
    const error = await host.configure({ url, tables: 'orders' }).catch((error: Error) => error.message)
    expect(error).toContain('sslmode')
    await host.configure({ url: url.replace('?sslmode=nonsense', ''), tables: 'orders' })
    const refused = await host.open().catch((error: Error) => error.message)
    expect(refused).toMatch(/^CONNECTION_/)
    await host.kill()
    expect(`${error} ${refused} ${JSON.stringify(host.logs)}`).not.toContain('s3cret')
  })
})

test('Open says what keeps it from beginning', async () => {
  await using db = await database()
  await using host = await launch()
  await host.configure(settings(db, { tables: 'ordrs' }))
  await expect(host.open()).rejects.toThrow(/^TABLE_NOT_FOUND: .*orders/)
  await host.teardown()
  await using other = await launch()
  await other.configure(settings(db))
  await expect(other.open(Buffer.from('of nobody'))).rejects.toThrow(/^POSITION_INVALID: /)
  await other.teardown()
})
