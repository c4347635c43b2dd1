import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { bulkChange, smallChange, truncateSome } from './changes.js'
import type { Random } from './random.js'

/** Transactions by kind, and how often they come. */
const KINDS = { tiny: 60, medium: 12, savepoints: 12, held: 5, rolledBack: 6, truncate: 2, large: 3 } as const
type Kind = keyof typeof KINDS

/** What goes wrong between sessions in real life: a deadlock, a row moved away, a lock not had, the same key twice. */
const EXPECTED_FAILURES = ['40P01', '40001', '55P03', '23505']

/** So that the writers leave some of the machine to what they test. */
const MAX_PAUSE_MS = 15

/** Several sessions that change the tables until they are told to stop. */
export class Workload {
  readonly committed = new Map<Kind, number>()
  #failed = 0
  #stopping = false
  readonly #writers: Promise<void>[]
  #failure: unknown

  constructor(url: string, writers: number, random: Random) {
    this.#writers = Array.from({ length: writers }, (_, writer) => {
      const writing = write(url, writer, random.fork(), this)
      writing.catch((error) => {
        this.#failure ??= error
      })
      return writing
    })
  }

  get stopping(): boolean {
    return this.#stopping
  }

  /** Why a writer ended before it was told to. */
  get failure(): unknown {
    return this.#failure
  }

  get transactions(): number {
    return [...this.committed.values()].reduce((sum, count) => sum + count, 0)
  }

  count(kind: Kind, committed: boolean): void {
    if (committed) this.committed.set(kind, (this.committed.get(kind) ?? 0) + 1)
    else this.#failed++
  }

  /** Resolves when the last transaction has ended; rejects when a writer failed. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.allSettled(this.#writers)
    if (this.#failure !== undefined) throw this.#failure
  }

  toString(): string {
    const kinds = [...this.committed].map(([kind, count]) => `${count} ${kind}`).join(', ')
    return `${this.transactions} transactions (${kinds}), ${this.#failed} failed among each other`
  }
}

async function write(url: string, writer: number, random: Random, workload: Workload): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: `writer ${writer}` })
  // A lost connection fails the next query.
  client.on('error', () => {})
  await client.connect()
  try {
    while (!workload.stopping) {
      const kind = random.weighted(KINDS)
      try {
        await transaction(client, writer, kind, random)
        workload.count(kind, kind !== 'rolledBack')
      } catch (error) {
        await client.query('ROLLBACK').catch(() => {})
        if (!EXPECTED_FAILURES.includes((error as pg.DatabaseError).code ?? '')) throw error
        workload.count(kind, false)
      }
      await pause(random.integer(0, MAX_PAUSE_MS))
    }
  } finally {
    await client.end()
  }
}

async function transaction(client: pg.Client, writer: number, kind: Kind, random: Random): Promise<void> {
  await client.query('BEGIN')
  const changes = async (count: number) => {
    for (let i = 0; i < count; i++) await smallChange(client, random)
  }
  switch (kind) {
    case 'tiny':
      await changes(random.integer(1, 4))
      break
    case 'medium':
      await changes(2)
      await bulkChange(client, random, random.integer(20, 800))
      await changes(2)
      break
    case 'large':
      await bulkChange(client, random, random.integer(10_000, 14_000))
      break
    case 'savepoints':
      await changes(1)
      await client.query('SAVEPOINT one')
      await changes(2)
      await bulkChange(client, random, random.integer(1, 100))
      await client.query('SAVEPOINT two')
      await changes(1)
      await client.query(random.pick(['ROLLBACK TO one', 'ROLLBACK TO two', 'RELEASE one']))
      await changes(1)
      break
    case 'held':
      // Open while the slot is made and the snapshot read, changed before and after.
      await changes(2)
      await pause(random.integer(200, 1500))
      await changes(2)
      break
    case 'truncate':
      await truncateSome(client, random)
      await changes(3)
      break
    case 'rolledBack':
      await changes(2)
      await bulkChange(client, random, 200)
      break
  }
  if (kind === 'rolledBack') await client.query('ROLLBACK')
  else await commit(client, writer, kind, random)
}

/** Each transaction leaves a line in the journal, by which a lost one shows; some announce it by a logical message. */
async function commit(client: pg.Client, writer: number, kind: Kind, random: Random): Promise<void> {
  const announced = random.chance(0.3)
  const { rows } = await client.query<{ id: string }>(
    'INSERT INTO journal (writer, kind, announced) VALUES ($1, $2, $3) RETURNING id',
    [writer, kind, announced],
  )
  if (announced) await client.query(`SELECT pg_logical_emit_message(true, 'journal', $1::text)`, [rows[0]!.id])
  await client.query('COMMIT')
}
