import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { PositionJson } from '../../../src/core/record.js'
import { Checkpoint } from '../../../src/destination/checkpoint.js'
import type { DestinationOptions } from '../../../src/destination/options.js'
import type { PostgresDestination } from '../../../src/destination/postgresDestination.js'
import { Batch } from '../../../src/source/batch.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'
import { openSession } from '../../support/openSession.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, note text)'
const TRANSACTIONS = 6
const ROWS = 2000

/** On the target: what wrote rows is counted in a sequence, also where it is rolled back, and in a table where it is committed. */
const COUNTS = `
  CREATE SEQUENCE tries; CREATE TABLE writes ();
  CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM nextval('public.tries'); INSERT INTO public.writes DEFAULT VALUES; RETURN NULL;
  END $$;
  CREATE TRIGGER counts AFTER INSERT OR UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION counts();
  ALTER TABLE t ENABLE ALWAYS TRIGGER counts`

/** Both sides have the rows, and the source so many transactions more that update all of them. */
async function changed(): Promise<Replication> {
  const pair = await Replication.between(server, server, 't', TABLE, `${TABLE}; ${COUNTS}`)
  await pair.from.query(`INSERT INTO t SELECT i, '0' FROM generate_series(1, ${ROWS}) i`)
  await pair.run()
  for (let n = 1; n <= TRANSACTIONS; n++) await pair.from.query(`UPDATE t SET note = '${n} ' || repeat('x', 200)`)
  return pair
}

interface RunOptions {
  readonly destination?: Partial<DestinationOptions>
  /** Called when a batch is written, and the one behind it has been told; false: nothing more is written. */
  readonly onWritten?: (index: number, writing: PostgresDestination) => Promise<unknown>
}

/** Tells of each batch while the one before is written, as a pipeline does. */
async function run(pair: Replication, { destination, onWritten }: RunOptions = {}): Promise<void> {
  await using writing = pair.destination(destination)
  const batches = await transactionsBehind(pair, await writing.open())
  for (const [index, batch] of batches.entries()) {
    const written = writing.write(batch)
    written.catch(() => {})
    await new Promise(setImmediate)
    if (batches[index + 1] !== undefined) writing.prepare(batches[index + 1]!)
    await written
    if ((await onWritten?.(index, writing)) === false) return
  }
}

/** Each as one batch: how the source cuts them depends on the machine, and what is small is never sent ahead. */
async function transactionsBehind(pair: Replication, position: PositionJson | undefined): Promise<Batch[]> {
  await using reading = new PostgresSource({ url: pair.from.url, tables: 't', slot: pair.from.name, position })
  const transactions: Batch[][] = []
  for await (const batch of reading) {
    for (let from = 0, to: number; from < batch.length; from = to) {
      const { seq } = updateAt(batch, from)
      to = Math.min(batch.length, from + ROWS - seq)
      if (seq === 0) transactions.push([])
      transactions.at(-1)!.push(batch.part(from, to))
    }
    if (batch.length === 0) continue
    const { seq, after } = updateAt(batch, batch.length - 1)
    // Not to the end of a run, which waits for acknowledgements.
    if (seq === ROWS - 1 && after.text('note')!.startsWith(`${TRANSACTIONS} `)) break
  }
  return transactions.map((parts) => Batch.join(parts))
}

function updateAt(batch: Batch, index: number) {
  const record = batch.at(index)!
  if (record.operation !== 'update') throw new Error(`a record of ${record.operation}`)
  return record
}

/** Whether a session that writes has a transaction open. */
async function isOpen(pair: Replication): Promise<boolean> {
  const rows = await pair.to.query(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend' AND xact_start IS NOT NULL`,
  )
  return rows.length > 0
}

/** Something was written that is not committed: it still may be, or was rolled back. */
async function isAhead(pair: Replication): Promise<boolean> {
  const [row] = await pair.to.query<{ ahead: boolean }>(
    "SELECT coalesce(pg_sequence_last_value('tries'), 0) > (SELECT count(*) FROM writes) AS ahead",
  )
  return row!.ahead
}

