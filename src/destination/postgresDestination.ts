import { sleep } from '../core/abort.js'
import { backoffMs } from '../core/backoff.js'
import { DESTINATION_CLOSED, TARGET_TABLE_MISSING } from '../core/destinationErrors.js'
import type { PositionJson } from '../core/record.js'
import type { Table } from '../core/table.js'
import { sqlName } from '../postgres/identifier.js'
import { sqlstateOf } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'
import type { Batch } from '../source/batch.js'
import { BatchWriter } from './batchWriter.js'
import { Checkpoint } from './checkpoint.js'
import { explained, isOfConnection, isOfRows, isOfShape, isPassing } from './failure.js'
import { type DestinationOptions, type ParsedDestination, parseDestination } from './options.js'
import { joinTarget, type Target } from './target.js'
import { findTargetTable } from './targetTable.js'
import { type Backend, connectToWrite } from './writeSession.js'

const BACKOFF = { firstMs: 100, maxMs: 5000 }

type State = 'not open' | 'open' | 'busy' | 'closed'

/**
 * Tables of a PostgreSQL database, kept as the source's are.
 *
 * ```ts
 * await using destination = new PostgresDestination({ url: COPY, source: 'shop' })
 * const position = await destination.open()
 * await using source = new PostgresSource({ url: SHOP, tables: '*', slot: 'copy', position })
 * for await (const batch of source) {
 *   // One transaction, the position in it: so nothing is written twice, or lost.
 *   if (await destination.write(batch)) await batch.ack()
 * }
 * ```
 *
 * The constructor checks the settings and throws at once; what needs the server happens in `open` and `write`, whose
 * errors are `TailraceError`s: see docs/errors.md. See docs/destination.md for what is guaranteed.
 */
export class PostgresDestination implements AsyncDisposable {
  readonly #options: ParsedDestination
  readonly #checkpoint: Checkpoint
  /** By target, what {@link BatchWriter} knows of it beyond a session. */
  readonly #takesCopies = new Map<string, boolean>()
  #state: State = 'not open'
  #writer: BatchWriter | undefined
  #backend: Backend | undefined
  #deadLetters = { count: 0, problem: '' }
  /** Of a transaction that was open for more batches: nobody has them any more. */
  #hasLostBatches = false

