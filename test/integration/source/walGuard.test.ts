import { expect, test } from 'vitest'
import type { SourceEvent } from '../../../src/source/events.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { slowTest } from '../../support/slow.js'
import { readSource, readToCurrent, type SourceReader } from '../../support/sourceReader.js'
import { slotsOf } from '../../support/sourceSlots.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

const MIB = 1024 * 1024
const TABLE = 'CREATE TABLE t (id int PRIMARY KEY)'

type Retention = Extract<SourceEvent, { type: 'wal-retention' }>

function looks(reader: SourceReader): Retention[] {
  return reader.events.filter((event): event is Retention => event.type === 'wal-retention')
}

async function looksLike(reader: SourceReader, what: string, is: (look: Retention) => boolean): Promise<Retention> {
  return reader.until(() => looks(reader).find(is), { what: `a look at the slot: ${what}`, timeoutMs: 30_000 })
}

/** A new segment of 16 MB each. */
async function writeSegments(db: TestDatabase, segments: number): Promise<void> {
  for (let segment = 0; segment < segments; segment++) {
    await db.query("SELECT pg_logical_emit_message(false, 'x', repeat('y', 1000)); SELECT pg_switch_wal()")
  }
}

/** Looks come three times in `stallMs`. */
const OFTEN = { stallMs: 600 } as const

function fromNow(db: TestDatabase) {
  return {
    url: db.url,
    tables: 't',
    slot: `g_${db.name}`,
    snapshot: 'never',
    existingSlot: 'resume',
    ...OFTEN,
  } as const
}

// One after another: what any of them writes is held by the slots of all.
describeEachMajor('the WAL that a slot holds', (postgres) => {
  test('is measured against the budget, with the time until it is reached', async () => {
    await using db = await testDatabase(postgres.server, TABLE)
    db.expectSlots = true
    await using reader = readSource({ ...fromNow(db), walBudgetBytes: 160 * MIB }, { ack: false })
    await reader.told('streaming')
    const first = await looksLike(reader, 'little is held', () => true)
    expect(first).toMatchObject({ slot: fromNow(db).slot, level: 'ok', limit: 'walBudgetBytes', limitBytes: 160 * MIB })
    await db.query('INSERT INTO t VALUES (1)')
    await reader.seen(() => true, 'the row')
    const growing = async () => {
      await writeSegments(db, 1)
      return looks(reader).find(({ secondsToLimit = 0 }) => secondsToLimit > 0)
    }
    const look = await reader.until(growing, { what: 'growth', intervalMs: 500 })
    expect(look.heldBytes).toBeGreaterThan(16 * MIB)
    expect(look.bytesPerSecond).toBeGreaterThan(MIB)
    expect(look.secondsToLimit! * look.bytesPerSecond).toBeCloseTo(160 * MIB - look.heldBytes, -1)
    await writeSegments(db, 10)
    const reached = await looksLike(reader, 'reached', ({ level }) => level === 'reached')
    // Since the row, that nobody has acknowledged.
    expect(reached.unconfirmedBytes).toBeGreaterThan(140 * MIB)
    // Told, and nothing else: the run goes on.
    await db.query('INSERT INTO t VALUES (2)')
    await reader.seen(({ key }) => key!.id === 2, 'the row after')
  })

  test('stops the run at the budget if it is told to, with nothing lost', async () => {
    await using db = await testDatabase(postgres.server, TABLE)
    db.expectSlots = true
    const { slot } = fromNow(db)
    await using reader = readSource({ ...fromNow(db), walBudgetBytes: 20 * MIB, onWalBudget: 'stop' }, { ack: false })
    await reader.told('streaming')
    await db.query('INSERT INTO t VALUES (1)')
    await writeSegments(db, 3)
    await expect(reader.ended).rejects.toMatchObject({
      code: 'WAL_BUDGET_REACHED',
      message: expect.stringMatching(
        new RegExp(`^replication slot "${slot}" holds .* MB of WAL, and walBudgetBytes allows 20 MB$`),
      ),
      hint: expect.stringContaining(`tailrace slots drop ${slot}`),
    })
    await db.query('INSERT INTO t VALUES (2)')
    const resumed = await readToCurrent(fromNow(db))
    expect(resumed.records.map(({ key }) => key!.id)).toEqual([1, 2])
  })

  test('is freed when that was a temporary slot', async () => {
    await using db = await testDatabase(postgres.server, TABLE)
    const options = { url: db.url, tables: 't', ...OFTEN, walBudgetBytes: 20 * MIB, onWalBudget: 'stop' } as const
    await using reader = readSource(options, { ack: false })
    await reader.told('streaming')
    await writeSegments(db, 3)
    await expect(reader.ended).rejects.toMatchObject({
      code: 'WAL_BUDGET_REACHED',
      hint: expect.stringContaining('temporary'),
    })
    await waitFor(async () => (await slotsOf(db)).length === 0, { what: 'the slot to go' })
  })

  test('is watched while a snapshot is read, too', async () => {
    await using db = await testDatabase(
      postgres.server,
      "CREATE TABLE t (id int PRIMARY KEY, fill text); INSERT INTO t SELECT id, repeat('x', 500) FROM generate_series(1, 5000) id",
    )
    db.expectSlots = true
    const options = { url: db.url, tables: 't', slot: fromNow(db).slot, ...OFTEN, maxBytes: 65536 } as const
    let written: Promise<void> | undefined
    await using reader = readSource(
      { ...options, walBudgetBytes: 20 * MIB, onWalBudget: 'stop' },
      {
        onBatch: ({ length }) => {
          if (length === 0) return undefined
          written ??= writeSegments(db, 3)
            .then(() => looksLike(reader, 'reached', ({ level }) => level === 'reached'))
            .then(() => {})
          return written
        },
      },
    )
    await expect(reader.ended).rejects.toMatchObject({ code: 'WAL_BUDGET_REACHED' })
    expect(reader.events.some(({ type }) => type === 'streaming')).toBe(false)
  })
})

