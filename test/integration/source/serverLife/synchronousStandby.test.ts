import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import { openSession } from '../../../support/openSession.js'
import { DEFAULT_MAJOR, startServer } from '../../../support/servers.js'
import { readSource } from '../../../support/sourceReader.js'
import { replay, requireOrder } from '../../../support/sourceReplay.js'
import { sql, startStandby } from '../../../support/standby.js'
import { waitFor } from '../../../support/waitFor.js'

const TABLE =
  'CREATE TABLE public.t (id int PRIMARY KEY, note text); INSERT INTO public.t SELECT id FROM generate_series(1, 100) id'

/** A primary whose commits wait for a standby that is stopped. */
async function waitingPrimary() {
  const primary = await startServer()
  await sql(primary, TABLE)
  const standby = await startStandby(primary, DEFAULT_MAJOR)
  await sql(primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
  await sql(primary, 'SELECT pg_reload_conf()')
  const named = "SELECT FROM pg_catalog.pg_stat_replication WHERE sync_state = 'sync'"
  await waitFor(async () => (await sql(primary, named)).length > 0, { what: 'the standby to be synchronous' })
  const dispose = async () => {
    await primary[Symbol.asyncDispose]()
    await standby[Symbol.asyncDispose]()
  }
  return { primary, standby, [Symbol.asyncDispose]: dispose }
}

/** A commit that is in the WAL, and that nobody can see. */
async function invisibleCommit(primary: EmbeddedPostgres, text: string) {
  const session = await openSession(primary.url())
  const committing = session.query(text).catch(() => {})
  const waits =
    "SELECT FROM pg_catalog.pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'"
  await waitFor(async () => (await sql(primary, waits)).length > 0, { what: 'the commit to wait' })
  return {
    [Symbol.asyncDispose]: async () => {
      session.destroy()
      await committing
    },
  }
}

/** Without waiting for the standby itself. */
const LOCALLY = 'SET synchronous_commit = local; '

async function rowsOf(server: EmbeddedPostgres): Promise<unknown[]> {
  return sql(server, 'SELECT id, note FROM public.t ORDER BY id')
}

const sortedById = (rows: readonly Readonly<Record<string, unknown>>[]) =>
  [...rows].sort((a, b) => Number(a.id) - Number(b.id))

// What the server streams it has not always made visible: a snapshot must have it, or the stream, and never none of them.
test('a run that begins while a commit waits for its standby waits for it, and has its row once', async () => {
  await using servers = await waitingPrimary()
  const { primary, standby } = servers
  await standby.stop('immediate')
  await using _ = await invisibleCommit(primary, "INSERT INTO public.t VALUES (101, 'invisible'); ")
  expect(await rowsOf(primary)).toHaveLength(100)
  await using reader = readSource({ url: primary.url(), tables: 't', slot: 'sync' })
  // The publication's own commit waits as well: everything the run does there is done when the standby is back.
  await reader.told('connected')
  await standby.restart()
  await reader.told('streaming', 40_000)
  await sql(primary, `${LOCALLY}INSERT INTO public.t VALUES (102, 'last')`)
  await reader.seen(({ key }) => key?.id === 102, 'the last row')
  expect(sortedById(replay(reader.records, 't'))).toEqual(await rowsOf(primary))
  requireOrder(reader.records.filter(({ operation }) => operation !== 'snapshot'))
})

test('a slot that is made while a commit waits, with a publication that is there, waits for it too', async () => {
  await using servers = await waitingPrimary()
  const { primary, standby } = servers
  await sql(primary, 'CREATE PUBLICATION tailrace FOR TABLE public.t WITH (publish_via_partition_root)')
  await standby.stop('immediate')
  await using _ = await invisibleCommit(primary, "INSERT INTO public.t VALUES (101, 'invisible')")
  await using reader = readSource({ url: primary.url(), tables: 't', slot: 'sync' })
  const { holders } = await reader.told('waiting-for-transactions')
  expect(holders).toHaveLength(1)
  expect(reader.records).toEqual([])
  await standby.restart()
  await reader.told('streaming', 40_000)
  await sql(primary, `${LOCALLY}INSERT INTO public.t VALUES (102, 'last')`)
  await reader.seen(({ key }) => key?.id === 102, 'the last row')
  expect(sortedById(replay(reader.records, 't'))).toEqual(await rowsOf(primary))
  expect(reader.snapshotOf('t').map(({ key }) => key?.id)).toContain(101)
})

test('a commit that the stream delivers before anybody can see it is not delivered again when the server crashes', async () => {
  await using servers = await waitingPrimary()
  const { primary, standby } = servers
  await using reader = readSource({ url: primary.url(), tables: 't', slot: 'sync' })
  await reader.told('streaming', 40_000)
  await standby.stop('immediate')
  await using _ = await invisibleCommit(primary, "INSERT INTO public.t VALUES (101, 'invisible')")
  await reader.seen(({ key }) => key?.id === 101, 'the row that nobody can see')
  expect(await rowsOf(primary)).toHaveLength(100)
  await primary.restart('immediate')
  expect(await rowsOf(primary)).toHaveLength(101)
  await sql(primary, `${LOCALLY}UPDATE public.t SET note = 'last' WHERE id = 101`)
  await reader.seen(({ operation }) => operation === 'update', 'the update')
  expect(sortedById(replay(reader.records, 't'))).toEqual(await rowsOf(primary))
  requireOrder(reader.records.filter(({ operation }) => operation !== 'snapshot'))
})

test('a change that is decoded before the chunks of an incremental snapshot can see it is not lost between them', async () => {
  await using servers = await waitingPrimary()
  const { primary, standby } = servers
  const LAST = 60_000
  await sql(primary, `INSERT INTO public.t SELECT id, repeat('x', 100) FROM generate_series(101, ${LAST}) id`)
  let commit: AsyncDisposable | undefined
  await using _ = { [Symbol.asyncDispose]: async () => commit?.[Symbol.asyncDispose]() }
  let begun = false
  await using reader = readSource(
    { url: primary.url(), tables: 't', slot: 'sync', strategy: 'incremental', maxBytes: 65_536 },
    {
      onBatch: async (batch) => {
        if (begun || batch.at(0)?.operation !== 'snapshot') return
        begun = true
        await standby.stop('immediate')
        // Of keys that no chunk has read: the stream leaves the change to the chunk that is to come.
        const change = `UPDATE public.t SET note = 'invisible' WHERE id > ${LAST - 10}; DELETE FROM public.t WHERE id = ${LAST}`
        commit = await invisibleCommit(primary, change)
      },
    },
  )
  const read = () => new Set(reader.snapshotOf('t').map(({ key }) => key?.id))
  await reader.until(() => begun, { what: 'the first rows', timeoutMs: 40_000 })
  // Longer than the chunks take: none of these keys is read in a snapshot that does not see what was left to it.
  await sleep(4000)
  expect(reader.events.some(({ type }) => type === 'snapshot-finished')).toBe(false)
  expect(read().has(LAST)).toBe(false)
  await standby.restart()
  await reader.told('snapshot-finished', 40_000)
  await sql(primary, `${LOCALLY}INSERT INTO public.t VALUES (${LAST + 1}, 'last')`)
  await reader.seen(({ key }) => key?.id === LAST + 1, 'the last row', 40_000)
  expect(sortedById(replay(reader.records, 't'))).toEqual(await rowsOf(primary))
})