  constructor(options: DestinationOptions) {
    this.#options = parseDestination(options)
    this.#checkpoint = new Checkpoint(this.#options.checkpointSchema, this.#options.source)
    this.#options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /**
   * Takes the source's row in the checkpoint over, so that whoever wrote under its name before can do so no more. Gives
   * the position to go on from; undefined the first time.
   */
  async open(): Promise<PositionJson | undefined> {
    this.#enter('not open')
    let next: State = 'not open'
    try {
      const position = await this.#retrying(({ session }) => {
        return this.#checkpoint.claim(session, this.#options.onRejected === 'dead-letter')
      })
      next = 'open'
      return position
    } finally {
      this.#leave(next)
    }
  }

  /**
   * Writes a batch and its position in one transaction. True: both are durable, and the batch may be acknowledged. False: the
   * transaction stays open for the batches to come, since the source would send rows of a table without a key once more
   * to whoever goes on from here; a later batch ends it, whose acknowledgement is one of all before it.
   *
   * Batches come one at a time, in the source's order. After an error nothing of the batch was written, and the same
   * batch may be written again, unless another writer has taken over (`DESTINATION_FENCED`), or a transaction was open: then
   * `open()` says where the source is to begin.
   */
  async write<Tables extends object>(batch: Batch<Tables>): Promise<boolean> {
    this.#enter('open')
    let carefully = false
    let looked = false
    const attempt = async (writer: BatchWriter): Promise<boolean> => {
      try {
        return await writer.write(batch, carefully)
      } catch (error) {
        if (writer.holds) throw error
        if (isOfRows(error) && !carefully) {
          carefully = true
          await writer.session.query('ROLLBACK')
        } else if (isOfShape(error) && !looked) {
          looked = true
          // Its staging tables, and what it knows of the catalog, go with it.
          await this.#drop()
        } else throw error
        return attempt(await this.#connected())
      }
    }
    let next: State = 'open'
    try {
      return await this.#retrying(attempt, batch.rows.tables)
    } catch (error) {
      if (this.#hasLostBatches) next = 'not open'
      throw error
    } finally {
      this.#leave(next)
    }
  }

  /** How many rows were put aside, and committed as such, since it was made; and why the last one was. */
  get deadLetters(): { readonly count: number; readonly problem: string } {
    return this.#deadLetters
  }

  /**
   * While a batch is being written: makes ready what the next one needs, so that the target has less to wait for. Never
   * needed, and never fails; the batch is written by {@link write} all the same.
   */
  prepare<Tables extends object>(next: Batch<Tables>): void {
    this.#writer?.prepare(next)
  }

  /** Closes the connection. What is being written is rolled back, or was committed: the next `open` knows. */
  async close(): Promise<void> {
    this.#state = 'closed'
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    await this.#drop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Does `work` over a connection that is there, again and anew while what fails may pass. */
  async #retrying<T>(work: (writer: BatchWriter) => Promise<T>, tables: readonly Table[] = []): Promise<T> {
    const { signal, retryMs } = this.#options
    let deadline: number | undefined
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      try {
        return await work(await this.#connected())
      } catch (error) {
        signal?.throwIfAborted()
        await this.#afterFailure(error)
        const delayMs = backoffMs(attempt, BACKOFF)
        deadline ??= performance.now() + retryMs
        // A first connection that fails without the server's own word is a mistake more often.
        const mayPass =
          isPassing(error) && !this.#hasLostBatches && (this.#backend !== undefined || sqlstateOf(error) !== undefined)
        if (!mayPass || this.#state === 'closed' || performance.now() + delayMs > deadline) {
          throw explained(
            error,
            tables.map((table) => sqlName(this.#options.targetOf(table))),
          )
        }
        await sleep(delayMs, signal)
      }
    }
  }

  async #afterFailure(error: unknown): Promise<void> {
    this.#hasLostBatches = this.#writer?.holds === true
    if (this.#hasLostBatches || isOfConnection(error)) {
      this.#writer?.session.destroy()
      this.#writer = undefined
    } else await this.#writer?.session.query('ROLLBACK').catch(() => this.#drop())
  }

  async #connected(): Promise<BatchWriter> {
    this.#requireNotClosed()
    if (this.#writer !== undefined) return this.#writer
    const { session, backend } = await connectToWrite(this.#options.connection, this.#options, this.#backend)
    if (this.#state === 'closed') session.destroy()
    this.#requireNotClosed()
    this.#backend = backend
    this.#writer = new BatchWriter(session, this.#takesCopies, {
      checkpoint: this.#checkpoint,
      findTarget: (through, table) => this.#findTarget(through, table),
      targetOf: this.#options.targetOf,
      deadLetters: this.#options.onRejected === 'dead-letter',
      onPutAside: (problems) => {
        const { count, problem } = this.#deadLetters
        this.#deadLetters = { count: count + problems.length, problem: problems.at(-1) ?? problem }
      },
    })
    return this.#writer
  }

  async #findTarget(session: Session, table: Table): Promise<Target> {
    const name = this.#options.targetOf(table)
    const facts = await findTargetTable(session, name)
    if (facts === undefined) throw TARGET_TABLE_MISSING({ table: sqlName(name), source: sqlName(table) })
    return joinTarget(table, facts, this.#options.keys)
  }

  async #drop(): Promise<void> {
    const writer = this.#writer
    this.#writer = undefined
    await writer?.session.close()
  }

  readonly #onAbort = (): void => this.#writer?.session.destroy()

  /** Meanwhile. */
  #requireNotClosed(): void {
    if (this.#state === 'closed') throw DESTINATION_CLOSED({ state: this.#state })
  }

  #enter(wanted: State): void {
    if (this.#state !== wanted)
      throw DESTINATION_CLOSED({ state: this.#state === 'open' ? 'open already' : this.#state })
    this.#state = 'busy'
  }

  #leave(next: State): void {
    if (this.#state === 'busy') this.#state = next
  }
}
