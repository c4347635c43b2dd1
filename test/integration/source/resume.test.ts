import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { PositionJson } from '../../../src/core/record.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { openSession } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { readSource, type SourceRecord } from '../../support/sourceReader.js'
import { requireOrder } from '../../support/sourceReplay.js'
import { confirmedLsn, slotsOf } from '../../support/sourceSlots.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, note text)'

function fromNow(db: TestDatabase) {
  return { url: db.url, tables: 't', slot: `r_${db.name}`, snapshot: 'never', existingSlot: 'resume' } as const
}

function ids(records: readonly SourceRecord[]): unknown[] {
  return records.map(({ key }) => key!.id)
}

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, n) => first + n)

/** A permanent slot that stands before everything that `sql` does. */
async function afterSlot(db: TestDatabase, sql: string): Promise<void> {
  db.expectSlots = true
  await using reader = readSource(fromNow(db))
  await reader.told('streaming')
  await reader.close()
  await db.query(sql)
}

test.concurrent('a transaction far larger than maxBytes is resumed from any of its batches', async () => {
  await using db = await testDatabase(server, TABLE)
  await afterSlot(
    db,
    `BEGIN; INSERT INTO t SELECT id, repeat('x', 100) FROM generate_series(1, 30000) id; COMMIT; INSERT INTO t VALUES (30001)`,
  )
  const options = { ...fromNow(db), maxBytes: 65536 }
  let positions: PositionJson[]
  {
    await using reader = readSource(options, { ack: false })
    await reader.seen(({ key }) => key!.id === 30_001, 'the last row')
    expect(ids(reader.records)).toEqual(upTo(30_001))
    positions = reader.batches.map(({ position }) => position.toJSON())
  }
  const inside = positions.filter((position) => position.end === undefined && Number(position.seq) < 29_000)
  expect(inside.length).toBeGreaterThan(10)
  for (const position of [inside[0]!, inside[Math.floor(inside.length / 2)]!, inside.at(-1)!]) {
    await using resumed = readSource({ ...options, position }, { ack: false })
    await resumed.seen(({ key }) => key!.id === 30_001, 'the last row')
    expect(ids(resumed.records)).toEqual(upTo(30_001, Number(position.seq) + 2))
  }
})

test.concurrent('a consumer that stops at any batch, and stores what it acknowledges, sees every record once', async () => {
  await using db = await testDatabase(server, TABLE)
  const transactions = Array.from({ length: 40 }, (_, n) => {
    const first = n * 100 + 1
    return `BEGIN; INSERT INTO t SELECT id, repeat('x', 50) FROM generate_series(${first}, ${first + (n % 7) * 15}) id; COMMIT;`
  })
  await afterSlot(db, transactions.join(''))
  const expected = (await db.query<{ id: number }>('SELECT id FROM t ORDER BY id')).map(({ id }) => id)
  const seen: SourceRecord[] = []
  let stored: PositionJson | undefined
  for (let run = 1; seen.length < expected.length; run++) {
    expect(run).toBeLessThan(200)
    // What was handed out behind the stored position is lost with the run.
    await using reader = readSource(
      { ...fromNow(db), position: stored, maxBytes: 65536 },
      {
        ack: (batch) => {
          if (reader.batches.length > 1 + (run % 3)) return false
          seen.push(...reader.records.slice(reader.records.length - batch.length))
          stored = batch.position.toJSON()
          return run % 2 === 0
        },
      },
    )
    await reader.until(() => reader.batches.length > 1 + (run % 3) || seen.length === expected.length, {
      what: 'some batches',
    })
  }
  expect(ids(seen)).toEqual(expected)
  requireOrder(seen)
})

test.concurrent('a run that acknowledges nothing gives everything again', async () => {
  await using db = await testDatabase(server, TABLE)
  await afterSlot(db, 'INSERT INTO t VALUES (1); INSERT INTO t VALUES (2), (3)')
  const stands = await confirmedLsn(db, fromNow(db).slot)
  const runs: object[][] = []
  for (let run = 0; run < 2; run++) {
    await using reader = readSource(fromNow(db), { ack: false })
    await reader.seen(({ key }) => key!.id === 3, 'the last row')
    await reader.close()
    runs.push(reader.records.map(({ position, ...line }) => line))
  }
  expect(runs[1]).toEqual(runs[0])
  expect(await confirmedLsn(db, fromNow(db).slot)).toBe(stands)
})