const notes = async (pair: Replication) => {
  const rows = await pair.to.query<{ n: string }>(`SELECT DISTINCT left(note, 1) AS n FROM t ORDER BY 1`)
  return rows.map(({ n }) => n)
}

test('the next batch is written meanwhile, and nothing but its turn commits it', async () => {
  await using pair = await changed()
  await run(pair, {
    onWritten: async (index) => {
      if (index === 0) await waitFor(() => isAhead(pair), { what: 'the next batch to be written', timeoutMs: 30_000 })
      return index < 3
    },
  })
  await waitFor(async () => !(await isOpen(pair)), { what: 'end of the transaction' })
  expect(await notes(pair)).toEqual(['4'])
  await run(pair)
  expect(await rowsOf(pair.to, 't')).toEqual(await rowsOf(pair.from, 't'))
})

test('where its turn does not come soon it is rolled back, and written when it comes', async () => {
  await using pair = await changed()
  await run(pair, {
    onWritten: async (index) => {
      if (index > 0) return
      await waitFor(() => isAhead(pair), { what: 'the next batch to be written', timeoutMs: 30_000 })
      await waitFor(async () => !(await isOpen(pair)), { what: 'end of the transaction' })
      expect(await notes(pair)).toEqual(['1'])
    },
  })
  expect(await rowsOf(pair.to, 't')).toEqual(await rowsOf(pair.from, 't'))
})

test('a row that is rejected is told, or put aside, whatever was sent behind it', async () => {
  await using pair = await changed()
  const refuse = (n: number) => pair.to.query(`ALTER TABLE t ADD CHECK (NOT (id = 1000 AND note LIKE '${n} %'))`)
  await refuse(2)
  expect(await failureOf(run(pair))).toMatchObject({ code: 'ROW_REJECTED' })
  expect(await notes(pair)).not.toContain('3')
  await pair.to.query('ALTER TABLE t DROP CONSTRAINT t_check')
  for (const n of [2, 3, 5]) await refuse(n)
  await run(pair, { destination: { onRejected: 'dead-letter' } })
  expect(await rowsOf(pair.to, 't')).toEqual(await rowsOf(pair.from, 't'))
  expect(await pair.to.query('SELECT count(*)::int AS count FROM tailrace.dead_letter')).toEqual([{ count: 3 }])
})

test('a connection that is cut between two batches, or while one is written', async () => {
  await using pair = await changed()
  const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()`
  let cuts = 0
  await run(pair, {
    onWritten: async (index) => {
      if (index > 3) return
      await pair.to.query(cut)
      // And once more, at whatever comes next.
      if (index < 2) setTimeout(() => pair.to.query(cut).catch(() => {}), 100)
      cuts++
    },
  })
  expect(cuts).toBeGreaterThan(2)
  expect(await rowsOf(pair.to, 't')).toEqual(await rowsOf(pair.from, 't'))
})

test('commits that do not wait for the disk are made durable in between', async () => {
  await using pair = await changed()
  await run(pair, {
    destination: { synchronousCommit: 'off' },
    onWritten: async (_, writing) => {
      expect(await writing.flush()).toBe(true)
    },
  })
  expect(await rowsOf(pair.to, 't')).toEqual(await rowsOf(pair.from, 't'))
})

test('what is open for a batch to come and idle for ten seconds is ended by the server: the process may be asleep, or cut off', async () => {
  await using pair = await Replication.between(server, server, 't', TABLE)
  await using asleep = await openSession(pair.to.url)
  const checkpoint = new Checkpoint('tailrace', 'test', 0)
  await checkpoint.claim(asleep, [])
  // As the batch before it does.
  await pair.to.query('UPDATE tailrace.checkpoint SET version = version + 1')
  const opening = checkpoint.openingNext
  expect(opening).toContain("'10s'")
  await asleep.query(opening.replace("'10s'", "'100ms'"))
  const isFree = () =>
    pair.to.query('SELECT FROM tailrace.checkpoint FOR UPDATE NOWAIT').then(
      () => true,
      () => false,
    )
  expect(await isFree()).toBe(false)
  await waitFor(isFree, { what: 'the row to be free' })
})
