import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { EmbeddedPostgres } from '../../src/cli/embedded/server.js'
import { waitFor } from './waitFor.js'

/** What a test left behind is given this long to go away by itself: a closed socket's backend needs a moment, on a busy machine more. */
const LEFT_OVER_MS = 5_000
/** A server that no longer answers is not waited for. */
const CLOSE_MS = 2_000

type TestedServer = Pick<EmbeddedPostgres, 'url' | 'pid'>
type Row = Record<string, unknown>

let databases = 0

/**
 * A database of its own for one test: `await using db = await testDatabase(server, 'CREATE TABLE …')`. At the end of
 * the scope it is dropped, and the test fails if somebody is still connected to it, or left a replication slot.
 */
export async function testDatabase(
  server: TestedServer,
  sql?: string,
  name = `test_${process.pid}_${++databases}`,
): Promise<TestDatabase> {
  await asAdmin(server, (admin) => admin.query(`CREATE DATABASE ${name}`))
  const db = new TestDatabase(server, name, await connect(server.url(name)))
  try {
    if (sql !== undefined) await db.client.query(sql)
    return db
  } catch (error) {
    await db[Symbol.asyncDispose]()
    throw error
  }
}

export class TestDatabase implements AsyncDisposable {
  readonly name: string
  readonly url: string
  /** Connected to it from the start. */
  readonly client: pg.Client
  /** Set it when the test means to leave permanent replication slots; they are dropped without a word then. */
  expectSlots = false
  readonly #server: TestedServer
  readonly #clients: pg.Client[]

  constructor(server: TestedServer, name: string, client: pg.Client) {
    this.#server = server
    this.name = name
    this.url = server.url(name)
    this.client = client
    this.#clients = [client]
  }

  /** The rows of one statement, through `client`. */
  async query<R extends Row = Row>(sql: string, values?: readonly unknown[]): Promise<R[]> {
    return (await this.client.query<R>(sql, values && [...values])).rows
  }

  /** A further connection, closed at the end. */
  async connect(options: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = await connect(this.url, options)
    this.#clients.push(client)
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.splice(0).map(close))
    if (this.#server.pid === undefined) return // the test stopped the server; the data goes with its folder
    const leaks = await asAdmin(this.#server, (admin) => this.#drop(admin))
    if (leaks.length > 0) throw new Error(`the test left behind in database ${this.name}:\n  ${leaks.join('\n  ')}`)
  }

  async #drop(admin: pg.Client): Promise<string[]> {
    const leaks = await connectionsLeft(admin, this.name)
    const slots = await slotsLeft(admin, this.name)
    if (!this.expectSlots)
      leaks.push(...slots.map((slot) => `replication slot "${slot}" (or set db.expectSlots = true)`))
    for (const slot of slots) await dropSlot(admin, slot)
    await this.#rollBackPrepared(admin)
    await admin.query(`DROP DATABASE ${this.name} WITH (FORCE)`)
    return leaks
  }

  /** A prepared transaction outlives its session, and can be ended in its own database only. */
  async #rollBackPrepared(admin: pg.Client): Promise<void> {
    const prepared = await admin.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = $1', [
      this.name,
    ])
    if (prepared.rows.length === 0) return
    const client = await connect(this.url)
    for (const { gid } of prepared.rows) await client.query(`ROLLBACK PREPARED ${client.escapeLiteral(gid)}`)
    await client.end()
  }
}

async function connectionsLeft(admin: pg.Client, database: string): Promise<string[]> {
  for (const deadline = Date.now() + LEFT_OVER_MS; ; await sleep(25)) {
    const { rows } = await admin.query<{ line: string }>(
      `SELECT format('connection %s: %s "%s", %s, last query: %s',
                     pid, backend_type, application_name, state, left(query, 200)) AS line
         FROM pg_stat_activity
        WHERE datname = $1 AND backend_type IN ('client backend', 'walsender')`,
      [database],
    )
    if (rows.length === 0 || Date.now() > deadline) return rows.map((row) => row.line)
  }
}

async function slotsLeft(admin: pg.Client, database: string): Promise<string[]> {
  const { rows } = await admin.query<{ slot_name: string }>(
    'SELECT slot_name FROM pg_replication_slots WHERE database = $1 AND NOT temporary ORDER BY 1',
    [database],
  )
  return rows.map((row) => row.slot_name)
}

async function dropSlot(admin: pg.Client, slot: string): Promise<void> {
  const released = async () => {
    const { rowCount } = await admin.query(
      'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL',
      [slot],
    )
    return rowCount === 0
  }
  await waitFor(released, { what: `replication slot "${slot}" to be released` })
  await admin.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [slot])
}

async function asAdmin<T>(server: TestedServer, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = await connect(server.url('postgres'))
  try {
    return await work(admin)
  } finally {
    await close(admin)
  }
}

async function connect(connectionString: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ application_name: 'tailrace test', ...options, connectionString })
  // a test that crashes the server loses its connections: they fail when next used, not as an uncaught exception
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Without waiting for a server that no longer answers. */
async function close(client: pg.Client): Promise<void> {
  const late = new AbortController()
  await Promise.race([client.end(), sleep(CLOSE_MS, undefined, { signal: late.signal })]).catch(() => {})
  late.abort()
}
