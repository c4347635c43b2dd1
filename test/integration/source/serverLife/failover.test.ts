import { describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import { failureOf, urlOfAll } from '../../../support/serverLife.js'
import { DEFAULT_MAJOR, startServer } from '../../../support/servers.js'
import { readSource, type SourceReader } from '../../../support/sourceReader.js'
import { requireOrder } from '../../../support/sourceReplay.js'
import { caughtUp, copyData, copyOf, promote, promoteCopy, sql, startStandby } from '../../../support/standby.js'

const MAJOR = DEFAULT_MAJOR
const SLOT = 'failover'

const from = (url: string) => ({ url, tables: 't', slot: SLOT, snapshot: 'never', existingSlot: 'resume' }) as const

async function insert(server: EmbeddedPostgres, id: number, reader?: SourceReader): Promise<void> {
  await sql(server, `INSERT INTO public.t VALUES (${id})`)
  await reader?.seen(({ key }) => key?.id === id, `row ${id}`)
}

async function primaryWithSlot(): Promise<EmbeddedPostgres> {
  const primary = await startServer()
  await sql(primary, 'CREATE TABLE public.t (id int PRIMARY KEY)')
  await using reader = readSource(from(primary.url()))
  await reader.told('streaming')
  return primary
}

const ids = (reader: SourceReader) => reader.records.map(({ key }) => key?.id)

// What a position stored before says to a new primary is in ../failover.test.ts; here the run lives through it.
describe('the primary is replaced under a run that is told of both servers', () => {
  test('by a copy with the slot: the run goes on, with nothing lost and nothing twice', async () => {
    await using primary = await primaryWithSlot()
    await using successor = await startServer()
    await successor.stop()
    await using reader = readSource(from(urlOfAll([primary, successor], 'postgres')))
    await reader.told('streaming')
    await insert(primary, 1, reader)
    await primary.stop()
    await copyData(primary, successor)
    await promoteCopy(successor)
    await insert(successor, 2, reader)
    expect(ids(reader)).toEqual([1, 2])
    expect(reader.records.map(({ position }) => position.timeline)).toEqual([1, 2])
    requireOrder(reader.records)
  })

  test('by a standby, which has no slots: SLOT_MISSING, and none is made', async () => {
    await using primary = await startServer()
    await sql(primary, 'CREATE TABLE public.t (id int PRIMARY KEY)')
    await using standby = await startStandby(primary, MAJOR)
    await using reader = readSource(from(urlOfAll([primary, standby], 'postgres')))
    await reader.told('streaming')
    await insert(primary, 1, reader)
    await caughtUp(primary, standby)
    await primary.stop('immediate')
    await promote(standby)
    expect(await failureOf(reader)).toMatchObject({ code: 'SLOT_MISSING' })
    expect(ids(reader)).toEqual([1])
    expect(await sql(standby, 'SELECT FROM pg_catalog.pg_replication_slots')).toEqual([])
  })

  test('by a copy that lacks what was read already: POSITION_DIVERGED', async () => {
    await using primary = await primaryWithSlot()
    await primary.stop()
    await using copy = await copyOf(primary, MAJOR)
    await promoteCopy(copy)
    await copy.stop()
    await primary.restart()
    await using reader = readSource(from(urlOfAll([primary, copy], 'postgres')))
    await reader.told('streaming')
    await insert(primary, 1, reader)
    await primary.stop('immediate')
    await copy.restart()
    await insert(copy, 2)
    expect(await failureOf(reader)).toMatchObject({ code: 'POSITION_DIVERGED', details: { expected: 1, found: 2 } })
    expect(ids(reader)).toEqual([1])
  })

  test('by one of an older timeline: TIMELINE_BEHIND', async () => {
    await using primary = await primaryWithSlot()
    await primary.stop()
    await using copy = await copyOf(primary, MAJOR)
    await promoteCopy(copy)
    await using reader = readSource(from(urlOfAll([copy, primary], 'postgres')))
    await reader.told('streaming')
    await insert(copy, 1, reader)
    await copy.stop('immediate')
    await primary.restart()
    expect(await failureOf(reader)).toMatchObject({ code: 'TIMELINE_BEHIND', details: { expected: 2, found: 1 } })
  })

  test('by a stranger with another system identifier, and a slot and publication of the same names: POSITION_OTHER_SERVER', async () => {
    await using primary = await primaryWithSlot()
    await using stranger = await startServer({ ownSystemIdentifier: true })
    await sql(stranger, 'CREATE TABLE public.t (id int PRIMARY KEY); CREATE PUBLICATION tailrace FOR TABLE public.t')
    await sql(stranger, `SELECT pg_create_logical_replication_slot('${SLOT}', 'pgoutput')`)
    await insert(stranger, 99)
    const confirmed = 'SELECT confirmed_flush_lsn::text FROM pg_catalog.pg_replication_slots'
    const before = await sql(stranger, confirmed)
    await stranger.stop()
    await using reader = readSource(from(urlOfAll([primary, stranger], 'postgres')))
    await reader.told('streaming')
    await insert(primary, 1, reader)
    await primary.stop('immediate')
    await stranger.restart()
    expect(await failureOf(reader)).toMatchObject({ code: 'POSITION_OTHER_SERVER' })
    expect(ids(reader)).toEqual([1])
    expect(await sql(stranger, confirmed)).toEqual(before)
  })
})
