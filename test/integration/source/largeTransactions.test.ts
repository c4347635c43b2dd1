import { readdirSync } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { TestDatabase } from '../../support/database.js'
import { testDatabase } from '../../support/database.js'
import {
  BALLAST,
  isEnd,
  LARGE_TABLES,
  largeHistory,
  largeSource,
  plainRecords,
  streamed,
} from '../../support/largeTransactions.js'
import { readSource, type SourceReader } from '../../support/sourceReader.js'
import { requireOrder } from '../../support/sourceReplay.js'
import { confirmedLsn } from '../../support/sourceSlots.js'
import { TcpProxy } from '../../support/tcpProxy.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { describeDefaultMajor, describeEachMajor, type MajorContext } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

const database = (postgres: MajorContext) =>
  testDatabase(postgres.server, `${LARGE_TABLES}; CREATE PUBLICATION p FOR TABLE t, u, ballast`)

const warningsOf = ({ events }: SourceReader) =>
  events.flatMap((event) => (event.type === 'warning' ? [event.code] : []))

/** Every row of `ballast`, once, after a last row of `u`. */
async function requireAll(db: TestDatabase, reader: SourceReader): Promise<void> {
  await db.query('INSERT INTO u VALUES (0, 0)')
  await reader.seen(isEnd, 'the last row')
  const rows = await db.query<{ n: number }>('SELECT n FROM ballast ORDER BY n')
  const created = reader.changesOf('ballast').filter(({ operation }) => operation === 'create')
  expect(created.map(({ key }) => key!.n)).toEqual(rows.map(({ n }) => n))
  requireOrder(reader.records)
}

describeEachMajor('large transactions', (postgres) => {
  test('the same records come, streamed or not, and from any position the rest', async () => {
    await using folder = await temporaryFolder()
    await using db = await database(postgres)
    const spool = { spoolFolder: folder.path, spoolMemoryBytes: 0 }
    const on = await largeSource(db, `on_${db.name}`, { messages: 'kept', ...spool })
    const off = await largeSource(db, `off_${db.name}`, { messages: 'kept', streaming: 'off' })
    await using streaming = readSource(on, { ack: false })
    await streaming.told('streaming')
    await largeHistory(db, on.slot!)
    await streaming.seen(isEnd, 'the last row')
    expect(warningsOf(streaming)).toEqual([])
    requireOrder(streaming.records)
    await using plain = readSource(off)
    await plain.seen(isEnd, 'the last row')
    const whole = plainRecords(streaming)
    expect(whole).toEqual(plainRecords(plain))
    await streaming.close()
    expect(readdirSync(folder.path)).toEqual([])
    const some = streaming.records.flatMap((_, index) => (index % 1500 === 700 ? [index] : []))
    expect(some.length).toBeGreaterThan(4)
    for (const [turn, index] of some.entries()) {
      const { position } = streaming.records[index]!
      await using next = readSource({ ...on, position, streaming: turn % 2 === 0 ? 'on' : 'off' }, { ack: false })
      await next.seen(isEnd, 'the last row')
      expect(plainRecords(next)).toEqual(whole.slice(index + 1))
    }
  })

  test('DDL that the server cannot stream is read without streaming', async () => {
    await using db = await database(postgres)
    const options = await largeSource(db, `b5_${db.name}`)
    await using reader = readSource(options)
    await reader.told('streaming')
    await db.query(`
      BEGIN; SAVEPOINT s; ALTER TABLE ballast ADD a int; ${BALLAST}; ROLLBACK TO s; ${BALLAST};
      ALTER TABLE ballast ADD b int; ${BALLAST}; COMMIT`)
    await requireAll(db, reader)
    expect(warningsOf(reader)).toEqual(['STREAMING_GIVEN_UP'])
  })

  // PostgreSQL 18 throws away what it knows to be rolled back, and tells of the subtransaction that it had read.
  test('one that was rolled back before it was read is nothing, its subtransactions too', async () => {
    await using db = await database(postgres)
    const options = await largeSource(db, `before_${db.name}`)
    await db.query(`BEGIN; INSERT INTO u VALUES (1, 1); SAVEPOINT s; ${BALLAST}; ${BALLAST}; ROLLBACK; ${BALLAST}`)
    await using reader = readSource(options)
    await requireAll(db, reader)
    expect(warningsOf(reader)).toEqual([])
  })
})

