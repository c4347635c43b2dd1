import type pg from 'pg'
import type { TestDatabase } from './database.js'
import { waitFor } from './waitFor.js'

/** `items` has a key, values that are TOASTed, and all kinds of changes; `log` has no key and only inserts. */
export const WRITTEN_TABLES = `
  CREATE TABLE items (id int8 PRIMARY KEY, n int4 NOT NULL, note text, big text);
  ALTER TABLE items ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE log (writer int4 NOT NULL, n int4 NOT NULL, note text);
  CREATE TABLE marker (n int4 PRIMARY KEY);
`
const LONG = 2500

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Set it to run with the numbers of a run that failed. */
export const SEED = Number(process.env.TAILRACE_TEST_SEED ?? Date.now() % 1_000_000)

/**
 * Sessions that write as fast as they can: transactions of all sizes, with savepoints, some rolled back, in part or
 * whole. Each has keys of its own, so that none waits for another.
 */
export class Writers implements AsyncDisposable {
  /** Transactions that were committed. */
  commits = 0
  readonly #db: TestDatabase
  readonly #sessions: number
  #running: Promise<void>[] = []
  #stopping = false
  #failure: unknown

  constructor(db: TestDatabase, sessions: number) {
    this.#db = db
    this.#sessions = sessions
  }

  async start(): Promise<void> {
    for (let writer = 0; writer < this.#sessions; writer++) {
      const client = await this.#db.connect()
      const one = new Writer(client, writer, this.#sessions, seededRandom(SEED + writer))
      this.#running.push(this.#write(one))
    }
  }

  /** Waits for so many commits from now on. */
  async committed(more: number): Promise<void> {
    const until = this.commits + more
    await waitFor(() => this.commits >= until || this.#failure, { what: `${more} commits`, timeoutMs: 30_000 })
    if (this.#failure !== undefined) throw this.#failure
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#running)
    if (this.#failure !== undefined) throw this.#failure
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#running)
  }

  async #write(writer: Writer): Promise<void> {
    try {
      while (!this.#stopping) if (await writer.transaction()) this.commits++
    } catch (error) {
      this.#failure ??= error
      this.#stopping = true
    }
  }
}

class Writer {
  readonly #client: pg.Client
  readonly #writer: number
  readonly #stride: number
  readonly #random: () => number
  #nextKey: number
  #logged = 0

  constructor(client: pg.Client, writer: number, stride: number, random: () => number) {
    this.#client = client
    this.#writer = writer
    this.#stride = stride
    this.#random = random
    this.#nextKey = 1_000_000 + writer
  }

  /** Whether it was committed. */
  async transaction(): Promise<boolean> {
    const statements = Math.ceil(12 ** this.#random())
    await this.#client.query('BEGIN')
    for (let i = 0; i < statements; i++) {
      if (this.#random() < 0.25) await this.#inSavepoint()
      else await this.#change()
    }
    const commits = this.#random() < 0.85
    await this.#client.query(commits ? 'COMMIT' : 'ROLLBACK')
    return commits
  }

  async #inSavepoint(): Promise<void> {
    const kept = this.#random() < 0.5
    await this.#client.query('SAVEPOINT s')
    await this.#change()
    if (this.#random() < 0.3) await this.#change()
    await this.#client.query(kept ? 'RELEASE s' : 'ROLLBACK TO s')
  }

  async #change(): Promise<void> {
    const kind = this.#random()
    const mine = `id % ${this.#stride} = ${this.#writer}`
    const some = `id IN (SELECT id FROM items WHERE ${mine} AND id >= ${this.#anyKey()} ORDER BY id LIMIT ${this.#few()})`
    if (kind < 0.3) return this.#insert(this.#few())
    if (kind < 0.55) return this.#run(`UPDATE items SET n = n + 1 WHERE ${some}`)
    if (kind < 0.62) return this.#run(`UPDATE items SET note = NULL, big = repeat('y', ${LONG}) WHERE ${some}`)
    if (kind < 0.7) return this.#run(`UPDATE items SET id = id + ${50_000_000 * this.#stride} WHERE ${some}`)
    if (kind < 0.8) return this.#run(`DELETE FROM items WHERE ${some}`)
    if (kind < 0.83) return this.#insert(300 + Math.floor(700 * this.#random()))
    return this.#log(this.#few())
  }

  /** Keys once used are not used again, also where they were rolled back. */
  async #insert(count: number): Promise<void> {
    const first = this.#nextKey
    this.#nextKey += count * this.#stride
    await this.#run(`
      INSERT INTO items
      SELECT id, 0, 'of ${this.#writer}', CASE WHEN id % 7 = 0 THEN repeat('x', ${LONG}) END
        FROM generate_series(${first}, ${this.#nextKey - 1}, ${this.#stride}) id`)
  }

  async #log(count: number): Promise<void> {
    const first = this.#logged + 1
    this.#logged += count
    await this.#run(`INSERT INTO log SELECT ${this.#writer}, n FROM generate_series(${first}, ${this.#logged}) n`)
  }

  async #run(sql: string): Promise<void> {
    await this.#client.query(sql)
  }

  #few(): number {
    return Math.ceil(30 ** this.#random())
  }

  #anyKey(): number {
    return this.#random() < 0.5 ? Math.floor(3000 * this.#random()) : this.#nextKey - Math.floor(2000 * this.#random())
  }
}
