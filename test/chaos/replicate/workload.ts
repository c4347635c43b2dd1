import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Random } from '../random.js'
import { BODY, REGION } from './tables.js'

/** What a statement may fail with while others write and the server comes and goes. */
const EXPECTED = /^(40P01|40001|23505|23503|57P0[123]|08...|53300)$/
const AGAIN_MS = 200

/** Transactions that write many rows at once. */
export interface Bulks {
  /** Of all transactions. */
  readonly share: number
  readonly rows: number
  /** Behind each its session rests, so that the source makes no more than several connections take. */
  readonly restMs: number
}

const FEW_BULKS: Bulks = { share: 0.01, rows: 4000, restMs: 0 }

/** Sessions that change the five tables in transactions of all sizes, and come back when the server does. */
export class Workload {
  transactions = 0
  readonly #bulks: Bulks
  readonly #stopped = new AbortController()
  readonly #writers: Promise<void>[]
  #failure: Error | undefined
  #next = 1_000_000

  constructor(url: string, writers: number, rows: number, random: Random, bulks = FEW_BULKS) {
    this.#bulks = bulks
    this.#writers = Array.from({ length: writers }, (_, writer) => this.#write(url, writer + 1, rows, random.fork()))
  }

  /** What nobody expected. */
  get failure(): Error | undefined {
    return this.#failure
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await Promise.all(this.#writers)
  }

  async #write(url: string, writer: number, rows: number, random: Random): Promise<void> {
    let client: pg.Client | undefined
    while (!this.#stopped.signal.aborted) {
      try {
        client ??= await connect(url)
        const { sql, isBulk } = this.#transaction(writer, rows, random)
        await client.query(sql)
        this.transactions++
        await pause(random.chance(0.1) ? random.integer(20, 100) : random.integer(0, 6))
        if (isBulk) await pause(this.#bulks.restMs)
      } catch (error) {
        const { code } = error as { code?: string }
        if (code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !EXPECTED.test(code)) this.#failure ??= error as Error
        const isLost = code === undefined || /^(57P|08|53)/.test(code) || !/^[0-9A-Z]{5}$/.test(code)
        if (isLost) {
          await client?.end().catch(() => {})
          client = undefined
          await pause(AGAIN_MS)
        } else await client?.query('ROLLBACK').catch(() => {})
      }
    }
    await client?.end().catch(() => {})
  }

  #transaction(writer: number, rows: number, random: Random): { readonly sql: string; readonly isBulk: boolean } {
    const statements = random.chance(0.04) ? random.integer(50, 400) : random.integer(1, 6)
    const list = Array.from({ length: statements }, () => this.#statement(writer, rows, random))
    if (random.chance(0.1)) list.splice(1, 0, 'SAVEPOINT s', this.#statement(writer, rows, random), 'ROLLBACK TO s')
    const isBulk = random.chance(this.#bulks.share)
    if (isBulk) list.push(this.#bulk(random, rows))
    return { sql: ['BEGIN', ...list, random.chance(0.05) ? 'ROLLBACK' : 'COMMIT'].join(';\n'), isBulk }
  }

  /** Many rows at once. */
  #bulk(random: Random, rows: number): string {
    const many = this.#bulks.rows
    const from = this.#number(many)
    // Three quarters as many of those that there were at the start.
    const every = Math.max(1, Math.round(rows / (0.75 * many)))
    return random.pick([
      `INSERT INTO events SELECT n, 'bulk', n, now() FROM generate_series(${from}, ${from + many - 1}) n`,
      `INSERT INTO log SELECT 99, n, md5(n::text) FROM generate_series(${from}, ${from + many / 2 - 1}) n`,
      `UPDATE events SET amount = amount + 1 WHERE id % ${every} = ${random.integer(0, every - 1)} AND id < ${rows}`,
      `DELETE FROM events WHERE id BETWEEN ${from - 1.5 * many} AND ${from - 1.125 * many}`,
    ])
  }

  #statement(writer: number, rows: number, random: Random): string {
    const id = random.integer(1, rows)
    const some = (table: string) =>
      `id = (SELECT id FROM ${table} WHERE id >= ${random.integer(1, rows)} ORDER BY id LIMIT 1)`
    const code = `'c${random.integer(1, Math.ceil(rows / 4))}'`
    const next = this.#number(1)
    switch (random.integer(0, 16)) {
      case 0:
      case 1:
        return `INSERT INTO log VALUES (${writer}, ${next}, md5('${next}')), (${writer}, ${next}, md5('${next}'))`
      case 2:
        return `INSERT INTO documents VALUES (${next}, 0, ${BODY(next)}, E'new\\t\\\\ ''${next}''')`
      // The body is not sent.
      case 3:
      case 4:
        return `UPDATE documents SET version = version + 1 WHERE ${some('documents')}`
      case 5:
        return `UPDATE documents SET body = ${BODY(next)} WHERE ${some('documents')}`
      // With a key that changes, too, what was not sent has to be taken along.
      case 6:
        return `UPDATE documents SET id = -id - ${next} WHERE id = ${random.chance(0.5) ? next - 1 : id} AND NOT EXISTS (SELECT FROM orders WHERE document = documents.id)`
      case 7:
        return `DELETE FROM documents WHERE id = ${next - random.integer(1, 50)}`
      case 8:
        return `INSERT INTO codes VALUES (${REGION(next)}, 'n${next}', ${next}, NULL)`
      case 9:
        return `UPDATE codes SET value = value + 1 WHERE code = ${code}`
      case 10:
        return `UPDATE codes SET code = code || 'x' WHERE code = ${code} AND length(code) < 40`
      // A chain: each takes the place of the one before it.
      case 11:
        return `UPDATE codes SET region = '-' WHERE (region, code) = (${REGION(id)}, ${code}); UPDATE codes SET region = ${REGION(id)} WHERE (region, code) = (${REGION(id + 1)}, ${code}); UPDATE codes SET region = ${REGION(id + 1)} WHERE (region, code) = ('-', ${code})`
      case 12:
        return `DELETE FROM codes WHERE code = ${code}`
      case 13:
        return `INSERT INTO events VALUES (${next}, 'one', ${id} / 7.0, now())`
      case 14:
        return random.chance(0.5)
          ? `UPDATE events SET kind = kind || '.' WHERE id = ${id}`
          : `UPDATE events SET id = id + 50000000 WHERE id = ${id}`
      case 15:
        return `INSERT INTO orders SELECT ${next}, id, (SELECT max(id) FROM orders), 1, '{}' FROM documents WHERE ${some('documents')}`
      default:
        return random.chance(0.6)
          ? `UPDATE orders SET amount = amount + 0.01, tags = tags || ARRAY['${next}'] WHERE id = ${id}`
          : `DELETE FROM orders WHERE id = ${id}`
    }
  }

  #number(count: number): number {
    const first = this.#next
    this.#next += count
    return first
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => {})
  await client.connect()
  await client.query('SET idle_in_transaction_session_timeout = 0')
  return client
}
