import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { KeyEvent } from '../../../src/destination/keyEvent.js'
import type { DestinationOptions } from '../../../src/destination/options.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const ROWS = 12_000
const TABLE = 'CREATE TABLE t (b int, a text, note text, PRIMARY KEY (a, b))'
/** About 1,600 rows a batch. */
const FILL = `INSERT INTO t SELECT i, 'k' || i, repeat('x\\', 70) FROM generate_series(1, ${ROWS}) i`

interface RunOptions {
  readonly destination?: Partial<DestinationOptions>
  readonly slot?: string
  /** Ends as if it were killed behind so many batches. */
  readonly batches?: number
  /** Called behind each batch that was written. */
  readonly onWritten?: () => Promise<unknown>
}

/** Up to now, unless it is ended before. */
async function run(pair: Replication, { destination, slot, batches, onWritten }: RunOptions = {}): Promise<void> {
  await using writing = pair.destination({ autoCreate: true, ...destination })
  const position = await writing.open()
  await using reading = new PostgresSource({
    ...{ url: pair.from.url, tables: 't', slot: slot ?? pair.from.name, until: 'current', position },
    snapshotWorkers: 1,
  })
  let written = 0
  for await (const batch of reading) {
    if (await writing.write(batch)) await batch.ack()
    await onWritten?.()
    if (++written === batches) return
  }
  await writing.end()
}

const between = async () => {
  const pair = await Replication.between(server, server, 't', TABLE, '')
  await pair.from.query(FILL)
  return pair
}

/** Columns of the primary key. */
async function keyOf({ to }: Replication): Promise<string | undefined> {
  const [row] = await to.query<{ key: string }>(
    "SELECT pg_get_constraintdef(oid) AS key FROM pg_constraint WHERE conrelid = to_regclass('t') AND contype = 'p'",
  )
  return row?.key
}

async function countOf({ to }: Replication): Promise<number> {
  const [there] = await to.query("SELECT FROM pg_class WHERE oid = to_regclass('t')")
  if (there === undefined) return 0
  const [row] = await to.query<{ rows: number }>('SELECT count(*)::int AS rows FROM t')
  return row!.rows
}

const KEY = 'PRIMARY KEY (a, b)'

async function expectWhole(pair: Replication): Promise<void> {
  expect(await rowsOf(pair.to, 't')).toEqual(await rowsOf(pair.from, 't'))
  expect(await keyOf(pair)).toBe(KEY)
  expect(await pair.to.query('SELECT FROM tailrace.pending_key')).toEqual([])
}

test('the key of a table that was made is built when its rows are copied, by whichever run copies the last', async () => {
  await using pair = await between()
  const keys: (string | undefined)[] = []
  const look = async () => keys.push((await countOf(pair)) < ROWS ? await keyOf(pair) : 'all rows')
  await run(pair, { batches: 4, onWritten: look })
  // That it was made by another run, which could, need not be said again.
  await run(pair, { batches: 3, onWritten: look, destination: { autoCreate: false } })
  expect(await countOf(pair)).toBeLessThan(ROWS)
  const noted = await pair.to.query('SELECT source, schema, name, columns FROM tailrace.pending_key')
  expect(noted).toEqual([{ source: 'test', schema: 'public', name: 't', columns: [2, 1] }])
  const required = await pair.to.query(
    "SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnotnull AND attnum > 0 ORDER BY 1",
  )
  expect(required).toEqual([{ attname: 'a' }, { attname: 'b' }])
  await run(pair, { onWritten: look })
  expect(keys.filter((key) => key !== 'all rows').length).toBeGreaterThan(6)
  expect(new Set(keys)).toEqual(new Set([undefined, 'all rows']))
  await expectWhole(pair)
  await pair.from.query(
    "UPDATE t SET note = 'new' WHERE b < 9; DELETE FROM t WHERE b > 11990; UPDATE t SET b = -b WHERE b = 20",
  )
  await run(pair)
  await expectWhole(pair)
})

test('a change that comes while rows are copied has the key built first; so has a copy that begins anew', async () => {
  await using pair = await between()
  await run(pair, { batches: 4 })
  await pair.from.query(
    "UPDATE t SET note = 'new' WHERE b = 1; DELETE FROM t WHERE b = 2; INSERT INTO t VALUES (0, 'k', '')",
  )
  const keys: (string | undefined)[] = []
  await run(pair, { onWritten: async () => keys.push((await countOf(pair)) < ROWS ? await keyOf(pair) : undefined) })
  expect(keys).toContain(KEY)
  await expectWhole(pair)

  await pair.to.query('DROP TABLE t; DELETE FROM tailrace.checkpoint')
  await run(pair, { batches: 4, slot: `${pair.from.name}_2` })
  expect([await keyOf(pair), (await countOf(pair)) > 0]).toEqual([undefined, true])
  await pair.to.query('DELETE FROM tailrace.checkpoint')
  await run(pair, { slot: `${pair.from.name}_3` })
  await expectWhole(pair)
})

