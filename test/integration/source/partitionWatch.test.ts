import { describe, expect, test } from 'vitest'
import type { Batch } from '../../../src/source/batch.js'
import type { SourceEvent } from '../../../src/source/events.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { urlAs } from '../../support/openSession.js'
import { majors } from '../../support/servers.js'
import { rowsOf } from '../../support/sourceCapture.js'
import { readSource, type SourceReader } from '../../support/sourceReader.js'
import { requireOrder, sorted } from '../../support/sourceReplay.js'
import { describeEachMajor } from '../../support/versions.js'

type Row = Readonly<Record<string, unknown>>

const TREE = `
  CREATE TABLE root (id int NOT NULL, region text NOT NULL, n int DEFAULT 0, big text, PRIMARY KEY (id, region))
    PARTITION BY LIST (region);
  ALTER TABLE root ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE asia PARTITION OF root FOR VALUES IN ('asia');
  CREATE TABLE europe PARTITION OF root FOR VALUES IN ('europe') PARTITION BY RANGE (id);
  CREATE TABLE europe_low PARTITION OF europe FOR VALUES FROM (0) TO (1000);
  CREATE TABLE europe_high PARTITION OF europe FOR VALUES FROM (1000) TO (9000);
  INSERT INTO root SELECT id, CASE WHEN id % 2 = 0 THEN 'asia' ELSE 'europe' END FROM generate_series(1, 40) id;
  INSERT INTO root SELECT id, 'europe' FROM generate_series(1001, 1020) id;`

/** A table like the root, with rows of its own, that can become a partition. */
const filled = (name: string, region: string, from: number, to: number) => `
  CREATE TABLE ${name} (LIKE root INCLUDING ALL);
  INSERT INTO ${name} SELECT id, '${region}', 1, repeat('x', 2500) FROM generate_series(${from}, ${to}) id;`

/** Both columns, so that a look at the tables finds something by which it can be told. */
const ODD: (event: SourceEvent) => boolean = ({ type }) => type === 'partition-attached' || type === 'warning'
const odd = (reader: SourceReader) => reader.events.filter(ODD)
const codes = (reader: SourceReader) => odd(reader).map((event) => ('code' in event ? event.code : event.type))

/** What a consumer has that writes by key, and takes whatever comes. */
function copyOf(reader: SourceReader, into = new Map<string, Row>()): Map<string, Row> {
  for (const { table, operation, key, oldKey, after, unchanged } of reader.records) {
    if (table !== 'root') continue
    const [id, oldId] = [JSON.stringify(key), JSON.stringify(oldKey ?? key)]
    const old = into.get(oldId)
    if (operation === 'truncate') into.clear()
    if (operation === 'delete' || operation === 'update') into.delete(oldId)
    if (after === undefined) continue
    const kept = (unchanged ?? []).filter((name) => old !== undefined && name in old)
    into.set(id, { ...after, ...Object.fromEntries(kept.map((name) => [name, old![name]])) })
  }
  return into
}

const inOrder = (rows: readonly Row[]) => rows.map((row) => JSON.stringify(sorted(row))).sort()

async function requireCopy(db: TestDatabase, copy: Map<string, Row>): Promise<void> {
  const rows = (await rowsOf(db, 'root', 'id')) as Row[]
  expect(inOrder([...copy.values()])).toEqual(inOrder(rows))
}

/** A look at the trees began and ended since: an attachment that is made only for that was told. */
async function looked(db: TestDatabase, reader: SourceReader): Promise<void> {
  const region = `look_${odd(reader).length}_${reader.records.length}`
  await db.query(`${filled(region, region, 5001, 5001)}
    ALTER TABLE root ATTACH PARTITION ${region} FOR VALUES IN ('${region}')`)
  const ofLook = (event: SourceEvent) => event.type === 'partition-attached' && event.partition === `public.${region}`
  await reader.until(() => reader.events.some(ofLook), { what: 'a look', timeoutMs: 20_000 })
  await reader.seen(({ key, operation }) => operation === 'snapshot' && key?.region === region, 'its row')
}
const isLook = (event: SourceEvent) => event.type === 'partition-attached' && event.partition.includes('.look_')
const found = (reader: SourceReader) => codesOf(odd(reader).filter((event) => !isLook(event)))
const codesOf = (events: readonly SourceEvent[]) => events.map((event) => ('code' in event ? event.code : event.type))

