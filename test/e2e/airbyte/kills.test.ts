import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type ConnectorRun, connector, type StateMessage, startConnector } from '../../support/airbyte/connector.js'
import { configured, discovered, foldedStates, stateTypesOf } from '../../support/airbyte/syncs.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const KILLS = 5
const LONGEST_MS = 2000

test.each(stateTypesOf('global'))(
  'killed at random, and resumed from the last whole state of type %s: by key and cursor the whole is the tables',
  async (state_type) => {
    await using db = await testDatabase(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (a text PRIMARY KEY, n int);
     INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(1, 20000) i;
     INSERT INTO u SELECT 'k' || i, i FROM generate_series(1, 8000) i`,
    )
    db.expectSlots = true
    const config = { connectionURI: db.url, slot_name: `slot_${db.name}`, state_type, checkpoint_seconds: 0.1 }
    const catalog = configured(await discovered(config))
    const sink = new Sink()
    const writer = new Writer(db)
    const writing = writer.run()
    for (let kill = 0; kill < KILLS; kill++) {
      await using run = await startConnector('read', { config, catalog, state: sink.state })
      await Promise.race([run.ended, sleep(300 + Math.random() * LONGEST_MS)])
      run.kill('SIGKILL')
      await run.ended
      sink.take(run)
    }
    writer.stop()
    await writing
    const last = await connector('read', { config, catalog, state: sink.state })
    expect({ code: last.code, errors: last.errors }).toEqual({ code: 0, errors: [] })
    sink.take(last)
    expect(sink.rows('t', 'id', 'v')).toEqual(await rowsOf(db, 'SELECT id AS key, v AS value FROM t'))
    expect(sink.rows('u', 'a', 'n')).toEqual(await rowsOf(db, 'SELECT a AS key, n AS value FROM u'))
  },
)

async function rowsOf(db: TestDatabase, sql: string): Promise<string[]> {
  return (await db.query(sql)).map(({ key, value }) => `${key}: ${value}`).sort()
}

/** What a destination that keeps rows by key has, and the states that it has stored. */
class Sink {
  readonly #records = new Map<string, Readonly<Record<string, unknown>>>()
  readonly #states: StateMessage[] = []

  get state(): readonly object[] {
    return foldedStates(this.#states)
  }

  take(run: ConnectorRun): void {
    this.#states.push(...run.states)
    for (const { stream, data } of run.records) {
      const key = `${stream} ${data.id ?? data.a}`
      const known = this.#records.get(key)?._ab_cdc_lsn as number | undefined
      if ((known ?? 0) <= (data._ab_cdc_lsn as number)) this.#records.set(key, data)
    }
  }

  rows(stream: string, key: string, value: string): string[] {
    const live = [...this.#records].filter(
      ([id, row]) => id.startsWith(`${stream} `) && row._ab_cdc_deleted_at === null,
    )
    return live.map(([, row]) => `${row[key]}: ${row[value]}`).sort()
  }
}

/** Transactions of all kinds, one after another. */
class Writer {
  readonly #db: TestDatabase
  #stopped = false

  constructor(db: TestDatabase) {
    this.#db = db
  }

  stop(): void {
    this.#stopped = true
  }

  async run(): Promise<void> {
    const client = await this.#db.connect()
    const upTo = (most: number) => 1 + Math.floor(Math.random() * most)
    for (let n = 1; !this.#stopped; n++) {
      const one = `(SELECT a FROM u OFFSET ${upTo(3000)} LIMIT 1)`
      const changes = [
        `UPDATE t SET v = 'u${n}' WHERE id BETWEEN ${upTo(20_000)} AND ${upTo(20_000)}`,
        `UPDATE t SET v = 'w${n}' WHERE id = ${upTo(20_000)}`,
        `DELETE FROM t WHERE id = ${upTo(20_000)}`,
        `INSERT INTO t VALUES (${upTo(21_000)}, 'i${n}') ON CONFLICT (id) DO UPDATE SET v = 'c${n}'`,
        `UPDATE u SET a = a || 'x', n = ${n} WHERE a = ${one}`,
        `DELETE FROM u WHERE a = ${one}`,
        `INSERT INTO u VALUES ('k${upTo(8000)}', ${n}) ON CONFLICT (a) DO UPDATE SET n = ${n}`,
      ]
      // The first is large, and seldom.
      const chosen = changes.filter((_, index) => Math.random() < (index === 0 ? 0.005 : 0.4))
      await client.query(['BEGIN', ...chosen, Math.random() < 0.9 ? 'COMMIT' : 'ROLLBACK'].join(';'))
      await sleep(3)
    }
  }
}
