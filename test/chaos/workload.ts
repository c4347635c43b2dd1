import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Mix } from './mixes.js'
import type { Random } from './random.js'
import { type Kind, transaction } from './transactions.js'

/** What goes wrong between sessions in real life: a deadlock, a row moved away, a lock not had, the same key twice. */
export const EXPECTED_FAILURES = ['40P01', '40001', '55P03', '23505']

const CONNECT_AGAIN_MS = 100

/** Several sessions that change the tables until they are told to stop, also after the server was restarted. */
export class Workload {
  readonly committed = new Map<Kind, number>()
  readonly #url: string
  readonly #mix: Mix
  #failed = 0
  #lost = 0
  #stopping = false
  readonly #writers: Promise<void>[]
  #failure: unknown

  constructor(url: string, writers: number, mix: Mix, random: Random) {
    this.#url = url
    this.#mix = mix
    this.#writers = Array.from({ length: writers }, (_, writer) => {
      const writing = this.#write(writer, random.fork())
      writing.catch((error) => {
        this.#failure ??= error
      })
      return writing
    })
  }

  /** Why a writer ended before it was told to. */
  get failure(): unknown {
    return this.#failure
  }

  /** Commits a transaction that changes as many rows as there are, up to 60,000. */
  async huge(): Promise<void> {
    try {
      const client = await this.#connect('huge')
      try {
        await client.query('UPDATE items SET version = version + 1 WHERE id IN (SELECT id FROM items LIMIT 60000)')
      } finally {
        await client.end()
      }
    } catch (error) {
      // The server may be away just now, or a writer was in the way.
      if (!isLost(error) && !EXPECTED_FAILURES.includes((error as pg.DatabaseError).code ?? '')) throw error
    }
  }

  /** Resolves when the last transaction has ended, prepared ones too; rejects when a writer failed. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.allSettled(this.#writers)
    if (this.#failure !== undefined) throw this.#failure
    const client = await this.#connect('the end')
    await finishPrepared(client, '')
    await client.end()
  }

  toString(): string {
    const count = [...this.committed.values()].reduce((sum, one) => sum + one, 0)
    const kinds = [...this.committed].map(([kind, one]) => `${one} ${kind}`).join(', ')
    return `${count} transactions (${kinds}), ${this.#failed} failed among each other, ${this.#lost} connections lost`
  }

  async #write(writer: number, random: Random): Promise<void> {
    while (!this.#stopping) {
      try {
        const client = await this.#connect(`writer ${writer}`)
        try {
          await finishPrepared(client, gidPrefix(writer))
          while (!this.#stopping) await this.#oneTransaction(client, writer, random)
        } finally {
          await client.end()
        }
      } catch (error) {
        if (!isLost(error)) throw error
        this.#lost++
        await pause(CONNECT_AGAIN_MS)
      }
    }
  }

  async #oneTransaction(client: pg.Client, writer: number, random: Random): Promise<void> {
    const kind = random.weighted(this.#mix.kinds)
    const gid = `${gidPrefix(writer)}${random.integer(0, 1e9)}`
    try {
      await transaction(client, { writer, kind, gid, random, mix: this.#mix })
      if (kind !== 'rolledBack') this.committed.set(kind, (this.committed.get(kind) ?? 0) + 1)
    } catch (error) {
      if (!EXPECTED_FAILURES.includes((error as pg.DatabaseError).code ?? '')) throw error
      await client.query('ROLLBACK')
      this.#failed++
    }
    await pause(random.integer(0, this.#mix.maxPauseMs))
  }

  async #connect(name: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.#url, application_name: name })
    // A lost connection fails the next query.
    client.on('error', () => {})
    await client.connect()
    return client
  }
}

function gidPrefix(writer: number): string {
  return `chaos_${writer}_`
}

/** A prepared transaction outlives its session and the server, and holds its locks. */
async function finishPrepared(client: pg.Client, prefix: string): Promise<void> {
  const { rows } = await client.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts')
  for (const { gid } of rows) if (gid.startsWith(prefix)) await client.query(`COMMIT PREPARED '${gid}'`)
}

/** The server went away, and did not say no. */
export function isLost(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return true
  return /^(57P0[123]|08\d{3})$/.test(error.code ?? '')
}
