import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { Batch } from '../../../src/source/batch.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { rowsOf } from '../../support/sourceCapture.js'
import { readSource, recordsOf } from '../../support/sourceReader.js'
import { byField, sorted } from '../../support/sourceReplay.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

type Row = Readonly<Record<string, unknown>>

/** A consumer that keeps rows by key, and lets the ranges of a repair tell it which are gone. */
function keep(rows: Map<number, Row>, batches: readonly Batch[]): void {
  for (const batch of batches) {
    const records = recordsOf(batch)
    const { range } = batch
    if (range?.again) {
      const after = range.after === undefined ? Number.NEGATIVE_INFINITY : Number(range.after[0])
      const upTo = range.upTo === undefined ? Number.POSITIVE_INFINITY : Number(range.upTo[0])
      for (const key of [...rows.keys()]) if (key > after && key <= upTo) rows.delete(key)
    }
    for (const { operation, key, oldKey, after } of records) {
      if (oldKey !== undefined) rows.delete(oldKey.id as number)
      if (operation === 'delete') rows.delete(key!.id as number)
      else if (after !== undefined) rows.set(key!.id as number, { ...rows.get(key!.id as number), ...after })
    }
  }
}

test('a slot that is gone: the rows are read once more as a repair, on request', async () => {
  await using db = await testDatabase(
    server,
    'CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT id, 0 FROM generate_series(1, 5000) id',
  )
  db.expectSlots = true
  const slot = `s_${db.name}`
  const options = { url: db.url, tables: 't', slot }
  const rows = new Map<number, Row>()
  let position: object
  {
    await using reader = readSource(options)
    await reader.told('streaming')
    keep(rows, reader.batches)
    position = reader.batches.at(-1)!.position.toJSON()
  }
  await db.query('SELECT pg_drop_replication_slot($1)', [slot])
  await db.query('DELETE FROM t WHERE id % 7 = 0; DELETE FROM t WHERE id > 4990; UPDATE t SET n = 1 WHERE id % 5 = 0')
  await expect(readSource({ ...options, position } as never).ended).rejects.toMatchObject({ code: 'SLOT_MISSING' })

  const repairing = { ...options, position, onSlotLost: 'resnapshot' }
  await using reader = readSource(repairing as never)
  await reader.told('snapshot-table-finished')
  await db.query('UPDATE t SET n = 2 WHERE id < 10; DELETE FROM t WHERE id = 1')
  await reader.until(() => reader.changesOf('t').some(({ operation }) => operation === 'delete'), {
    what: 'the delete',
  })
  keep(rows, reader.batches)
  const table = (await rowsOf(db, 't', 'id')) as Row[]
  expect([...rows.values()].sort(byField('id')).map(sorted)).toEqual(table.map(sorted))
  expect(reader.batches.at(-1)!.position.toJSON()).toMatchObject({ epoch: 2 })
  const ranges = reader.batches.map(({ range }) => range).filter((range) => range !== undefined)
  expect(ranges[0]).toMatchObject({ schema: 'public', name: 't', key: ['id'], after: undefined, again: true })
  expect(ranges.at(-1)!.upTo).toBeUndefined()
})

test('a table that is wanted no more leaves the publication also where the slot is gone', async () => {
  await using db = await testDatabase(
    server,
    'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY); INSERT INTO t VALUES (1)',
  )
  db.expectSlots = true
  const slot = `u_${db.name}`
  const published = async () => {
    const rows = await db.query<{ tablename: string }>('SELECT tablename FROM pg_publication_tables ORDER BY 1')
    return rows.map(({ tablename }) => tablename)
  }
  let position: object
  {
    await using reader = readSource({ url: db.url, tables: 't,u', slot })
    await reader.told('streaming')
    await reader.until(() => reader.batches.length > 0, { what: 'a position' })
    position = reader.batches.at(-1)!.position.toJSON()
  }
  expect(await published()).toEqual(['t', 'u'])
  await db.query('SELECT pg_drop_replication_slot($1)', [slot])
  const options = { url: db.url, tables: 't', slot, position, onSlotLost: 'resnapshot' }
  await using reader = readSource(options as never)
  await reader.told('snapshot-table-finished')
  expect(await published()).toEqual(['t'])
  await db.query('INSERT INTO t VALUES (2)')
  await reader.until(() => reader.changesOf('t').some(({ key }) => key!.id === 2), { what: 'the row' })
})
