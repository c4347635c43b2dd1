import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { NdjsonEncoder } from '../../../src/codec/ndjson.js'
import { ByteWriter } from '../../../src/core/byteWriter.js'
import { formatLsn } from '../../../src/postgres/lsn.js'
import { CaptureSet } from '../../../src/source/captureSet.js'
import { Connections } from '../../../src/source/connections.js'
import { parseOptions } from '../../../src/source/options.js'
import { prepare } from '../../../src/source/preparation.js'
import { ApartReader, type ApartRow } from '../../../src/source/scan/apartReader.js'
import { unreadTable } from '../../../src/source/scan/progress.js'
import type { TableScan } from '../../../src/source/scan/tableScan.js'
import { testDatabase } from '../../support/database.js'
import { openSession } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** The row of key 1 of `t` is wanted while somebody who alters the table has it locked; gives the row as NDJSON, parsed. */
async function readWhile(alter: string): Promise<Record<string, unknown>> {
  await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 7)')
  const options = parseOptions({ url: db.url, tables: 't' })
  const over = new AbortController()
  const connections = new Connections(options.connection, options.replication, over.signal)
  try {
    const prepared = await prepare(connections.control, options, undefined)
    const capture = new CaptureSet(prepared, prepared.planned, [], options, () => {})
    const { table } = prepared.planned[0]!
    const delivered: ApartRow[] = []
    const failures: unknown[] = []
    const reader = new ApartReader({
      connections,
      capture,
      emit: () => {},
      deliver: (_, row) => delivered.push(row),
      isScanned: () => true,
      onGone: () => failures.push('gone'),
      onOtherKey: () => failures.push('another key'),
      onFailure: (error) => failures.push(error),
      signal: over.signal,
    })
    await using migration = await openSession(db.url)
    await migration.query(`BEGIN; ${alter}`)
    const scan = { progress: unreadTable({ ...table, id: 'one', key: ['id'] }) } as unknown as TableScan
    reader.want(scan, ['1'], { xid: 1, commitLsn: 1n, commitTime: 0n })
    const blocked = `SELECT FROM pg_stat_activity WHERE pg_blocking_pids(pid) && ARRAY[${migration.processId}]`
    await waitFor(async () => (await db.query(blocked)).length > 0, { what: 'the reader to wait for the lock' })
    await migration.query('COMMIT')
    await waitFor(() => delivered.length + failures.length > 0, { what: 'the row' })
    expect(failures).toEqual([])
    const [{ rows, reading }] = delivered as [ApartRow]
    const writer = new ByteWriter(1024)
    new NdjsonEncoder({ format: 'ndjson' }).write(writer, rows)
    const { after, id, table: name } = JSON.parse(Buffer.concat(writer.take()).toString())
    expect(id).toBe(`${formatLsn(reading.until)}/public.${name}/1`)
    return after
  } finally {
    over.abort()
    await connections.close()
  }
}

test.concurrent.each([
  ['a column with another name', 'ALTER TABLE public.t RENAME n TO number', { id: 1, number: 7 }],
  ['a column of another type', 'ALTER TABLE public.t ALTER n TYPE text', { id: 1, n: '7' }],
  ['another column', 'ALTER TABLE public.t ADD more int DEFAULT 8', { id: 1, n: 7, more: 8 }],
  ['another name', 'ALTER TABLE public.t RENAME TO other', { id: 1, n: 7 }],
])('a row that is read by itself is read in the shape that was locked: %s', async (_, alter, row) => {
  expect(await readWhile(alter)).toEqual(row)
})