describeDefaultMajor('what happens while a large transaction is spooled', (postgres) => {
  test('idle WAL is confirmed, and what is open then still comes whole', async () => {
    await using db = await database(postgres)
    const options = await largeSource(db, `idle_${db.name}`)
    const writer = await db.connect()
    {
      await using reader = readSource(options)
      await reader.told('streaming')
      await streamed(db, options.slot!, () => writer.query(`BEGIN; ${BALLAST}`))
      const [now] = await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
      const passed = async () => {
        const lsn = await confirmedLsn(db, options.slot!)
        const [row] = await db.query<{ passed: boolean }>('SELECT $1::pg_lsn >= $2 AS passed', [lsn, now!.lsn])
        return row!.passed
      }
      await waitFor(passed, { what: 'the open transaction to be passed', timeoutMs: 20_000 })
    }
    await writer.query(`${BALLAST}; COMMIT`)
    await using again = readSource(options)
    await requireAll(db, again)
  })

  test.each([0, 1 << 24])('a cut connection brings it again (%i bytes of memory)', async (spoolMemoryBytes) => {
    await using folder = await temporaryFolder()
    await using db = await database(postgres)
    await using proxy = await TcpProxy.to(postgres.server.port)
    const spool = { spoolFolder: folder.path, spoolMemoryBytes, maxBytes: 64 * 1024 }
    const options = { ...(await largeSource(db, `cut_${db.name}`, spool)), url: proxy.url(db.url) }
    let cuts = 0
    const cutAgain = (reader: SourceReader) => async () => {
      if (reader.records.length > 1500 * cuts && cuts++ < 3) proxy.cut()
    }
    const reader: SourceReader = readSource(options, { onBatch: () => cutAgain(reader)() })
    await using _ = reader
    await reader.told('streaming')
    const writer = await db.connect()
    await streamed(db, options.slot!, () => writer.query(`BEGIN; ${BALLAST}; ${BALLAST}`))
    proxy.cut()
    await reader.told('reconnecting')
    await writer.query(`${BALLAST}; ${BALLAST}; ${BALLAST}; COMMIT`)
    await requireAll(db, reader)
    expect(cuts).toBeGreaterThan(2)
    expect(warningsOf(reader)).toEqual([])
  })

  test.each([
    ['is full', 'SPOOL_FULL', { spoolMaxBytes: 1 << 20 }],
    ['cannot be written', 'SPOOL_FAILED', { spoolFolder: '/nowhere' }],
  ] as const)('a spool that %s is done without', async (_, code, spool) => {
    await using db = await database(postgres)
    const options = await largeSource(db, `full_${db.name}`, { spoolMemoryBytes: 0, ...spool })
    await using reader = readSource(options)
    await reader.told('streaming')
    await db.query(`INSERT INTO ballast (filler)
      SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 240000) i GROUP BY i % 20000`)
    await requireAll(db, reader)
    expect(warningsOf(reader)).toEqual([code])
  })

  test('where the server refuses the memory it is asked for, the stream goes on with what it has', async () => {
    await using db = await database(postgres)
    const options = await largeSource(db, `mem_${db.name}`, { logicalDecodingWorkMem: '1kB' })
    await using reader = readSource(options)
    await reader.told('streaming')
    await db.query(BALLAST)
    await requireAll(db, reader)
    expect(warningsOf(reader)).toEqual(['WORK_MEM_REFUSED'])
  })

  test('a damaged spool file is noticed, and nothing of it handed on', async () => {
    await using folder = await temporaryFolder()
    await using db = await database(postgres)
    const options = await largeSource(db, `bad_${db.name}`, { spoolFolder: folder.path, spoolMemoryBytes: 0 })
    await using reader = readSource(options)
    await reader.told('streaming')
    const writer = await db.connect()
    await streamed(db, options.slot!, () => writer.query(`BEGIN; ${BALLAST}; ${BALLAST}`))
    await damage(await waitFor(() => spoolFile(folder.path), { what: 'a spool file' }))
    await writer.query('COMMIT')
    await requireAll(db, reader)
    expect(warningsOf(reader)).toEqual(['SPOOL_DAMAGED'])
  })
})

/** The one that has something in it. */
async function spoolFile(parent: string): Promise<string | undefined> {
  for (const folder of await readdir(parent)) {
    expect((await stat(join(parent, folder))).mode & 0o777).toBe(0o700)
    for (const name of await readdir(join(parent, folder))) {
      const path = join(parent, folder, name)
      const { size, mode } = await stat(path)
      expect(mode & 0o777).toBe(0o600)
      if (size > 0) return path
    }
  }
  return undefined
}

async function damage(path: string): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(Buffer.from([0xff, 0xff, 0xff]), 0, 3, 20)
  await file.close()
}