test('a run that dies between the table and its first row leaves what the next one needs to know', async () => {
  await using pair = await between()
  const other = await pair.to.connect()
  await using writing = pair.destination({ autoCreate: true })
  await using reading = new PostgresSource({
    url: pair.from.url,
    tables: 't',
    slot: pair.from.name,
    snapshotWorkers: 1,
  })
  const position = await writing.open()
  expect(position).toBeUndefined()
  const failure = failureOf(
    (async () => {
      for await (const batch of reading) {
        if (batch.length > 0) await other.query('BEGIN; SELECT FROM tailrace.checkpoint FOR UPDATE')
        if (await writing.write(batch)) await batch.ack()
      }
    })(),
  )
  const isMade = async () => (await pair.to.query("SELECT to_regclass('t') AS t"))[0]!.t !== null
  await waitFor(isMade, { what: 'the table to be made' })
  const closing = writing.close()
  await pair.to.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tailrace'",
    [pair.to.name],
  )
  await closing
  expect(await failure).toBeDefined()
  await other.query('ROLLBACK')
  expect([await keyOf(pair), await countOf(pair)]).toEqual([undefined, 0])
  await reading.close()
  await run(pair, { batches: 4 })
  expect([await keyOf(pair), (await countOf(pair)) > 0]).toEqual([undefined, true])
  await run(pair)
  await expectWhole(pair)
})

test('another writer who needs the key builds it, and the first one goes on', async () => {
  await using pair = await between()
  const beside = { destination: { source: 'other', autoCreate: false }, slot: `${pair.from.name}_other` }
  let written = 0
  await run(pair, {
    onWritten: async () => {
      if (++written !== 4) return
      expect(await keyOf(pair)).toBeUndefined()
      await run(pair, beside)
      expect(await keyOf(pair)).toBe(KEY)
    },
  })
  expect(written).toBeGreaterThan(8)
  await expectWhole(pair)
})

test('a row of somebody else that has the same key is told, and when it is gone the same command goes on', async () => {
  await using pair = await between()
  await run(pair, { batches: 4 })
  await pair.to.query("INSERT INTO t SELECT b, a, 'mine' FROM t ORDER BY b LIMIT 1")
  for (let attempt = 0; attempt < 2; attempt++) {
    expect(await failureOf(run(pair))).toMatchObject({
      code: 'TARGET_KEY_NOT_BUILT',
      message: expect.stringMatching(
        /the key \(a, b\) of the target's table public\.t,.*duplicate.*\[SQLSTATE 23505\]/,
      ),
      hint: expect.stringContaining('SELECT a, b, count(*) FROM public.t GROUP BY a, b HAVING count(*) > 1;'),
    })
  }
  expect(await countOf(pair)).toBe(ROWS + 1)
  await pair.to.query("DELETE FROM t WHERE note = 'mine'")
  // What takes long is told: here the key waits for a reader.
  const reader = await pair.to.connect()
  await reader.query('BEGIN; SELECT FROM t LIMIT 1')
  const told: unknown[] = []
  const onKey = (event: KeyEvent) => {
    told.push([event.type, event.table])
    if (event.type === 'key-building') void reader.query('COMMIT')
  }
  await run(pair, { destination: { onKey } })
  expect(told).toEqual([
    ['key-building', 'public.t'],
    ['key-built', 'public.t'],
  ])
  await expectWhole(pair)
})

test('rows that are rejected while the key is to come are put aside, also where the table is followed', async () => {
  await using pair = await between()
  await run(pair, { batches: 3, destination: { evolve: true } })
  expect(await keyOf(pair)).toBeUndefined()
  await pair.to.query('ALTER TABLE t ADD CHECK (b % 500 <> 0) NOT VALID')
  await run(pair, { destination: { evolve: true, onRejected: 'dead-letter' } })
  const [{ letters } = { letters: 0 }] = await pair.to.query<{ letters: number }>(
    'SELECT count(*)::int AS letters FROM tailrace.dead_letter',
  )
  expect(letters).toBeGreaterThan(10)
  expect(await countOf(pair)).toBe(ROWS - letters)
  expect(await keyOf(pair)).toBe(KEY)
})
