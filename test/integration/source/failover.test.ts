import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { PositionJson } from '../../../src/core/record.js'
import { openSession } from '../../support/openSession.js'
import { prepareServer, startServer } from '../../support/servers.js'
import { readSource } from '../../support/sourceReader.js'

const SLOT = 'failover'

async function sql(server: EmbeddedPostgres, text: string): Promise<void> {
  await using session = await openSession(server.url())
  await session.query(text)
}

/** A copy of the stopped server, slots included, as a standby that is promoted. */
async function promotedCopy(primary: EmbeddedPostgres): Promise<EmbeddedPostgres> {
  const copy = await prepareServer({ templateData: primary.dataFolder })
  await writeFile(join(copy.dataFolder, 'standby.signal'), '')
  await copy.restart()
  await sql(copy, 'SELECT pg_promote()')
  return copy
}

/** Reads until the row has come and is confirmed; gives the last position. */
async function readTo(server: EmbeddedPostgres, id: number, position?: PositionJson) {
  await using reader = readSource({ url: server.url(), tables: 't', slot: SLOT, snapshot: 'never', position })
  await reader.told('streaming')
  await sql(server, `INSERT INTO public.t VALUES (${id})`)
  await reader.seen(({ key }) => key?.id === id, `row ${id}`)
  return { position: reader.batches.at(-1)!.position.toJSON(), ids: reader.records.map(({ key }) => key?.id) }
}

test('after a promotion the stream goes on in the new timeline, unless more was read than the new primary has', async () => {
  await using primary = await startServer()
  await sql(primary, 'CREATE TABLE public.t (id int PRIMARY KEY)')
  const before = await readTo(primary, 1)
  expect(before.position).toMatchObject({ timeline: 1 })
  await primary.stop()
  await using promoted = await promotedCopy(primary)
  await primary.restart()
  const beyond = await readTo(primary, 2, before.position)

  await using diverged = readSource({ url: promoted.url(), tables: 't', slot: SLOT, position: beyond.position })
  await expect(diverged.ended).rejects.toMatchObject({ code: 'POSITION_DIVERGED' })

  const after = await readTo(promoted, 3, before.position)
  expect(after.ids).toEqual([3])
  expect(after.position).toMatchObject({ timeline: 2 })

  await using behind = readSource({ url: primary.url(), tables: 't', slot: SLOT, position: after.position })
  await expect(behind.ended).rejects.toMatchObject({ code: 'TIMELINE_BEHIND' })
})
