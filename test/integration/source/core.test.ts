import { expect, test } from 'vitest'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { readSource, type SourceRecord } from '../../support/sourceReader.js'
import { byField, replay, requireOrder, sorted } from '../../support/sourceReplay.js'
import { SEED, seededRandom, WRITTEN_TABLES, Writers } from '../../support/sourceWriters.js'
import { describeEachMajor } from '../../support/versions.js'

const isLast = ({ table }: SourceRecord) => table === 'marker'
const isOfSnapshot = (position: object) => 'snapshot' in position

describeEachMajor('a source', (postgres) => {
  test(`gives rows and changes that are the tables, while others write, and again from any position (seed ${SEED})`, async () => {
    await using db = await testDatabase(postgres.server, WRITTEN_TABLES)
    db.expectSlots = true
    await db.query(`
      INSERT INTO items
      SELECT id, 0, 'first', CASE WHEN id % 5 = 0 THEN repeat('z', 2500) END FROM generate_series(1, 2000) id;
      INSERT INTO log SELECT -1, n FROM generate_series(1, 2000) n`)
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
      const ack = { ack: ({ position }: { position: { toJSON(): object } }) => isOfSnapshot(position.toJSON()) }
      await using reader = readSource({ ...options, maxBytes: 65536 }, ack)
      await reader.told('snapshot-finished')
      await writers.committed(80)
      await writers.stop()
      await db.query('INSERT INTO marker VALUES (1)')
      await reader.seen(isLast, 'the marker')
      records = reader.records
      await requireTables(db, records)
    }
    requireOrder(records)
    const begin = records.findIndex(({ operation }) => operation !== 'snapshot')
    expect(records.slice(begin).some(({ operation }) => operation === 'snapshot')).toBe(false)
    expect(records.length - begin).toBeGreaterThan(100)

    // The slot stands where the snapshot was taken: the whole stream is sent again.
    for (const place of places(records, begin)) {
      await using resumed = readSource({ ...options, position: records[place]!.position }, { ack: false })
      await resumed.seen(isLast, `the marker, from ${JSON.stringify(records[place]!.position)}`)
      expect(lines(resumed.records)).toBe(lines(records.slice(place + 1)))
    }
  })
})

/** Records to resume from: the borders and the middle of the largest transaction, and some at random. */
function places(records: readonly SourceRecord[], begin: number): number[] {
  const random = seededRandom(SEED)
  const drawn = Array.from({ length: 3 }, () => begin + Math.floor(random() * (records.length - begin - 1)))
  const last = records.reduce((best, { seq = 0 }, index) => (seq > (records[best]!.seq ?? 0) ? index : best), 0)
  const seq = records[last]!.seq!
  return [...drawn, last, last - 1, last - Math.floor(seq / 2), last - seq]
}

function lines(records: readonly SourceRecord[]): string {
  return records.map(({ position, ...line }) => JSON.stringify(line)).join('\n')
}

async function requireTables(db: TestDatabase, records: readonly SourceRecord[]): Promise<void> {
  const items = await db.query<{ row: Record<string, unknown> }>('SELECT to_json(items) AS row FROM items ORDER BY id')
  expect(replay(records, 'items').sort(byField('id'))).toEqual(items.map(({ row }) => sorted(row)))
  // Without a key each row must have come exactly once.
  const logged = await db.query<{ line: string }>("SELECT writer || ' ' || n AS line FROM log")
  const seen = records.filter(({ table }) => table === 'log').map(({ after }) => `${after!.writer} ${after!.n}`)
  expect(seen.sort()).toEqual(logged.map(({ line }) => line).sort())
}