describe('a redelivery that differs', () => {
  const REPEATED = { onRedeliveryChange: 'repeat', onPublicationChange: 'continue' } as const

  /** The position of the first of three rows, of which the publication has another number afterwards. */
  async function changed(db: TestDatabase): Promise<PositionJson> {
    await db.query(
      `${TABLE}; CREATE TABLE u (LIKE t INCLUDING ALL); CREATE PUBLICATION wide FOR TABLE t, u; CREATE PUBLICATION narrow FOR TABLE t`,
    )
    await afterSlot(
      db,
      "BEGIN; INSERT INTO u VALUES (1, 'x'); INSERT INTO t VALUES (2, 'x'), (3, 'x'); COMMIT; INSERT INTO t VALUES (4)",
    )
    await using reader = readSource({ ...fromNow(db), publication: 'wide' }, { ack: false })
    const first = await reader.seen(({ key }) => key!.id === 2, 'the first row')
    expect(first.position.seq).toBe(1)
    return first.position
  }

  test.concurrent('stops, with nothing skipped', async ({ expect }) => {
    await using db = await testDatabase(server)
    const position = await changed(db)
    await using reader = readSource(
      { ...fromNow(db), publication: 'narrow', position, onPublicationChange: 'continue' },
      { ack: false },
    )
    await expect(reader.ended).rejects.toMatchObject({ code: 'REDELIVERY_CHANGED' })
    expect(reader.records).toEqual([])
  })

  test.concurrent('is given whole once more, on request, and acknowledged on', async () => {
    await using db = await testDatabase(server)
    const position = await changed(db)
    await using reader = readSource({ ...fromNow(db), publication: 'narrow', position, ...REPEATED })
    await reader.seen(({ key }) => key!.id === 4, 'the row behind')
    expect(ids(reader.records)).toEqual([2, 3, 4])
    const last = reader.batches.at(-1)!.position.toJSON()
    await reader.until(async () => (await confirmedLsn(db, fromNow(db).slot)) === last.end, {
      what: 'the confirmation',
    })
  })
})

describe('a slot that does not fit the position', () => {
  async function stored(db: TestDatabase): Promise<PositionJson> {
    await afterSlot(db, 'INSERT INTO t VALUES (1)')
    await using reader = readSource(fromNow(db))
    return (await reader.seen(() => true, 'the row')).position
  }

  async function refusal(options: object): Promise<unknown> {
    await using reader = readSource(options as never)
    return await reader.ended.then(
      () => undefined,
      (error) => ({ code: error.code, records: reader.records.length }),
    )
  }

  test.concurrent('is gone', async () => {
    await using db = await testDatabase(server, TABLE)
    const position = await stored(db)
    await db.query('SELECT pg_drop_replication_slot($1)', [fromNow(db).slot])
    expect(await refusal({ ...fromNow(db), position })).toEqual({ code: 'SLOT_MISSING', records: 0 })
    expect(await slotsOf(db)).toEqual([])
  })

  test.concurrent('was moved by somebody else', async () => {
    await using db = await testDatabase(server, TABLE)
    const position = await stored(db)
    await db.query('INSERT INTO t VALUES (2)')
    await db.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [fromNow(db).slot])
    expect(await refusal({ ...fromNow(db), position })).toEqual({ code: 'SLOT_AHEAD', records: 0 })
  })

  test.concurrent('was made anew', async () => {
    await using db = await testDatabase(server, TABLE)
    const position = await stored(db)
    await db.query('SELECT pg_drop_replication_slot($1)', [fromNow(db).slot])
    await db.query('INSERT INTO t VALUES (2)')
    await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [fromNow(db).slot])
    expect(await refusal({ ...fromNow(db), position })).toEqual({ code: 'SLOT_AHEAD', records: 0 })
  })

  test.concurrent('is of another plugin, another database, another name, or a temporary one', async () => {
    await using db = await testDatabase(server, TABLE)
    await using other = await testDatabase(server, TABLE)
    other.expectSlots = true
    const position = await stored(db)
    const { slot } = fromNow(db)
    expect(await refusal({ ...fromNow(db), position, slot: 'another' })).toMatchObject({ code: 'POSITION_OTHER_SLOT' })
    expect(await refusal({ ...fromNow(db), position: { ...position, slot: null } })).toMatchObject({
      code: 'POSITION_NOT_RESUMABLE',
    })
    expect(await refusal({ ...fromNow(other), slot, position })).toMatchObject({ code: 'POSITION_OTHER_DATABASE' })
    expect(await refusal({ ...fromNow(other), slot })).toMatchObject({ code: 'SLOT_OTHER_DATABASE' })
    await db.query('SELECT pg_drop_replication_slot($1)', [slot])
    await db.query("SELECT pg_create_logical_replication_slot($1, 'test_decoding')", [slot])
    expect(await refusal({ ...fromNow(db), position })).toMatchObject({ code: 'SLOT_OTHER_PLUGIN' })
    await db.query('SELECT pg_drop_replication_slot($1)', [slot])
    await db.query('SELECT pg_create_physical_replication_slot($1)', [slot])
    expect(await refusal({ ...fromNow(db), position })).toMatchObject({ code: 'SLOT_PHYSICAL' })
    await db.query('SELECT pg_drop_replication_slot($1)', [slot])
  })

  test.concurrent('is of another server', async () => {
    await using db = await testDatabase(server, TABLE)
    const position = await stored(db)
    await using strange = await startServer({ ownSystemIdentifier: true })
    await using _ = await testDatabase(strange, `CREATE DATABASE ${db.name}`)
    const url = strange.url(db.name)
    {
      await using session = await openSession(url)
      await session.query(TABLE.replace('t (', 'public.t ('))
    }
    expect(await refusal({ ...fromNow(db), url, position })).toEqual({ code: 'POSITION_OTHER_SERVER', records: 0 })
  })

  test.concurrent('exists already, for a run that would begin with a snapshot', async () => {
    await using db = await testDatabase(server, TABLE)
    await stored(db)
    expect(await refusal({ url: db.url, tables: 't', slot: fromNow(db).slot })).toMatchObject({ code: 'SLOT_EXISTS' })
  })
})
