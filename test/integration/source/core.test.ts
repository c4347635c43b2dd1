import { describe, expect, test } from 'vitest'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { readSource, type SourceReader, type SourceRecord } from '../../support/sourceReader.js'
import { byField, replay, requireOrder, sorted } from '../../support/sourceReplay.js'
import { commitsOf, confirmedLsn } from '../../support/sourceSlots.js'
import { SEED, seededRandom, WRITTEN_TABLES, Writers } from '../../support/sourceWriters.js'
import { describeEachMajor } from '../../support/versions.js'

const LAST = 1_000_000

describeEachMajor('a source', (postgres) => {
  test(`rows and changes are the table, while others write, and again from any position (seed ${SEED})`, async () => {
    await using db = await testDatabase(postgres.server, WRITTEN_TABLES)
    db.expectSlots = true
    await db.query(`
      INSERT INTO items
      SELECT id, 0, 'first', CASE WHEN id % 5 = 0 THEN repeat('z', 2500) END FROM generate_series(1, 3000) id;
      INSERT INTO log SELECT -1, n FROM generate_series(1, 3000) n`)
    const options = {
      url: db.url,
      tables: ['items', 'log', 'marker'],
      slot: `core_${db.name}`,
      keyless: 'inserts',
    } as const
    let records: SourceRecord[]
    {
      await using writers = new Writers(db, 4)
      await writers.start()
      await writers.committed(20)
      // What comes after the snapshot is not acknowledged: all of it can be asked for again.
      const ack = isOfSnapshot
      await using reader = readSource({ ...options, maxBytes: 65536 }, { ack })
      await reader.told('snapshot-finished')
      await writers.committed(100)
      await writers.stop()
      await mark(db, reader, LAST)
      await requireTables(db, reader.records)
      records = reader.records
    }
    requireOrder(records)
    const snapshot = records.filter(({ operation }) => operation === 'snapshot').length
    expect(records.length).toBeGreaterThan(snapshot + 100)

    // The slot stands where the snapshot was taken: the whole stream is sent again.
    const random = seededRandom(SEED)
    const places = Array.from({ length: 8 }, () => snapshot + Math.floor(random() * (records.length - snapshot - 1)))
    for (const place of [...places, ...insideLargest(records)]) {
      await using resumed = readSource({ ...options, position: records[place]!.position }, { ack: false })
      await resumed.seen(isMarker(LAST), 'the marker')
      const rest = records.slice(place + 1)
      expect(resumed.records.map(({ id }) => id)).toEqual(rest.map(({ id }) => id))
      expect(resumed.records.map(withoutPosition)).toEqual(rest.map(withoutPosition))
    }
  })

  describe('confirms', () => {
    test('exactly the end of the last commit that is acknowledged, and resumes right behind it', async () => {
      await using db = await testDatabase(
        postgres.server,
        'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)',
      )
      db.expectSlots = true
      const options = { url: db.url, tables: 't', slot: `own_${db.name}` }
      const witness = `witness_${db.name}`
      {
        await using reader = readSource(options, {
          ack: ({ length, position }) => length === 0 && isOfSnapshot({ position }),
        })
        await reader.told('streaming')
        await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [witness])
        for (let id = 1; id <= 6; id++) await db.query(`BEGIN; INSERT INTO t VALUES (${id}), (${-id}); COMMIT`)
        await reader.seen(({ key }) => key!.id === -6, 'the last row')
        const commits = await commitsOf(db, witness, 'tailrace')
        expect(commits).toHaveLength(6)
        const begin = await confirmedLsn(db, options.slot)
        const recordOf = (id: number) => reader.records.find(({ key }) => key!.id === id)!

        // The first row of a transaction alone: everything before it, nothing of it.
        await reader.source.ack(recordOf(3).position)
        await reader.until(async () => (await confirmedLsn(db, options.slot)) !== begin, { what: 'a confirmation' })
        expect(await confirmedLsn(db, options.slot)).toBe(commits[1]!.end)
        expect(recordOf(3).lsn).toBe(commits[2]!.lsn)
      }
    })
  })
})

function isMarker(n: number) {
  return ({ table, key }: SourceRecord) => table === 'marker' && key!.n === n
}

async function mark(db: TestDatabase, reader: SourceReader, n: number): Promise<void> {
  await db.query('INSERT INTO marker VALUES ($1)', [n])
  await reader.seen(isMarker(n), `marker ${n}`)
}

function isOfSnapshot({ position }: { position: { toJSON(): object } }): boolean {
  return 'snapshot' in position.toJSON()
}

function withoutPosition({ position, ...line }: SourceRecord): object {
  return line
}

/** Around the borders of batches in the largest transaction. */
function insideLargest(records: SourceRecord[]): number[] {
  const largest = records.reduce((best, { seq = 0 }, index) => (seq > (records[best]!.seq ?? 0) ? index : best), 0)
  const { seq } = records[largest]!
  return [largest, largest - 1, largest - Math.floor(seq! / 2), largest - seq!]
}

async function requireTables(db: TestDatabase, records: readonly SourceRecord[]): Promise<void> {
  const items = await db.query<{ row: Record<string, unknown> }>('SELECT to_json(items) AS row FROM items ORDER BY id')
  expect(replay(records, 'items').sort(byField('id'))).toEqual(items.map(({ row }) => sorted(row)))
  const logged = await db.query<{ line: string }>("SELECT writer || ' ' || n AS line FROM log")
  const lines = records.filter(({ table }) => table === 'log').map(({ after }) => `${after!.writer} ${after!.n}`)
  expect(lines.sort()).toEqual(logged.map(({ line }) => line).sort())
}
