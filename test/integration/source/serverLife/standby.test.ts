import { describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import { failureOf, urlOfAll } from '../../../support/serverLife.js'
import { majors, startServer } from '../../../support/servers.js'
import { readSource, readToCurrent, type SourceReader } from '../../../support/sourceReader.js'
import { replay, requireOrder } from '../../../support/sourceReplay.js'
import { caughtUp, promote, sql, startStandby } from '../../../support/standby.js'
import { waitFor } from '../../../support/waitFor.js'

const TABLE = `
  CREATE TABLE public.t (id int PRIMARY KEY, note text);
  INSERT INTO public.t SELECT id, 'old' FROM generate_series(1, 1000) id`
const PUBLISHED = 'CREATE PUBLICATION tailrace FOR TABLE public.t WITH (publish_via_partition_root)'

async function pair(major: number, setup: string, settings: { primary?: object; standby?: object } = {}) {
  const primary = await startServer({ major, settings: { ...settings.primary } })
  await sql(primary, setup)
  const standby = await startStandby(primary, major, { ...settings.standby })
  return {
    primary,
    standby,
    [Symbol.asyncDispose]: async () =>
      void (await Promise.all([primary, standby].map((one) => one[Symbol.asyncDispose]()))),
  }
}

/** The slot of a standby waits until its primary says who runs there. */
function nudging(primary: EmbeddedPostgres): Disposable {
  const timer = setInterval(() => void sql(primary, 'SELECT pg_log_standby_snapshot()').catch(() => {}), 200)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

async function streaming(primary: EmbeddedPostgres, reader: SourceReader): Promise<void> {
  using _ = nudging(primary)
  await reader.told('streaming', 30_000)
}

/** What a consumer has is what the server has. */
async function requireExact(server: EmbeddedPostgres, reader: SourceReader): Promise<void> {
  const rows = await sql<{ id: number; note: string }>(server, 'SELECT id, note FROM public.t ORDER BY id')
  const has = () => replay(reader.records, 't').sort((a, b) => Number(a.id) - Number(b.id))
  await reader.until(() => has().length === rows.length && reader.records.at(-1)!.key?.id === -1, {
    what: 'the last row',
    timeoutMs: 20_000,
  })
  expect(has()).toEqual(rows)
  requireOrder(reader.records.filter(({ operation }) => operation !== 'snapshot'))
}

describe.each(majors.filter((major) => major >= 16))('from a standby, PostgreSQL %i', (major) => {
  test('rows and changes come as from the primary, with a publication that was made there; a resumed run goes on', async () => {
    await using servers = await pair(major, `${TABLE}; ${PUBLISHED}`)
    const { primary, standby } = servers
    const options = { url: standby.url(), tables: 't', slot: 'on_standby' }
    await using first = readSource(options)
    await streaming(primary, first)
    expect(first.snapshotOf('t')).toHaveLength(1000)
    await sql(
      primary,
      "BEGIN; UPDATE public.t SET note = 'new' WHERE id < 500; DELETE FROM public.t WHERE id > 900; COMMIT",
    )
    await first.seen(({ operation, key }) => operation === 'delete' && key?.id === 1000, 'the last delete')
    await first.close()
    await sql(primary, "INSERT INTO public.t VALUES (-1, 'last')")
    await caughtUp(primary, standby)
    const second = await readToCurrent({ ...options, position: first.batches.at(-1)!.position })
    first.records.push(...second.records)
    await requireExact(primary, first)
    await waitFor(
      async () => (await sql(standby, 'SELECT FROM pg_catalog.pg_replication_slots WHERE NOT active')).length === 1,
      { what: 'the slot to be free' },
    )
  })

  test('a standby that is promoted under a run: it goes on, also after its connection is cut', async () => {
    await using servers = await pair(major, `${TABLE}; ${PUBLISHED}`)
    const { primary, standby } = servers
    await using reader = readSource({ url: standby.url(), tables: 't', slot: 'on_standby' })
    await streaming(primary, reader)
    await sql(primary, "UPDATE public.t SET note = 'new' WHERE id < 10")
    await reader.seen(({ operation, key }) => operation === 'update' && key?.id === 9, 'the update')
    await caughtUp(primary, standby)
    await primary.stop('immediate')
    await promote(standby)
    await sql(standby, 'DELETE FROM public.t WHERE id > 900')
    await reader.seen(({ operation, key }) => operation === 'delete' && key?.id === 1000, 'the last delete')
    // The look at the publications finds out.
    await reader.until(() => reader.batches.at(-1)!.position.toJSON().timeline === 2, { what: 'timeline 2' })
    await sql(standby, 'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots')
    await sql(standby, "INSERT INTO public.t VALUES (-1, 'last')")
    await requireExact(standby, reader)
  })

  test.each([
    ['with a slot', 'shop'],
    ['without one', undefined],
  ])('a publication that is not there, %s, is asked for with the SQL for the primary', async (_, slot) => {
    await using servers = await pair(major, TABLE)
    const { primary, standby } = servers
    const options = { url: standby.url(), tables: 't', slot, publication: slot }
    await using reader = readSource(options)
    const error = await failureOf(reader)
    expect(error).toMatchObject({ code: 'PUBLICATION_ON_STANDBY' })
    const made = /^On the primary run: (CREATE PUBLICATION (\w+) .*;)$/m.exec(error.hint)
    expect(made?.[2]).toBe(slot ?? 'tailrace')
    await sql(primary, made![1]!)
    await caughtUp(primary, standby)
    await using again = readSource({ ...options, publication: made![2] })
    await streaming(primary, again)
    await sql(primary, "INSERT INTO public.t VALUES (-1, 'last')")
    await requireExact(primary, again)
  })

  test('the wait for the primary is told as what it is', async () => {
    await using servers = await pair(major, `${TABLE}; ${PUBLISHED}`)
    await using reader = readSource({ url: servers.standby.url(), tables: 't', slot: 'on_standby' })
    const { holders } = await reader.told('waiting-for-transactions')
    expect(holders.join()).toContain('pg_log_standby_snapshot()')
    await streaming(servers.primary, reader)
  })
})

describe.each(majors.filter((major) => major < 16))('from a standby, PostgreSQL %i', (major) => {
  test('changes cannot be read: STANDBY_CANNOT_DECODE; rows alone can', async () => {
    await using servers = await pair(major, `${TABLE}; ${PUBLISHED}`)
    const options = { url: servers.standby.url(), tables: 't' }
    await using reader = readSource({ ...options, slot: 'on_standby' })
    expect(await failureOf(reader)).toMatchObject({ code: 'STANDBY_CANNOT_DECODE', retry: 'later' })
    await using rows = readSource({ ...options, snapshot: 'only' })
    await rows.ended
    expect(rows.snapshotOf('t')).toHaveLength(1000)
  })
})

describe.each(majors.filter((major) => major >= 17))('failover slots, PostgreSQL %i', (major) => {
  test('a run with failoverSlot goes on at the standby that is promoted, with nothing lost and nothing twice', async () => {
    const settings = {
      primary: { synchronized_standby_slots: 'standby' },
      standby: { sync_replication_slots: 'on', primary_slot_name: 'standby' },
    }
    const setup = `${TABLE}; SELECT pg_create_physical_replication_slot('standby', true)`
    await using servers = await pair(major, setup, settings)
    const { primary, standby } = servers
    const url = urlOfAll([primary, standby], 'postgres')
    await using reader = readSource({ url, tables: 't', slot: 'goes_on', failoverSlot: true })
    await reader.told('streaming')
    await sql(primary, "UPDATE public.t SET note = 'new' WHERE id < 10")
    await reader.seen(({ operation, key }) => operation === 'update' && key?.id === 9, 'the update')
    const ready = "SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = 'goes_on' AND synced AND NOT temporary"
    {
      using _ = nudging(primary)
      await waitFor(async () => (await sql(standby, ready)).length > 0, {
        what: 'the copy of the slot',
        timeoutMs: 30_000,
      })
    }
    await sql(primary, 'DELETE FROM public.t WHERE id > 900')
    await reader.seen(({ operation, key }) => operation === 'delete' && key?.id === 1000, 'the last delete')
    await primary.stop('immediate')
    // It meets the standby before its promotion, where the copy of the slot cannot be read yet.
    await reader.until(
      () => reader.events.some((event) => event.type === 'reconnecting' && event.cause.code === 'SLOT_SYNCHRONISED'),
      { what: 'an attempt at the standby' },
    )
    await promote(standby)
    await sql(standby, "INSERT INTO public.t VALUES (-1, 'last')")
    await requireExact(standby, reader)
    expect(reader.records.at(-1)!.position.timeline).toBe(2)
  })
})

test.skipIf(!majors.includes(16))('failoverSlot is refused by a server that has none', async () => {
  await using server = await startServer({ major: 16 })
  await sql(server, TABLE)
  await using reader = readSource({ url: server.url(), tables: 't', slot: 's', failoverSlot: true })
  expect(await failureOf(reader)).toMatchObject({ code: 'SETTING_INVALID', details: { name: 'failoverSlot' } })
})