test('a slot that outgrows max_slot_wal_keep_size is told of at each step, before it is lost', async () => {
  await using server = await startServer({ settings: { max_slot_wal_keep_size: '64MB', autovacuum: 'off' } })
  await using db = await testDatabase(server, TABLE)
  db.expectSlots = true
  await using reader = readSource(fromNow(db), { ack: false })
  await reader.told('streaming')
  await db.query('INSERT INTO t VALUES (1)')
  await reader.seen(() => true, 'the row')
  await looksLike(reader, 'far', ({ level, limit }) => level === 'ok' && limit === 'max_slot_wal_keep_size')
  await writeSegments(db, 3)
  await looksLike(reader, 'nearer', ({ level }) => level === 'half' || level === 'near')
  await writeSegments(db, 3)
  const reached = await looksLike(reader, 'unreserved', ({ walStatus }) => walStatus === 'unreserved')
  expect(reached.level).toBe('reached')
})

slowTest('an incremental snapshot rests while the slot holds too much, and goes on', { timeout: 180_000 }, async () => {
  await using server = await startServer()
  await using db = await testDatabase(
    server,
    'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 200000)',
  )
  db.expectSlots = true
  let acking = false
  const options = { url: db.url, tables: 't', slot: fromNow(db).slot, strategy: 'incremental', ...OFTEN } as const
  const guarded = { ...options, walBudgetBytes: 20 * MIB, onWalBudget: 'pause-snapshot', maxBytes: 65536 } as const
  let written: Promise<unknown> | undefined
  await using reader = readSource(guarded, {
    // That a snapshot was begun is stored before there is a slot.
    ack: ({ length }) => acking || length === 0,
    onBatch: ({ length }) => {
      if (length === 0) return undefined
      written ??= writeSegments(db, 3).then(() => reader.told('snapshot-paused'))
      return written
    },
  })
  expect(await reader.told('snapshot-paused')).toMatchObject({ paused: true })
  // A chunk that is being read is read to its end, and no more are begun.
  const rows = () => reader.records.length
  let before = -1
  const rests = () => {
    const same = rows() === before
    before = rows()
    return same
  }
  await reader.until(rests, { what: 'no more rows', intervalMs: 1000 })
  expect(rows()).toBeLessThan(200_000)
  // Of a run that goes on.
  await db.query('INSERT INTO t VALUES (-1)')
  acking = true
  await reader.batches.at(-1)!.ack()
  const goesOn = () => reader.events.some((event) => event.type === 'snapshot-paused' && !event.paused)
  await reader.until(goesOn, { what: 'the snapshot to go on', timeoutMs: 120_000 })
  await reader.until(() => rows() >= 200_001, { what: 'all rows', timeoutMs: 30_000 })
  expect(new Set(reader.records.map(({ key }) => key!.id)).size).toBe(200_001)
})
