import { expect, test } from 'vitest'
import type { PositionJson } from '../../../src/core/record.js'
import { type Lsn, parseLsn } from '../../../src/postgres/lsn.js'
import type { Batch } from '../../../src/source/batch.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { readSource, type SourceReader, type SourceRecord } from '../../support/sourceReader.js'
import { type CommitLsns, commitsOf, confirmedLsn } from '../../support/sourceSlots.js'
import { describeEachMajor } from '../../support/versions.js'
import { waitFor } from '../../support/waitFor.js'

const TABLES = 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)'

/** Changes from where the slot stands, or from now on. */
function fromSlot(db: TestDatabase) {
  return { url: db.url, tables: 't', slot: `own_${db.name}`, snapshot: 'never', existingSlot: 'resume' } as const
}

/** A slot of the test's own, to be asked what the server says of the commits since. */
async function witness(db: TestDatabase): Promise<() => Promise<CommitLsns[]>> {
  const slot = `witness_${db.name}`
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot])
  return () => commitsOf(db, slot, 'tailrace')
}

async function confirms(reader: SourceReader, db: TestDatabase, lsn: string): Promise<void> {
  const stands = async () => (await confirmedLsn(db, fromSlot(db).slot)) === lsn
  await reader.until(stands, { what: `the slot to stand at ${lsn}` })
}

/** By the rule, once these batches are acknowledged: the end of the last commit that is whole, or an idle position. */
function confirmable(batches: readonly Batch[], commits: readonly CommitLsns[]): string {
  const positions = batches.map(({ position }) => position.toJSON() as { lsn: string; end?: string } & PositionJson)
  const ends = positions.flatMap(({ end }) => end ?? [])
  const whole = commits.filter(({ lsn }) => parseLsn(lsn)! < parseLsn(positions.at(-1)!.lsn)!).map(({ end }) => end)
  return [...ends, ...whole].reduce((last, end) => (parseLsn(end)! > parseLsn(last)! ? end : last))
}

function ids(records: readonly SourceRecord[]): unknown[] {
  return records.map(({ key }) => key!.id)
}

