import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { VerifyEvent } from '../../../src/verify/events.js'
import { startServer } from '../../support/servers.js'
import { type DatabasePair, databasePair, told } from '../../support/verifying.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const LAG_MS = 300
const UNDERWAY = 50

/** Writes to the source until the end of the scope; the same comes to the target a while later, in the same order. */
function livePair(pair: DatabasePair, statements: (n: number) => string) {
  const stop = new AbortController()
  const queue: { readonly at: number; readonly sql: string }[] = []
  let written = 0
  const write = async () => {
    while (!stop.signal.aborted) {
      // On a busy machine the target would fall ever further behind.
      if (queue.length >= UNDERWAY) {
        await sleep(5)
        continue
      }
      const sql = statements(written++)
      await pair.source.query(sql)
      queue.push({ at: performance.now() + LAG_MS, sql })
    }
  }
  const apply = async () => {
    for (let next = queue.shift(); next !== undefined || !stop.signal.aborted; next = queue.shift()) {
      if (next === undefined) await sleep(5)
      else {
        await sleep(Math.max(0, next.at - performance.now()))
        await pair.target.query(next.sql)
      }
    }
  }
  const ended = Promise.all([write(), apply()])
  return {
    get written() {
      return written
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await ended
    },
  }
}

const SQL = `
  CREATE TABLE accounts (id int PRIMARY KEY, balance int); INSERT INTO accounts SELECT n, 0 FROM generate_series(1, 20000) AS n;
  CREATE TABLE branches (id int PRIMARY KEY, balance int); INSERT INTO branches VALUES (1, 0);
  CREATE TABLE history (account int, delta int)`

/** As pgbench has it, with rows that come and go; every statement changes the one branch. */
function transaction(n: number): string {
  const id = (n * 7919) % 20_000
  return `UPDATE accounts SET balance = balance + ${n} WHERE id = ${id};
    DELETE FROM accounts WHERE id = ${30_000 + n - 20}; INSERT INTO accounts VALUES (${30_000 + n}, ${n});
    UPDATE branches SET balance = balance + ${n} WHERE id = 1;
    INSERT INTO history VALUES (${id}, ${n})`
}

test('an equal pair under writes, its target 300 ms behind, is never called different', async () => {
  await using pair = await databasePair(server, SQL)
  await using live = livePair(pair, transaction)
  await waitFor(() => live.written > UNDERWAY, { what: 'writes', timeoutMs: 30_000 })
  const begun = performance.now()
  let looked = 0
  while (performance.now() - begun < 4000) {
    const events: VerifyEvent[] = []
    const before = live.written
    const tables = await pair.verify(
      'accounts,branches,history',
      { settleSeconds: 10 },
      { onEvent: (event) => events.push(event) },
    )
    expect(tables.map(({ table, verdict, differences }) => ({ table, verdict, differences }))).toEqual(
      ['public.accounts', 'public.branches', 'public.history'].map((table) => ({
        table,
        verdict: 'equal',
        differences: [],
      })),
    )
    // Otherwise nothing was shown.
    expect(live.written).toBeGreaterThan(before)
    looked += events.filter(({ type }) => type === 'settling').length
  }
  expect(looked).toBeGreaterThan(0)
})

test('beside the writes a row that really differs is found, and repaired without touching others', async () => {
  await using pair = await databasePair(server, SQL)
  await pair.target.query('UPDATE accounts SET balance = -1 WHERE id IN (20000, 5); DELETE FROM accounts WHERE id = 6')
  // Which nobody writes.
  await using live = livePair(pair, (n) => `UPDATE accounts SET balance = balance + 1 WHERE id = ${100 + (n % 1000)}`)
  await waitFor(() => live.written > UNDERWAY, { what: 'writes', timeoutMs: 30_000 })
  const [table] = await pair.verify('accounts', { settleSeconds: 2 })
  expect(told(table!.differences)).toEqual(['different {"id":"20000"}', 'different {"id":"5"}', 'missing {"id":"6"}'])
  expect(await pair.verify('accounts', { settleSeconds: 2, repair: true })).toMatchObject([
    { verdict: 'repaired', repaired: { inserted: 1, updated: 2, deleted: 0 } },
  ])
  expect(await pair.verify('accounts', { settleSeconds: 2 })).toMatchObject([{ verdict: 'equal' }])
})