describeEachMajor('partitions', (postgres) => {
  const read = (db: TestDatabase, more: object = {}) => {
    db.expectSlots = true
    return readSource({ url: db.url, tables: 'root', slot: `s_${db.name}`, ...more } as never)
  }

  describe.concurrent('of a captured table', () => {
    test.concurrent('one that is attached is read, with changes of its rows before, meanwhile and after', async () => {
      await using db = await testDatabase(postgres.server, TREE + filled('africa', 'africa', 2001, 4900))
      await using reader = read(db)
      await reader.told('streaming')
      const writer = await db.connect()
      let over = false
      const writing = (async () => {
        for (let n = 0; !over; n++) {
          await writer.query(`UPDATE africa SET n = n + 1 WHERE id % 97 = ${n % 97};
            DELETE FROM africa WHERE id = ${2001 + ((n * 7) % 2900)};
            UPDATE root SET n = n + 1 WHERE id = 1`)
        }
      })()
      // The transaction that attaches it writes to it before and after.
      await db.query(`BEGIN;
        INSERT INTO africa VALUES (9001, 'africa', 1, 'before'); SAVEPOINT s; INSERT INTO africa VALUES (9002, 'africa', 1, 'sub');
        RELEASE s; ALTER TABLE root ATTACH PARTITION africa FOR VALUES IN ('africa');
        INSERT INTO root VALUES (9003, 'africa', 1, 'after'); COMMIT`)
      await db.query(`UPDATE root SET n = -1 WHERE region = 'africa' AND id BETWEEN 2200 AND 2300;
        INSERT INTO root VALUES (9004, 'africa', 1, 'later')`)
      const told = await reader.told('partition-attached')
      expect(told).toMatchObject({ table: 'public.root', partition: 'public.africa', read: true })
      const isOver = () => reader.events.filter(({ type }) => type === 'snapshot-finished').length === 2
      await reader.until(isOver, { what: 'it to be read', timeoutMs: 60_000 })
      over = true
      await writing
      await db.query("INSERT INTO root VALUES (9999, 'africa', 1, 'last')")
      await reader.seen(({ key }) => key?.id === 9999, 'the last row')
      await requireCopy(db, copyOf(reader))
      // Only of that partition.
      const again = reader.snapshotOf('root').slice(60)
      expect(new Set(again.map(({ key }) => key!.region))).toEqual(new Set(['africa']))
      requireOrder(reader.records)
      expect(codes(reader)).toEqual(['partition-attached'])
    })

    test.concurrent('one that is attached is read to its end, also when its key is renamed meanwhile', async () => {
      await using db = await testDatabase(postgres.server, TREE + filled('africa', 'africa', 2001, 4900))
      let renamed: Promise<unknown> | undefined
      const onBatch = async ({ length, rows }: Batch) => {
        if (length === 0 || rows.snapshotId === '' || !reader.events.some(({ type }) => type === 'partition-attached'))
          return
        // Not waited for: its lock comes between two chunks.
        renamed ??= db.query('ALTER TABLE root RENAME region TO place')
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      db.expectSlots = true
      const options = { url: db.url, tables: 'root', slot: `s_${db.name}`, maxBytes: 65536 }
      await using reader: SourceReader = readSource(options, { onBatch })
      await reader.told('streaming')
      await db.query("ALTER TABLE root ATTACH PARTITION africa FOR VALUES IN ('africa')")
      const isOver = () => reader.events.filter(({ type }) => type === 'snapshot-finished').length === 2
      await reader.until(isOver, { what: 'it to be read', timeoutMs: 60_000 })
      await renamed
      await db.query("INSERT INTO root VALUES (9999, 'africa')")
      await reader.seen(({ key }) => key?.id === 9999, 'the last row')
      const had = new Set(reader.snapshotOf('root').map(({ key }) => key!.id))
      const rows = await db.query<{ id: number }>('SELECT id FROM root WHERE id < 9999')
      expect(rows.filter(({ id }) => !had.has(id))).toEqual([])
      expect(reader.snapshotOf('root').at(-1)!.key).toMatchObject({ place: 'africa' })
    })

    test.concurrent('a partitioned one that is attached is read, each leaf; one after another, nothing of it is forgotten', async () => {
      await using db = await testDatabase(
        postgres.server,
        `${TREE} CREATE TABLE africa (LIKE root INCLUDING ALL) PARTITION BY RANGE (id);
         CREATE TABLE africa_low PARTITION OF africa FOR VALUES FROM (0) TO (200);
         CREATE TABLE africa_high PARTITION OF africa FOR VALUES FROM (200) TO (900);
         CREATE TABLE africa_none PARTITION OF africa DEFAULT;
         INSERT INTO africa SELECT id, 'africa' FROM generate_series(150, 250) id;
         ${filled('oceania', 'oceania', 301, 310)}`,
      )
      await using reader = read(db)
      await reader.told('streaming')
      await db.query("ALTER TABLE root ATTACH PARTITION africa FOR VALUES IN ('africa')")
      await reader.told('partition-attached')
      await db.query("ALTER TABLE root ATTACH PARTITION oceania FOR VALUES IN ('oceania')")
      await reader.until(() => odd(reader).length === 3, { what: 'both', timeoutMs: 60_000 })
      await reader.seen(({ key }) => key?.id === 310, 'the last row')
      expect(odd(reader).map((event) => 'partition' in event && event.partition)).toEqual([
        'public.africa_low',
        'public.africa_high',
        'public.oceania',
      ])
      await requireCopy(db, copyOf(reader))
    })

    test.concurrent('one that is made in place is nothing to tell of, nor one written anew, nor a truncate of all', async () => {
      await using db = await testDatabase(postgres.server, TREE)
      await using reader = read(db)
      await reader.told('streaming')
      await db.query(`BEGIN; CREATE TABLE africa PARTITION OF root FOR VALUES IN ('africa');
        CREATE TABLE oceania PARTITION OF root FOR VALUES IN ('oceania') PARTITION BY RANGE (id);
        CREATE TABLE oceania_low PARTITION OF oceania FOR VALUES FROM (0) TO (1000);
        INSERT INTO root VALUES (70, 'africa'), (71, 'oceania'); COMMIT`)
      await db.query('CREATE TABLE empty (LIKE root INCLUDING ALL)')
      await db.query("ALTER TABLE root ATTACH PARTITION empty FOR VALUES IN ('empty')")
      await db.query('VACUUM FULL asia')
      await db.query('CLUSTER europe_low USING europe_low_pkey')
      await db.query('ALTER TABLE root ALTER n TYPE bigint')
      await looked(db, reader)
      await db.query("TRUNCATE root; INSERT INTO root VALUES (80, 'asia'), (81, 'europe')")
      await looked(db, reader)
      await requireCopy(db, copyOf(reader))
      expect(found(reader)).toEqual([])
    })

    test.concurrent('those that are detached, dropped or truncated are told', async () => {
      await using db = await testDatabase(postgres.server, TREE)
      await using reader = read(db)
      await reader.told('streaming')
      // In one transaction: no look falls in between.
      await db.query('ALTER TABLE root DETACH PARTITION asia; DROP TABLE europe_high')
      await looked(db, reader)
      const [gone] = odd(reader).filter((event) => !isLook(event))
      expect(gone).toMatchObject({
        code: 'PARTITION_GONE',
        message: expect.stringContaining('public.asia, public.europe_high'),
      })
      await db.query("TRUNCATE europe_low; INSERT INTO root VALUES (7, 'europe')")
      await looked(db, reader)
      await reader.until(() => found(reader).length === 2, { what: 'the truncate to be told', timeoutMs: 20_000 })
      const [, truncated] = odd(reader).filter((event) => !isLook(event))
      expect(truncated).toMatchObject({
        code: 'PARTITION_TRUNCATED',
        message: expect.stringContaining('public.europe_low'),
      })
      // Detached, changed and attached again: as both.
      await db.query('UPDATE asia SET n = 7 WHERE id = 2; DELETE FROM asia WHERE id = 4')
      await db.query("ALTER TABLE root ATTACH PARTITION asia FOR VALUES IN ('asia')")
      await reader.seen(({ key, after }) => key?.id === 2 && after?.n === 7, 'the row that was changed')
      expect(found(reader)).toEqual(['PARTITION_GONE', 'PARTITION_TRUNCATED', 'partition-attached'])
    })

    test.concurrent('so they are where others write all the time, and the stream is never quite there', async () => {
      await using db = await testDatabase(postgres.server, TREE)
      await using others = await testDatabase(postgres.server, 'CREATE TABLE busy (n int)')
      await using reader = read(db)
      await reader.told('streaming')
      let writes = true
      const writing = (async () => {
        while (writes) await others.query('INSERT INTO busy SELECT generate_series(1, 2000)')
      })()
      try {
        await db.query('TRUNCATE europe_low')
        await reader.until(() => found(reader).length === 1, { what: 'the truncate to be told', timeoutMs: 20_000 })
      } finally {
        writes = false
        await writing
      }
      expect(found(reader)).toEqual(['PARTITION_TRUNCATED'])
    })

    test.concurrent('onPartitionGone: resnapshot tells by key ranges what is no more', async () => {
      await using db = await testDatabase(postgres.server, TREE)
      await using reader = read(db, { onPartitionGone: 'resnapshot' })
      await reader.told('streaming')
      await db.query('TRUNCATE europe_low; ALTER TABLE root DETACH PARTITION asia')
      const isOver = () => reader.events.filter(({ type }) => type === 'snapshot-finished').length === 2
      await reader.until(isOver, { what: 'the repair', timeoutMs: 60_000 })
      expect(found(reader).sort()).toEqual(['PARTITION_GONE', 'PARTITION_TRUNCATED'])
      const ranges = reader.batches.flatMap(({ range }) => (range?.again ? [range] : []))
      expect(ranges[0]!.after).toBeUndefined()
      expect(ranges.at(-1)!.upTo).toBeUndefined()
      expect(reader.snapshotOf('root').slice(60)).toHaveLength(20)
    })

    test.concurrent('a role that cannot have an old server look anew at partitions is told', async () => {
      await using db = await testDatabase(postgres.server, TREE + filled('africa', 'africa', 101, 110))
      const role = `r_${db.name}`
      await db.query(`CREATE ROLE ${role} LOGIN REPLICATION; CREATE PUBLICATION p FOR TABLE root WITH (publish_via_partition_root);
        GRANT SELECT ON root, asia, europe, europe_low, europe_high TO ${role}`)
      try {
        await using reader = readSource({ url: urlAs(db.url, role), tables: 'root', publication: 'p' })
        await reader.told('streaming')
        await db.query("ALTER TABLE root ATTACH PARTITION africa FOR VALUES IN ('africa')")
        // Through its root, though the partition itself may not be read.
        await reader.seen(({ key }) => key?.region === 'africa' && key.id === 110, 'its rows')
        await reader.told('partition-attached')
        expect(codes(reader)).toEqual([...(postgres.major < 15 ? ['PARTITION_UNNOTICED'] : []), 'partition-attached'])
      } finally {
        await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
      }
    })

    test.concurrent('one that is attached while the table is still being read is read behind that', async () => {
      await using db = await testDatabase(
        postgres.server,
        `${TREE} INSERT INTO root SELECT id, 'europe', 0, repeat('y', 1500) FROM generate_series(1100, 8900) id;
         ${filled('africa', 'africa', 50, 60)}`,
      )
      let release = () => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      let first = true
      db.expectSlots = true
      const options = { url: db.url, tables: 'root', strategy: 'incremental', snapshotWorkers: 1, maxBytes: 65_536 }
      await using reader = readSource(options as never, {
        onBatch: async (batch) => {
          if (batch.length === 0 || !first) return
          first = false
          await held
        },
      })
      await reader.until(() => !first, { what: 'the first rows' })
      const migration = await db.connect()
      await migration.query("ALTER TABLE root ATTACH PARTITION africa FOR VALUES IN ('africa')")
      // With its session what it read itself is counted.
      await migration.end()
      // A look asks whether it has rows.
      const reads = async () => {
        const [row] = await db.query<{ n: number }>(
          "SELECT seq_scan::int AS n FROM pg_stat_user_tables WHERE relname = 'africa'",
        )
        return row!.n
      }
      const before = await reads()
      await reader.until(async () => (await reads()) >= before + 3, { what: 'looks', timeoutMs: 60_000 })
      expect(codes(reader)).toEqual([])
      release()
      await reader.told('partition-attached')
      const told = reader.events.findIndex(({ type }) => type === 'partition-attached')
      const finished = reader.events.slice(0, told).filter(({ type }) => type === 'snapshot-table-finished')
      expect(finished).toHaveLength(1)
      await reader.seen(({ key }) => key?.region === 'africa' && key.id === 60, 'its rows')
      await requireCopy(db, copyOf(reader))
    })

    test
      // The longest of all, and the same on each.
      .runIf(postgres.major === Math.max(...majors))
      .concurrent('what happened while no run was there is found by the next one, once', async () => {
        await using db = await testDatabase(postgres.server, TREE + filled('africa', 'africa', 101, 110))
        const writer = await db.connect()
        let position: object
        const copy = new Map<string, Row>()
        {
          await using reader = read(db)
          await reader.told('streaming')
          await looked(db, reader)
          // Keeps the horizon low: what was known by then is not new afterwards.
          await writer.query('CREATE TABLE other (id int)')
          // Before version 15 an attachment waits for it.
          if (postgres.major >= 15) await writer.query('BEGIN; INSERT INTO other VALUES (1)')
          await db.query("CREATE TABLE made PARTITION OF root FOR VALUES IN ('made')")
          await looked(db, reader)
          await looked(db, reader)
          await writer.query('COMMIT')
          position = reader.batches.at(-1)!.position.toJSON()
          copyOf(reader, copy)
        }
        await db.query("ALTER TABLE root ATTACH PARTITION africa FOR VALUES IN ('africa')")
        await db.query(
          "CREATE TABLE new PARTITION OF root FOR VALUES IN ('new'); INSERT INTO root VALUES (3001, 'new')",
        )
        await db.query("TRUNCATE asia; INSERT INTO root VALUES (90, 'asia')")
        await db.query('VACUUM FULL europe_low')
        {
          await using reader = read(db, { position })
          await reader.until(() => found(reader).length === 2, { what: 'what happened', timeoutMs: 20_000 })
          expect(found(reader).sort()).toEqual(['PARTITION_TRUNCATED', 'partition-attached'])
          await reader.seen(({ key }) => key?.id === 110, 'the rows')
          await looked(db, reader)
          copyOf(reader, copy)
          position = reader.batches.at(-1)!.position.toJSON()
        }
        for (const [id, { region, n }] of copy) if (region === 'asia' && n === 0 && !id.includes('90')) copy.delete(id)
        await requireCopy(db, copy)
        await db.query('DROP TABLE africa')
        {
          await using reader = read(db, { position })
          await reader.until(() => found(reader).length === 1, { what: 'what is gone', timeoutMs: 20_000 })
          expect(odd(reader)[0]).toMatchObject({
            code: 'PARTITION_GONE',
            message: expect.stringContaining('some partitions of public.root went'),
          })
          await looked(db, reader)
          position = reader.batches.at(-1)!.position.toJSON()
        }
        await using reader = read(db, { position })
        await reader.told('streaming')
        await looked(db, reader)
        expect(found(reader)).toEqual([])
      })
  })
})