describeEachMajor('what a source confirms', (postgres) => {
  test.concurrent('is the end of the last commit acknowledged whole, exactly, and the next run begins behind it', async ({
    expect,
  }) => {
    await using db = await testDatabase(postgres.server, TABLES)
    db.expectSlots = true
    let last: string
    let made: CommitLsns[]
    {
      await using reader = readSource(fromSlot(db), { ack: false })
      await reader.told('streaming')
      const commits = await witness(db)
      for (let id = 1; id <= 6; id++) {
        await db.query(`BEGIN; INSERT INTO t VALUES (${id}), (${-id}); COMMIT`)
        await reader.seen(({ key }) => key!.id === -id, `row ${-id}`)
      }
      made = await commits()
      expect(made).toHaveLength(6)

      // The first row of the third transaction: everything before it, nothing of it.
      await reader.source.ack(reader.records[4]!.position)
      await confirms(reader, db, confirmable(reader.batches.slice(0, batchOf(reader, 4)), made))
      // A batch that ends with the fifth, whose Commit may have come with it or not yet.
      const batches = reader.batches.slice(0, batchOf(reader, 9) + 1)
      await batches.at(-1)!.ack()
      last = confirmable(batches, made)
      await confirms(reader, db, last)
      // Going back says nothing.
      await reader.source.ack(reader.records[0]!.position)
      await confirms(reader, db, last)
      // Further than any idle position that came meanwhile.
      const beyond = { ...reader.records[11]!.position, lsn: 'FFFFFFFF/0', seq: 7 }
      await expect(reader.source.ack(beyond as PositionJson)).rejects.toMatchObject({ code: 'ACK_UNKNOWN' })
    }
    expect(await confirmedLsn(db, fromSlot(db).slot)).toBe(last)
    await using next = readSource(fromSlot(db), { ack: false })
    await next.seen(({ key }) => key!.id === -6, 'the last row')
    const rest = made.findIndex(({ lsn }) => parseLsn(lsn)! >= parseLsn(last)!)
    expect(ids(next.records)).toEqual([1, 2, 3, 4, 5, 6].slice(rest).flatMap((id) => [id, -id]))
  })

  test.concurrent('never skips a commit that begins where the one confirmed ends', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    db.expectSlots = true
    const [a, b] = [await db.connect(), await db.connect()]
    let id = 0
    let position: PositionJson
    {
      await using reader = readSource(fromSlot(db), { ack: false })
      await reader.told('streaming')
      const commits = await witness(db)
      // The server may write a record of its own between the two.
      const end = await waitFor(
        async () => {
          id += 2
          await a.query(`BEGIN; INSERT INTO t VALUES (${id})`)
          await b.query(`BEGIN; INSERT INTO t VALUES (${id + 1})`)
          await a.query('COMMIT')
          await b.query('COMMIT')
          const [one, two] = (await commits()).slice(-2)
          return one!.end === two!.lsn && one!.end
        },
        { what: 'two commits back to back' },
      )
      const first = await reader.seen(({ key }) => key!.id === id, 'the first of the two')
      // Handed out beyond it: the end of the first is known then.
      await reader.seen(({ key }) => key!.id === id + 1, 'the second of the two')
      position = { ...first.position, end }
      await reader.source.ack(position)
      await confirms(reader, db, end)
    }
    for (const resumed of [fromSlot(db), { ...fromSlot(db), position }]) {
      await using next = readSource(resumed, { ack: false })
      await next.seen(() => true, 'a record')
      expect(ids(next.records)).toEqual([id + 1])
    }
  })

  test.concurrent('moves on while only other tables are written, no further than what was acknowledged', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    db.expectSlots = true
    const { slot } = fromSlot(db)
    const acked: Lsn[] = []
    await using reader = readSource(fromSlot(db), {
      ack: ({ position }) => {
        acked.push(parseLsn(position.toJSON().end as string)!)
        return true
      },
    })
    await reader.told('streaming')
    const begin = parseLsn((await confirmedLsn(db, slot))!)!
    const moves: Lsn[] = [begin]
    await reader.until(
      async () => {
        await db.query('INSERT INTO other SELECT generate_series(1, 100)')
        const stands = parseLsn((await confirmedLsn(db, slot))!)!
        expect([begin, ...acked], 'a position that was acknowledged').toContain(stands)
        if (stands > moves.at(-1)!) moves.push(stands)
        return moves.length === 3
      },
      { what: 'two advances', timeoutMs: 15_000 },
    )
    expect(reader.records).toEqual([])
  })

  test.concurrent('lets the server remove what other tables write, however much that is', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    db.expectSlots = true
    const { slot } = fromSlot(db)
    await using reader = readSource(fromSlot(db))
    await reader.told('streaming')
    const facts = async () => {
      const [row] = await db.query<{ lsn: string; kept: string }>(
        'SELECT pg_current_wal_lsn()::text AS lsn, restart_lsn::text AS kept FROM pg_replication_slots WHERE slot_name = $1',
        [slot],
      )
      return { lsn: parseLsn(row!.lsn)!, kept: parseLsn(row!.kept)! }
    }
    await db.query('INSERT INTO other SELECT generate_series(1, 100000)')
    const { lsn: written } = await facts()
    const removable = async () => {
      // What the slot keeps follows where the server wrote down which transactions run.
      await db.query('INSERT INTO other VALUES (1)')
      await db.query('CHECKPOINT')
      return (await facts()).kept > written
    }
    await reader.until(removable, { what: 'the slot to keep nothing of it', timeoutMs: 15_000, intervalMs: 200 })
    expect(reader.records).toEqual([])
  })

  test.concurrent('stays while a record is not acknowledged, or an idle advance is not', async () => {
    await using db = await testDatabase(postgres.server, TABLES)
    db.expectSlots = true
    const { slot } = fromSlot(db)
    await using reader = readSource(fromSlot(db), { ack: ({ length }) => length === 0 && recorded })
    let recorded = false
    await reader.told('streaming')
    const begin = await confirmedLsn(db, slot)
    const advances = () => reader.batches.filter(({ length }) => length === 0).length
    const more = async (count: number) => {
      const before = advances()
      const write = async () => {
        await db.query('INSERT INTO other VALUES (1)')
        return advances() >= before + count
      }
      await reader.until(write, { what: 'idle advances', intervalMs: 50 })
    }
    await more(1)
    expect(await confirmedLsn(db, slot)).toBe(begin)
    // Acknowledged from here on, with the record between: an advance behind it covers it.
    await db.query('INSERT INTO t VALUES (1)')
    await reader.seen(() => true, 'the record')
    expect(await confirmedLsn(db, slot)).toBe(begin)
    recorded = true
    await more(1)
    const last = reader.batches.at(-1)!.position.toJSON().end as string
    await confirms(reader, db, last)
  })
})

/** Index of the batch that has the record. */
function batchOf({ batches }: SourceReader, record: number): number {
  let records = 0
  return batches.findIndex(({ length }) => {
    records += length
    return records > record
  })
}
