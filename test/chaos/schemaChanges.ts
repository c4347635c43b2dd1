import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { quoteQualified } from '../../src/postgres/identifier.js'
import { extraName } from './extraColumns.js'
import type { Random } from './random.js'
import { type ChaosTable, chaosTables, nameOf } from './tables.js'
import { EXPECTED_FAILURES, isLost } from './workload.js'

interface Extra {
  readonly number: number
  readonly prefix: 'x' | 'r'
  readonly type: 'int4' | 'int8' | 'text'
}

const MAX_EXTRA = 3
/** Without a pause in which nothing changes every transaction would wait for its locks. */
const MIN_PAUSE_MS = 300
const MAX_PAUSE_MS = 1500
const CONNECT_AGAIN_MS = 100
const UNDEFINED_COLUMN = '42703'
const DUPLICATE_COLUMN = '42701'

/** Adds, alters, renames and drops columns of the tables, until it is told to stop. */
export class SchemaChanges {
  readonly done = new Map<string, number>()
  readonly #url: string
  readonly #random: Random
  readonly #extras = new Map<string, Extra[]>()
  readonly #changing: Promise<void>
  #number = 1000
  #stopping = false
  failure: unknown

  constructor(url: string, random: Random) {
    this.#url = url
    this.#random = random
    this.#changing = this.#run().catch((error) => {
      this.failure = error
    })
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#changing
    if (this.failure !== undefined) throw this.failure
  }

  toString(): string {
    return [...this.done].map(([what, count]) => `${count} ${what}`).join(', ') || 'none'
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const client = new pg.Client({ connectionString: this.#url, application_name: 'schema changes' })
      client.on('error', () => {})
      try {
        await client.connect()
        while (!this.#stopping) {
          await this.#change(client)
          await pause(this.#random.integer(MIN_PAUSE_MS, MAX_PAUSE_MS))
        }
      } catch (error) {
        if (!isLost(error)) throw error
        await pause(CONNECT_AGAIN_MS)
      } finally {
        await client.end().catch(() => {})
      }
    }
  }

  async #change(client: pg.Client): Promise<void> {
    const random = this.#random
    const table = random.pick(chaosTables.filter(({ name }) => name !== 'journal'))
    const name = nameOf(table)
    const extras = this.#extras.get(name) ?? []
    const extra = extras.length === 0 ? undefined : random.pick(extras)
    const kinds = ['add', 'rename', 'retype', 'drop', 'touch'] as const
    const kind = extra === undefined ? 'add' : random.pick(kinds.slice(extras.length >= MAX_EXTRA ? 1 : 0))
    const { sql, becomes } = this.#statement(kind, table, extra)
    const others = extras.filter((one) => one !== extra)
    try {
      // Behind a lock that is held for long all writers would wait.
      await client.query(`BEGIN; SET LOCAL lock_timeout = '300ms'; ${sql}; COMMIT`)
    } catch (error) {
      if (isLost(error)) throw error
      await client.query('ROLLBACK')
      const code = (error as pg.DatabaseError).code ?? ''
      // The commit before it may have taken place, though the connection broke before we knew.
      const inDoubt = code === UNDEFINED_COLUMN || code === DUPLICATE_COLUMN
      if (!inDoubt && !EXPECTED_FAILURES.includes(code)) throw error
      if (inDoubt) this.#extras.set(name, others)
      return
    }
    this.#extras.set(name, kind === 'add' ? [...extras, ...becomes] : [...others, ...becomes])
    this.done.set(kind, (this.done.get(kind) ?? 0) + 1)
  }

  #statement(
    kind: 'add' | 'rename' | 'retype' | 'drop' | 'touch',
    table: ChaosTable,
    extra: Extra | undefined,
  ): { sql: string; becomes: Extra[] } {
    const name = quoteQualified(table.schema, table.name)
    if (kind === 'add' || extra === undefined) {
      const number = this.#number++
      // What is not constant rewrites the table.
      const value = this.#random.chance(0.7) ? number : `(${number} + 0 * extract(epoch from clock_timestamp())::int)`
      const sql = `ALTER TABLE ${name} ADD COLUMN ${extraName('x', number)} int4 DEFAULT ${value}`
      return { sql, becomes: [{ number, prefix: 'x', type: 'int4' }] }
    }
    const column = extraName(extra.prefix, extra.number)
    if (kind === 'rename') {
      const prefix = extra.prefix === 'x' ? 'r' : 'x'
      const sql = `ALTER TABLE ${name} RENAME COLUMN ${column} TO ${extraName(prefix, extra.number)}`
      return { sql, becomes: [{ ...extra, prefix }] }
    }
    if (kind === 'retype') {
      const type = extra.type === 'int4' ? 'int8' : 'text'
      return { sql: `ALTER TABLE ${name} ALTER COLUMN ${column} TYPE ${type}`, becomes: [{ ...extra, type }] }
    }
    if (kind === 'drop') return { sql: `ALTER TABLE ${name} DROP COLUMN ${column}`, becomes: [] }
    // Equal rows without a key are told apart by nothing else: they keep the default.
    const versioned = table.versioned
      ? `version = version + 1, ${column} = '${extra.number + 1}'`
      : `${column} = ${column}`
    const where = table.versioned ? 'version % 7 = 3' : 'ctid = (SELECT min(ctid) FROM readings)'
    const sql = table.name === 'visits' ? 'SELECT 1' : `UPDATE ${name} SET ${versioned} WHERE ${where}`
    return { sql, becomes: [extra] }
  }
}
