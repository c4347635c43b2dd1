import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { TestDatabase } from '../../support/database.js'
import { urlAs } from '../../support/openSession.js'
import { Replication, rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'
import { TcpProxy } from '../../support/tcpProxy.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const between = (tables: string, sql: string, targetSql?: string) =>
  Replication.between(server, server, tables, sql, targetSql)

/** A table that shows each row that was written twice, and one that shows each that is wrong. */
const LOG = 'CREATE TABLE log (n int, pad text); CREATE TABLE t (id int PRIMARY KEY, n int)'
const INSERTS = { source: { keyless: 'inserts' } } as const

/** The server's processes that write into the target. Asked outside of it, where no transaction holds the answer fast. */
async function writers({ from, to }: Replication, condition = 'true'): Promise<number[]> {
  const rows = await from.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tailrace' AND ${condition}`,
    [to.name],
  )
  return rows.map(({ pid }) => pid)
}

const failure = (run: Promise<unknown>): Promise<{ code: string; message: string; hint: string } | undefined> =>
  run.then(
    () => undefined,
    (error) => error,
  )

describe('each row exactly once', () => {
  test('through connections that are cut at any moment', async () => {
    await using pair = await between('log,t', LOG)
    await using proxy = await TcpProxy.to(server.port)
    await pair.from.query(`INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i`)
    await pair.run(INSERTS)
    for (let round = 0; round < 20; round++) {
      await pair.from.query(`
        INSERT INTO log SELECT ${round}, repeat('x', 1000) FROM generate_series(1, 200); UPDATE t SET n = n + 1; UPDATE t SET id = -id`)
    }
    let cuts = 0
    let batches = 0
    await pair.run({
      source: { ...INSERTS.source, maxBytes: 64 * 1024 },
      destination: { url: proxy.url(pair.to.url), retryMs: 30_000 },
      onBatch: async () => {
        if (++batches % 2 === 0) return
        setTimeout(
          () => {
            if (proxy.connections > 0) cuts++
            proxy.cut()
          },
          (batches * 7) % 23,
        )
      },
    })
    expect(cuts).toBeGreaterThan(2)
    for (const table of ['log', 't']) expect(await rowsOf(pair.to, table)).toEqual(await rowsOf(pair.from, table))
  })

  test('where the session is ended in the middle of a batch', async () => {
    await using pair = await between('log,t', LOG)
    await pair.from.query('INSERT INTO t VALUES (1, 1)')
    await pair.run(INSERTS)
    await pair.from.query("INSERT INTO log VALUES (1, 'x'); UPDATE t SET n = 2")
    await pair.to.query('BEGIN; LOCK TABLE t')
    const running = pair.run(INSERTS)
    const waiting = () => writers(pair, "wait_event_type = 'Lock'")
    await waitFor(async () => (await waiting()).length > 0, { what: 'the batch to wait' })
    const [pid] = await waiting()
    await pair.to.query(`SELECT pg_terminate_backend(${pid})`)
    await waitFor(async () => (await waiting()).some((one) => one !== pid), { what: 'another session to wait' })
    await pair.to.query('COMMIT')
    await running
    for (const table of ['log', 't']) expect(await rowsOf(pair.to, table)).toEqual(await rowsOf(pair.from, table))
  })

  test('an abort ends what waits, and nothing of it is written', async () => {
    await using pair = await between('log,t', LOG)
    await pair.run(INSERTS)
    await pair.from.query('INSERT INTO t VALUES (1, 1)')
    await pair.to.query('BEGIN; LOCK TABLE t')
    const abort = new AbortController()
    const running = failure(pair.run({ ...INSERTS, destination: { signal: abort.signal } }))
    await waitFor(async () => (await writers(pair, "wait_event_type = 'Lock'")).length > 0, {
      what: 'the batch to wait',
    })
    const reason = new Error('enough')
    abort.abort(reason)
    expect(await running).toBe(reason)
    await pair.to.query('COMMIT')
    expect(await rowsOf(pair.to, 't')).toEqual([])
    await pair.expectSame('t', INSERTS)
  })

  test('where a batch was committed and its answer was lost', async () => {
    await using pair = await between('log,t', LOG)
    await pair.run(INSERTS)
    await pair.from.query("INSERT INTO log VALUES (1, 'x'), (1, 'x')")
    await pair.to.query("SET synchronous_commit = 'local'")
    const standbys = async (names: string) => {
      await pair.to.query(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`)
      await pair.to.query('SELECT pg_reload_conf()')
    }
    // Until nobody's standby has it a commit is there, but not told of.
    const running = (async () => {
      let isFirst = true
      await pair.run({
        ...INSERTS,
        onBatch: async ({ length }) => {
          if (length === 0 || !isFirst) return
          isFirst = false
          await standbys('nobody')
          await sleep(300)
        },
      })
    })()
    const waiting = () => writers(pair, "wait_event = 'SyncRep'")
    await waitFor(async () => (await waiting()).length > 0, { what: 'the commit to wait' })
    const [pid] = await waiting()
    await standbys('')
    await pair.to.query(`SELECT pg_terminate_backend(${pid})`)
    await running
    expect(await rowsOf(pair.to, 'log')).toEqual(['(1,x)', '(1,x)'])
  })

  test('a second writer takes over, and the first can write no more', async () => {
    await using pair = await between('log,t', LOG)
    await using second = pair.destination()
    await pair.from.query("INSERT INTO log VALUES (1, 'x')")
    const first = await failure(
      pair.run({
        ...INSERTS,
        onBatch: async ({ length }) => {
          if (length > 0) await second.open()
        },
      }),
    )
    expect(first).toMatchObject({ code: 'DESTINATION_FENCED', message: expect.stringContaining('"test"') })
    expect(await rowsOf(pair.to, 'log')).toEqual([])
    expect(await writers(pair)).toHaveLength(1)
    await second.close()
    await pair.expectSame('log t', INSERTS)
  })

  test('a target that is read-only for a while is waited for; not longer than is set', async () => {
    await using pair = await between('t', LOG)
    await pair.run()
    await pair.from.query('INSERT INTO t VALUES (1, 1)')
    const readOnly = (value: string) =>
      pair.to.query(`ALTER DATABASE ${pair.to.name} SET default_transaction_read_only = ${value}`)
    await using writing = pair.destination()
    await writing.open()
    await readOnly('on')
    const refused = await failure(pair.run({ destination: { retryMs: 200 } }))
    expect(refused).toMatchObject({ code: 'SERVER_ERROR', message: expect.stringContaining('25006') })
    const running = pair.run({ destination: { retryMs: 20_000 } })
    await sleep(600)
    await pair.to.query('BEGIN READ WRITE')
    await readOnly('off')
    await pair.to.query('COMMIT')
    await running
    expect(await rowsOf(pair.to, 't')).toEqual(['(1,1)'])
  })
})

test('an interrupted first copy of a table without a key leaves nothing twice', async () => {
  await using pair = await between('log,t', LOG)
  await pair.from.query(`
    INSERT INTO log SELECT i, repeat('x', 200) FROM generate_series(1, 5000) i; INSERT INTO t SELECT i, i FROM generate_series(1, 500) i`)
  const source = { ...INSERTS.source, maxBytes: 64 * 1024, snapshotWorkers: 1 }
  let rows = 0
  const stopped = await failure(
    pair.run({
      source,
      onBatch: async (batch) => {
        rows += batch.length
        if (rows > 3000) throw new Error('stopped by the test')
      },
    }),
  )
  expect(stopped!.message).toBe('stopped by the test')
  expect(await rowsOf(pair.to, 'log')).toEqual([])
  rows = 0
  const ended = await failure(
    pair.run({
      source,
      onBatch: async (batch) => {
        rows += batch.length
        if (rows > 3000)
          for (const pid of await writers(pair)) await pair.from.query(`SELECT pg_terminate_backend(${pid})`)
      },
    }),
  )
  expect(ended!.code).toMatch(/^CONNECTION_LOST|SERVER_UNAVAILABLE$/)
  expect(await rowsOf(pair.to, 'log')).toEqual([])
  await pair.from.query("INSERT INTO log VALUES (0, 'new')")
  await pair.expectSame('log t', { source })
})

describe('rows that the target rejects', () => {
  const SOURCE = 'CREATE TABLE t (id int PRIMARY KEY, n text, m text)'
  const CASES: readonly [what: string, targetSql: string, insert: string, expected: object][] = [
    [
      'NOT NULL',
      'CREATE TABLE t (id int PRIMARY KEY, n text NOT NULL, m text)',
      'NULL, NULL',
      { sqlstate: '23502', column: 'n' },
    ],
    [
      'CHECK',
      "CREATE TABLE t (id int PRIMARY KEY, n text CONSTRAINT short CHECK (n <> 'bad'), m text)",
      "'bad', NULL",
      { sqlstate: '23514', constraint: 'short' },
    ],
    [
      'a unique column',
      'CREATE TABLE t (id int PRIMARY KEY, n text, m text UNIQUE)',
      "'bad', 'm5'",
      { sqlstate: '23505', constraint: 't_m_key' },
    ],
    ['a type', 'CREATE TABLE t (id int PRIMARY KEY, n text, m varchar(4))', "'bad', 'too long'", { sqlstate: '22001' }],
  ]

  test.each(CASES)(
    '%s: the row is named, nothing of its batch is there, and it goes on once mended',
    async (_, targetSql, values, expected) => {
      await using pair = await between('t', SOURCE, targetSql)
      await pair.from.query("INSERT INTO t SELECT i, 'n', 'm' || i FROM generate_series(1, 9) i")
      await pair.run()
      await pair.from.query(`
      BEGIN; INSERT INTO t SELECT i, 'n', 'n' || i FROM generate_series(10, 30) i; INSERT INTO t VALUES (77, ${values});
      INSERT INTO t SELECT i, 'n', 'n' || i FROM generate_series(31, 50) i; COMMIT`)
      const lengths: number[] = []
      const failed = await failure(pair.run({ onBatch: async ({ length }) => lengths.push(length) }))
      expect(failed).toMatchObject({ code: 'ROW_REJECTED', details: { table: 'public.t', key: 'id=77', ...expected } })
      expect(failed!.message).toContain('create of id=77')
      const before = lengths.slice(0, -1).reduce((sum, length) => sum + length, 9)
      expect(await rowsOf(pair.to, 't')).toHaveLength(before)
      await pair.to.query(
        'ALTER TABLE t ALTER n DROP NOT NULL, DROP CONSTRAINT IF EXISTS short, DROP CONSTRAINT IF EXISTS t_m_key, ALTER m TYPE text',
      )
      await pair.expectSame('t')
    },
  )

  test('put aside with the reason, where that is set; the rest is written', async () => {
    await using pair = await between('t', SOURCE, CASES[1]![1])
    await pair.from.query("INSERT INTO t VALUES (1, 'bad', 'x'), (2, 'good', 'y')")
    const options = { destination: { onRejected: 'dead-letter', checkpointSchema: 'Own state' } } as const
    await pair.run(options)
    await pair.from.query("INSERT INTO t VALUES (3, 'good', 'y'), (4, 'bad', 'y'); UPDATE t SET m = 'z' WHERE id < 3")
    await pair.run(options)
    expect(await rowsOf(pair.to, 't')).toEqual(['(2,good,z)', '(3,good,y)'])
    const letters = await pair.to.query(
      `SELECT source, target, sqlstate, record ->> 'operation' AS operation, record -> 'after' AS after FROM "Own state".dead_letter ORDER BY at, id`,
    )
    const letter = (operation: string, after: object) => {
      return { source: 'test', target: 'public.t', sqlstate: '23514', operation, after }
    }
    expect(letters).toEqual([
      letter('snapshot', { id: 1, n: 'bad', m: 'x' }),
      letter('create', { id: 4, n: 'bad', m: 'y' }),
      letter('update', { id: 1, n: 'bad', m: 'z' }),
    ])
  })

  test('an update whose values stand at a row that is gone', async () => {
    const sql = 'CREATE TABLE t (id int PRIMARY KEY, n text, m text); ALTER TABLE t ALTER m SET STORAGE EXTERNAL'
    await using pair = await between('t', sql)
    await pair.from.query("INSERT INTO t SELECT i, 'n', repeat('m', 3000) FROM generate_series(1, 3) i")
    await pair.expectSame('t')
    await pair.to.query('DELETE FROM t WHERE id = 2')
    await pair.from.query("UPDATE t SET n = 'new'")
    expect(await failure(pair.run())).toMatchObject({
      code: 'ROW_REJECTED',
      details: { key: 'id=2', sqlstate: undefined },
      hint: expect.stringContaining("toast: 'fetch'"),
    })
    await pair.expectSame('t', { source: { toast: 'fetch' } })
  })
})

describe('what the target lacks is said before anything is written', () => {
  test.each<[what: string, targetSql: string, code: string, hint: string]>([
    ['the table', '', 'TARGET_TABLE_MISSING', 'pg_dump'],
    ['a column', 'CREATE TABLE t (id int PRIMARY KEY)', 'TARGET_COLUMN_MISSING', 'ADD COLUMN "N" numeric(5,2)'],
    [
      'a key',
      'CREATE TABLE t (id int NOT NULL, "N" text, UNIQUE ("N"))',
      'TARGET_KEY_MISSING',
      'UNIQUE INDEX ON public.t (id)',
    ],
    [
      'a key that holds for all rows',
      'CREATE TABLE t (id int, "N" text); CREATE UNIQUE INDEX ON t (id) WHERE id > 0',
      'TARGET_KEY_MISSING',
      'UNIQUE INDEX ON',
    ],
    ['being a table', 'CREATE VIEW t AS SELECT 1 AS id, 2 AS "N"', 'TARGET_NOT_A_TABLE', 'name a table'],
  ])('%s', async (_, targetSql, code, hint) => {
    await using pair = await between(
      't',
      'CREATE TABLE t (id int PRIMARY KEY, "N" numeric(5, 2)); INSERT INTO t VALUES (1, 2)',
      targetSql,
    )
    expect(await failure(pair.run())).toMatchObject({
      code,
      message: expect.stringContaining('public.t'),
      hint: expect.stringContaining(hint),
    })
  })

  test('a right; and what a role without special rights needs', async () => {
    await using pair = await between('t', 'CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 2)')
    await pair.to.query(`
      DO $$ BEGIN CREATE ROLE writer LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
      GRANT CREATE, TEMPORARY ON DATABASE ${pair.to.name} TO writer; GRANT USAGE ON SCHEMA public TO writer`)
    const destination = { url: urlAs(pair.to.url, 'writer') }
    const denied = await failure(pair.run({ destination }))
    expect(denied).toMatchObject({ code: 'TARGET_DENIED', message: expect.stringContaining('table t') })
    await pair.to.query('GRANT SELECT, INSERT, UPDATE, DELETE ON t TO writer')
    await pair.expectSame('t', { destination })
    await pair.from.query('UPDATE t SET id = 2; INSERT INTO t VALUES (3, 4)')
    await pair.expectSame('t', { destination })
    expect(await failure(pair.run({ destination: { ...destination, replicationRole: 'replica' } }))).toMatchObject({
      code: 'TARGET_DENIED',
    })
    await pair.to.query('DROP OWNED BY writer')
  })

  test('a change without a key', async () => {
    await using pair = await between('t', 'CREATE TABLE t (n int); ALTER TABLE t REPLICA IDENTITY FULL')
    await pair.from.query('INSERT INTO t VALUES (1)')
    await pair.expectSame('t')
    await pair.from.query('DELETE FROM t')
    expect(await failure(pair.run())).toMatchObject({
      code: 'KEY_NOT_TOLD',
      message: expect.stringContaining('no key'),
    })
  })

  test('a table that was altered under a run is looked at again', async () => {
    await using pair = await between('t', 'CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1)')
    await pair.expectSame('t')
    await pair.from.query("UPDATE t SET n = 2; ALTER TABLE t ADD COLUMN added text; INSERT INTO t VALUES (2, 1, 'x')")
    await pair.to.query('ALTER TABLE t ADD COLUMN added text')
    await pair.expectSame('t')
    await pair.from.query('INSERT INTO t SELECT i, i FROM generate_series(10, 4000) i; UPDATE t SET n = 0')
    let altered = false
    const onBatch = async () => {
      if (altered) return
      altered = true
      await pair.to.query(
        'ALTER TABLE t RENAME TO gone; CREATE TABLE t (added text, n bigint, id int PRIMARY KEY); INSERT INTO t SELECT added, n, id FROM gone',
      )
    }
    await pair.run({ source: { maxBytes: 64 * 1024 }, onBatch })
    const rows = (db: TestDatabase) => db.query('SELECT id, n::int, added FROM t ORDER BY id')
    expect(await rows(pair.to)).toEqual(await rows(pair.from))
  })
})
