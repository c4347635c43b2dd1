import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { DestinationOptions } from '../../../src/destination/options.js'
import type { PostgresDestination } from '../../../src/destination/postgresDestination.js'
import type { Batch } from '../../../src/source/batch.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'
import { asking } from '../../support/asking.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
let target: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
  // What was committed asynchronously is written by nobody for that long.
  target = await startServer({ settings: { wal_writer_delay: '10s' } })
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await target?.[Symbol.asyncDispose]()
})

const TABLES = 'CREATE TABLE log (n int); CREATE TABLE t (id int PRIMARY KEY, n int)'
const source = { keyless: 'inserts' } as const
const off = { synchronousCommit: 'off' } satisfies Partial<DestinationOptions>

/** Writes what is there, each record as a batch of its own, and gives what each write said. */
async function writeSingly(
  pair: Replication,
  writing: PostgresDestination,
  onWritten: (durable: boolean, batch: Batch) => Promise<void> = async () => {},
): Promise<boolean[]> {
  const position = await writing.open()
  await using reading = new PostgresSource({
    ...{ url: pair.from.url, tables: 'log,t', slot: pair.from.name, position, until: 'current', ...source },
  })
  const answers: boolean[] = []
  const asks = asking()
  for await (const batch of reading) {
    if (asks(batch)) break
    for (let i = 0; i < batch.length; i++) {
      const part = batch.part(i, i + 1)
      const durable = await writing.write(part)
      answers.push(durable)
      if (durable) await part.ack()
      await onWritten(durable, part)
    }
  }
  return answers
}

async function changes(pair: Replication, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await pair.from.query(`INSERT INTO log VALUES (${i}); INSERT INTO t VALUES (${i}, 0)`)
}

async function rowsAfterCrash(pair: Replication, table: string): Promise<string[]> {
  const client = await pair.to.connect()
  const { rows } = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t ORDER BY 1`)
  await client.end()
  return rows.map(({ row }) => row)
}

test('off: what a crash of the target takes away was not acknowledged, and comes again, once', async () => {
  await using pair = await Replication.between(server, target, 'log,t', TABLES)
  await pair.run({ source })
  await changes(pair, 200)
  await using writing = pair.destination(off)
  let lazy = 0
  let lost = 0
  const writingOn = writeSingly(pair, writing, async (durable) => {
    lazy = durable ? 0 : lazy + 1
    if (lazy < 5 || lost > 0) return
    await sleep(1500) // so that the source tells its server what was acknowledged
    const before = await rowsAfterCrash(pair, 'log')
    await target.restart('immediate')
    lost = before.length - (await rowsAfterCrash(pair, 'log')).length
  })
  expect(await failureOf(writingOn)).toMatchObject({
    ...{ code: 'DESTINATION_REWOUND', details: { source: 'test' }, retry: 'later' },
  })
  expect(lost).toBeGreaterThan(0)
  await pair.run({ source, writing })
  for (const table of ['log', 't']) expect(await rowsAfterCrash(pair, table)).toEqual(await rowsOf(pair.from, table))
})

test('off: flush makes what was written durable', async () => {
  await using pair = await Replication.between(server, target, 'log,t', TABLES)
  await pair.run({ source })
  await changes(pair, 50)
  await using writing = pair.destination(off)
  const answers = await writeSingly(pair, writing)
  expect(answers.filter((durable) => !durable).length).toBeGreaterThan(50)
  expect(await writing.flush()).toBe(true)
  await target.restart('immediate')
  for (const table of ['log', 't']) expect(await rowsAfterCrash(pair, table)).toEqual(await rowsOf(pair.from, table))
})

test.each(['on', 'local', 'remote_write', 'remote_apply', 'off', undefined] as const)(
  '%s, at a target that has off: what commits have',
  async (synchronousCommit) => {
    await using pair = await Replication.between(server, server, 'log,t', TABLES)
    await pair.run({ source })
    await pair.to.query(`
      CREATE TABLE seen (setting text);
      CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER see AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION see();
      ALTER TABLE t ENABLE ALWAYS TRIGGER see;
      ALTER DATABASE ${pair.to.name} SET synchronous_commit = off`)
    await changes(pair, 10)
    await using writing = pair.destination({ synchronousCommit })
    await writeSingly(pair, writing)
    const seen = await pair.to.query<{ setting: string }>('SELECT setting FROM seen')
    const settings = new Set(seen.map(({ setting }) => setting))
    // With off those wait by which batches are acknowledged.
    if (synchronousCommit === 'off') expect(settings).toContain('off')
    else expect(settings).toEqual(new Set([synchronousCommit ?? 'local']))
  },
)
