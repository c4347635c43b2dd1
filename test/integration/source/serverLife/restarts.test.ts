import pg from 'pg'
import { describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import type { Batch } from '../../../../src/source/batch.js'
import type { SourceOptions } from '../../../../src/source/options.js'
import { startServer } from '../../../support/servers.js'
import { replay, requireOrder } from '../../../support/sourceReplay.js'
import { sql } from '../../../support/standby.js'
import { SupervisedSource } from '../../../support/supervisedSource.js'

const ROWS = 8000
const TABLE = `
  CREATE TABLE public.t (id int PRIMARY KEY, note text);
  INSERT INTO public.t SELECT id, repeat('x', 100) FROM generate_series(1, ${ROWS}) id`

type Mode = 'fast' | 'immediate'

const isSnapshot = (batch: Batch) => batch.at(0)?.operation === 'snapshot'

/** Restarts the server when the first batch comes for which the condition holds, with that batch in hand. */
function restartingAt(server: EmbeddedPostgres, mode: Mode, condition: (batch: Batch) => unknown) {
  const state = { restarted: false }
  let due = true
  const onBatch = async (batch: Batch) => {
    if (!due || !condition(batch)) return
    due = false
    await server.restart(mode)
    state.restarted = true
  }
  return { state, onBatch }
}

/** Changes of all kinds, then a mark; whatever the consumer has is what is in the table. */
async function requireExact(server: EmbeddedPostgres, source: SupervisedSource): Promise<void> {
  await sql(
    server,
    `UPDATE public.t SET note = 'new' WHERE id % 100 = 1; UPDATE public.t SET id = -id WHERE id % 100 = 2;
     DELETE FROM public.t WHERE id % 100 = 3; INSERT INTO public.t VALUES (0, 'mark')`,
  )
  const rows = await sql<{ id: number; note: string }>(server, 'SELECT id, note FROM public.t ORDER BY id')
  // An incremental snapshot may go on behind the mark.
  const marked = () => source.records.some(({ key }) => key?.id === 0) && replay(source.records, 't')
  await source.until(() => (marked() || []).length === rows.length, 'the mark and all rows', 30_000, 100)
  expect(replay(source.records, 't').sort((a, b) => Number(a.id) - Number(b.id))).toEqual(rows)
  requireOrder(source.records.filter(({ operation }) => operation !== 'snapshot'))
}

function options(server: EmbeddedPostgres): SourceOptions {
  return { url: server.url(), tables: 't', slot: 'lives', maxBytes: 65_536 }
}

describe.each(['fast', 'immediate'] as const)(
  'the server is restarted (%s), and the consumer has everything once',
  (mode) => {
    test('before the snapshot, while the slot waits for a transaction', async () => {
      await using server = await startServer()
      await sql(server, TABLE)
      const open = new pg.Client(server.url())
      open.on('error', () => {})
      await open.connect()
      await open.query('BEGIN; INSERT INTO public.t VALUES (100000)')
      await using source = new SupervisedSource(options(server))
      await source.until(() => source.reader.events.some(({ type }) => type === 'waiting-for-transactions'), 'the wait')
      await server.restart(mode)
      await open.end()
      await source.until(() => source.reader.events.some(({ type }) => type === 'streaming'), 'the stream')
      await requireExact(server, source)
    })

    test.each<[string, (batch: Batch, snapshotRows: number) => unknown, 'incremental'?]>([
      ['in the snapshot', (batch) => isSnapshot(batch)],
      ['in the middle of an incremental snapshot', (_, rows) => rows > ROWS / 3, 'incremental'],
      ['when the last row of the snapshot is not acknowledged yet', (_, rows) => rows === ROWS],
      [
        'between snapshot and stream',
        (batch, rows) => rows === ROWS && batch.length === 0 && batch.position.toJSON().end !== undefined,
      ],
    ])('%s', async (_, condition, strategy) => {
      await using server = await startServer()
      await sql(server, TABLE)
      let rows = 0
      const { state, onBatch } = restartingAt(server, mode, (batch) => {
        if (isSnapshot(batch)) rows += batch.length
        return condition(batch, rows)
      })
      await using source = new SupervisedSource({ ...options(server), strategy }, onBatch)
      await source.until(() => state.restarted, 'the restart', 40_000)
      await source.until(() => source.reader.events.some(({ type }) => type === 'streaming'), 'the stream')
      await requireExact(server, source)
    })

    test.each<[string, string]>([
      ['while it streams', 'INSERT INTO public.t VALUES (100001)'],
      [
        'in the middle of a large transaction',
        "INSERT INTO public.t SELECT id, repeat('y', 100) FROM generate_series(100001, 125000) id",
      ],
    ])('%s', async (_, change) => {
      await using server = await startServer()
      await sql(server, TABLE)
      let batches = 0
      const { state, onBatch } = restartingAt(
        server,
        mode,
        (batch) => batch.at(0)?.operation === 'create' && ++batches === (change.includes('125000') ? 5 : 1),
      )
      await using source = new SupervisedSource(options(server), onBatch)
      await source.until(() => source.reader?.events.some(({ type }) => type === 'streaming'), 'the stream')
      await sql(server, change)
      await source.until(() => state.restarted, 'the restart', 40_000)
      await requireExact(server, source)
      // A run lives through it.
      expect(source.errors).toEqual([])
    })
  },
)
