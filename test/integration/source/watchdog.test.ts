import { describe, expect, test } from 'vitest'
import { deferred } from '../../../src/core/deferred.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { readSource, type SourceReader } from '../../support/sourceReader.js'
import { TcpProxy } from '../../support/tcpProxy.js'
import { describeEachMajor } from '../../support/versions.js'

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY)'
const STALL_MS = 1000

function watched(db: TestDatabase) {
  return { url: db.url, tables: 't', snapshot: 'never', stallMs: STALL_MS } as const
}

function count(reader: SourceReader, type: SourceReader['events'][number]['type']): number {
  return reader.events.filter((event) => event.type === type).length
}

/** So many looks at the slot after this one: the watch had its chances. */
async function looks(reader: SourceReader, more: number): Promise<void> {
  const until = count(reader, 'wal-retention') + more
  await reader.until(() => count(reader, 'wal-retention') >= until, { what: `${more} looks`, timeoutMs: 30_000 })
}

/** Longer than `STALL_MS`, by looks that come three times in it. */
const LONG = 10

describeEachMajor('a run that stands still', (postgres) => {
  test.concurrent('has nothing to do on an idle server, nor while others write: that is told to nobody', async ({
    expect,
  }) => {
    await using db = await testDatabase(postgres.server, `${TABLE}; CREATE TABLE other (id int)`)
    await using reader = readSource(watched(db))
    await reader.told('streaming')
    await looks(reader, LONG)
    for (let round = 0; round < LONG; round++) {
      await db.query('INSERT INTO other SELECT generate_series(1, 1000)')
      await looks(reader, 1)
    }
    await db.query('INSERT INTO t VALUES (1)')
    await reader.seen(({ key }) => key!.id === 1, 'the row')
    await looks(reader, LONG)
    expect(reader.events.filter(({ type }) => type === 'stalled')).toEqual([])
  })

  test.concurrent('waits for the consumer that has a batch, until it comes again', async ({ expect }) => {
    await using db = await testDatabase(postgres.server, TABLE)
    const awake = deferred()
    await using reader = readSource(watched(db), { onBatch: async ({ length }) => length > 0 && awake.promise })
    await reader.told('streaming')
    await db.query('INSERT INTO t VALUES (1), (2)')
    const event = await reader.told('stalled')
    expect(event).toMatchObject({ side: 'consumer', waitingFor: 'consumer' })
    expect(event.problem).toMatch(
      /^the consumer has had a batch of \d records? for 1.* s and not asked for the next one$/,
    )
    await looks(reader, LONG)
    expect(count(reader, 'stalled')).toBe(1)
    awake.resolve()
    expect(await reader.told('stall-ended')).toMatchObject({ side: 'consumer' })
  })

  test.concurrent('waits for an acknowledgement that does not come, until it comes', async ({ expect }) => {
    await using db = await testDatabase(postgres.server, TABLE)
    await using reader = readSource(watched(db), { ack: false })
    await reader.told('streaming')
    await db.query('INSERT INTO t VALUES (1)')
    const event = await reader.told('stalled')
    expect(event).toMatchObject({ side: 'consumer', waitingFor: 'acknowledgement' })
    expect(event.problem).toMatch(
      /^everything was handed out, and nothing acknowledged for .*; the slot holds .* of WAL$/,
    )
    expect(count(reader, 'stall-ended')).toBe(0)
    await reader.batches.at(-1)!.ack()
    expect(await reader.told('stall-ended')).toMatchObject({ side: 'consumer' })
  })

  test.concurrent('waits for the network that swallows what the server has sent', async ({ expect }) => {
    await using db = await testDatabase(postgres.server, TABLE)
    db.expectSlots = true
    await using proxy = await TcpProxy.to(postgres.server.port)
    const slot = `w_${db.name}`
    await using reader = readSource({ ...watched(db), slot, replicationUrl: proxy.url(db.url) })
    await reader.told('streaming')
    proxy.swallow()
    await db.query('INSERT INTO t VALUES (1)')
    const event = await reader.told('stalled')
    expect(event).toMatchObject({ side: 'network', waitingFor: 'wal' })
    expect(event.problem).toMatch(
      /^the server has sent what it has \(it has sent up to .*, we have .*\), and nothing arrived/,
    )
    proxy.heal()
    proxy.cutSwallowed()
    await reader.seen(({ key }) => key!.id === 1, 'the row')
    expect(await reader.told('stall-ended')).toMatchObject({ side: 'network' })
  })

  test.concurrent('waits for a server of which nothing is heard at all', async ({ expect }) => {
    await using db = await testDatabase(postgres.server, TABLE)
    db.expectSlots = true
    await using proxy = await TcpProxy.to(postgres.server.port)
    await using reader = readSource({ ...watched(db), slot: `w_${db.name}`, url: proxy.url(db.url) })
    await reader.told('streaming')
    await looks(reader, 1)
    proxy.swallow()
    const event = await reader.told('stalled')
    expect(event).toMatchObject({ side: 'network', waitingFor: 'wal' })
    expect(event.problem).toMatch(/^the server has not answered anything for/)
    proxy.heal()
    proxy.cutSwallowed()
    await reader.told('stall-ended')
    await db.query('INSERT INTO t VALUES (1)')
    await reader.seen(({ key }) => key!.id === 1, 'the row')
  })

  test.concurrent('waits for whoever has locked a table that the snapshot is to read', async ({ expect }) => {
    await using db = await testDatabase(postgres.server, `${TABLE}; INSERT INTO t VALUES (1)`)
    const migration = await db.connect({ application_name: 'migration' })
    await migration.query('BEGIN; LOCK t IN ACCESS EXCLUSIVE MODE')
    await using reader = readSource({ ...watched(db), snapshot: 'initial' })
    const event = await reader.told('stalled')
    expect(event).toMatchObject({ side: 'server', waitingFor: 'start' })
    expect(event.problem).toMatch(/migration/)
    expect(event.problem).toMatch(/on public\.t/)
    await migration.query('COMMIT')
    await reader.told('stall-ended')
    await reader.seen(({ operation }) => operation === 'snapshot', 'the row')
  })

  test.concurrent('waits for whoever has locked a table that is read beside the stream', async ({ expect }) => {
    await using db = await testDatabase(postgres.server, `${TABLE}; INSERT INTO t VALUES (1)`)
    const migration = await db.connect({ application_name: 'migration' })
    await using reader = readSource(watched(db))
    await reader.told('streaming')
    await migration.query('BEGIN; LOCK t IN ACCESS EXCLUSIVE MODE')
    await reader.source.resnapshot('t')
    const event = await reader.told('stalled')
    expect(event).toMatchObject({ side: 'server', waitingFor: 'snapshot' })
    expect(event.problem).toMatch(/migration/)
    expect(event.problem).toMatch(/on public\.t/)
    await migration.query('COMMIT')
    await reader.seen(({ operation }) => operation === 'snapshot', 'the row')
    await reader.told('stall-ended')
  })

  test.concurrent('waits for the network in the middle of a snapshot', async ({ expect }) => {
    await using db = await testDatabase(
      postgres.server,
      "CREATE TABLE t (id int PRIMARY KEY, fill text); INSERT INTO t SELECT id, repeat('x', 500) FROM generate_series(1, 20000) id",
    )
    await using proxy = await TcpProxy.to(postgres.server.port)
    const options = { ...watched(db), url: proxy.url(db.url), snapshot: 'initial', maxBytes: 65536 } as const
    const onBatch = async ({ length }: { readonly length: number }) => length > 0 && proxy.swallow()
    await using reader = readSource(options, { onBatch })
    const event = await reader.told('stalled')
    expect(event).toMatchObject({ side: 'network', waitingFor: 'snapshot' })
    proxy.cut()
  })
})

describe('a walsender that waits for a lock', () => {
  test('is told with who has it', async () => {
    await using server = await startServer()
    await using db = await testDatabase(server, TABLE)
    await using reader = readSource(watched(db))
    await reader.told('streaming')
    await looks(reader, 2)
    const admin = await db.connect({ application_name: 'maintenance' })
    // What it reads when it meets a table for the first time.
    await admin.query('BEGIN; LOCK pg_publication IN ACCESS EXCLUSIVE MODE')
    await db.query('INSERT INTO t VALUES (1)')
    const event = await reader.told('stalled')
    expect(event).toMatchObject({ side: 'server', waitingFor: 'wal' })
    expect(event.problem).toMatch(
      /^process \d+ waits for AccessShareLock on pg_catalog\.pg_publication that is held up by pid \d+ \(maintenance, idle in transaction for .*\)$/,
    )
    await admin.query('COMMIT')
    await reader.seen(({ key }) => key!.id === 1, 'the row')
    await reader.told('stall-ended')
  })
})
