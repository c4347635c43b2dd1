import { DESTINATION_CLOSED, DESTINATION_REWOUND, TARGET_TABLE_MISSING } from '../core/destinationErrors.js'
import type { PositionJson } from '../core/record.js'
import type { RowBatch } from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import { sqlName } from '../postgres/identifier.js'
import { sqlstateOf } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'
import type { Batch } from '../source/batch.js'
import { BatchWriter } from './batchWriter.js'
import { Checkpoint } from './checkpoint.js'
import { CopiesAhead } from './copiesAhead.js'
import { createTable } from './createTable.js'
import { Evolution, ShapeRefused } from './evolution.js'
import { explained, isOfConnection, isOfRows, isOfShape } from './failure.js'
import { Lanes } from './lanes/lanes.js'
import { LazyCommits } from './lazyCommits.js'
import { type DestinationOptions, type ParsedDestination, parseDestination } from './options.js'
import { OwnTables } from './ownTables.js'
import type { TableReading } from './pendingKey.js'
import { PendingKeys } from './pendingKeys.js'
import { retrying } from './retrying.js'
import { SequenceMover } from './sequences.js'
import { joinTarget, type Target } from './target.js'
import { findTargetTable } from './targetTable.js'
import { type Backend, connectToWrite } from './writeSession.js'

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
  readonly #lazyCommits: LazyCommits
  readonly #evolution: Evolution | undefined
  readonly #ownTables: OwnTables
  readonly #sequences: SequenceMover | undefined
  readonly #pendingKeys: PendingKeys
  /** Of a batch whose beginning is committed, since the target could not follow what came behind it. */
  #begun: { readonly rows: RowBatch; readonly rest: object } | undefined
  /** By target, what {@link BatchWriter} knows of it beyond a session. */
  readonly #takesCopies = new Map<string, boolean>()
  #state: State = 'not open'
  readonly #copies: CopiesAhead
  readonly #lanes: Lanes
  /** Whoever writes tells of batches that are to come. */
  #isToldAhead = false
  #writer: BatchWriter | undefined
  #backend: Backend | undefined
  #deadLetters = { count: 0, problem: '' }
  /** Of a transaction that was open for more batches, or that the target lost: nobody has them any more. */
  #hasLostBatches = false

  constructor(options: DestinationOptions) {
    this.#options = parseDestination(options)
    const { checkpointSchema, source, applyConnections: count } = this.#options
    const checkpoint = new Checkpoint(checkpointSchema, source, count - 1)
    this.#checkpoint = checkpoint
    this.#sequences = this.#options.sequences === 'move' ? new SequenceMover() : undefined
    this.#pendingKeys = new PendingKeys(this.#options)
    this.#ownTables = new OwnTables(checkpointSchema)
    this.#evolution = this.#options.evolve ? new Evolution(this.#options) : undefined
    this.#lazyCommits = new LazyCommits(this.#options.synchronousCommit === 'off')
    const connect = () => connectToWrite(this.#options.connection, this.#options, undefined)
    const { copyConnections } = this.#options
    this.#copies = new CopiesAhead({ most: copyConnections > 1 ? copyConnections : 0, connect })
    this.#lanes = new Lanes({ count, checkpoint, connect })
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
        const { onRejected, evolve } = this.#options
        const beside = [
          ...(onRejected === 'dead-letter' ? (['dead_letter'] as const) : []),
          ...(evolve ? (['table_shape'] as const) : []),
        ]
        return this.#checkpoint.claim(session, beside, async (found) => {
          await this.#evolution?.open(session, found)
          await this.#pendingKeys.open(session, found)
        })
      })
      this.#lazyCommits.committed(false)
      next = 'open'
      return position
    } finally {
      this.#leave(next)
    }
  }

  /**
   * Writes a batch and its position in one transaction. True: both are durable, and the batch may be acknowledged. False: the
   * transaction stays open for the batches to come, since the source would send rows of a table without a key once more
   * to whoever goes on from here; or, with `synchronousCommit: 'off'`, it is committed and may still be lost in a crash. A later
   * batch gives true, whose acknowledgement is one of all before it.
   *
   * Batches come one at a time, in the source's order. After an error nothing of the batch was written (with `evolve`: nothing
   * behind a change of a table that could not be followed; with `applyConnections` parts of it may be), and the same batch may be written again, unless another writer
   * has taken over (`DESTINATION_FENCED`), a transaction was open, or the target has lost some (`DESTINATION_REWOUND`): then
   * `open()` says where the source is to begin.
   */
  async write<Tables extends object>(batch: Batch<Tables>): Promise<boolean> {
    this.#enter('open')
    let next: State = 'open'
    this.#ownTables.follow(batch.position)
    let rest = this.#begun?.rows === batch.rows ? (this.#begun.rest as Batch<Tables>) : batch
    try {
      let written = (await this.#writeCopied(rest)) ?? (await this.#writeParted(rest))
      if (written === undefined) {
        rest = this.#lanes.unwritten(rest)
        written = await this.#write(rest)
      }
      this.#begun = undefined
      this.#pendingKeys.wrote(batch.position)
      // The batch is committed: what fails here is told at the end.
      if (this.#sequences?.isDueAfter(written) === true) await this.#moveSequences().catch(() => {})
      return written
    } catch (error) {
      if (this.#hasLostBatches) next = 'not open'
      if (!(error instanceof ShapeRefused)) throw error
      await this.#write(rest.part(0, error.at))
      this.#begun = { rows: batch.rows, rest: rest.part(error.at, rest.length) }
      throw explained(error.cause, this.#targetsOf(batch.rows.tables))
    } finally {
      this.#leave(next)
    }
  }

  /** What was, or can be, copied beside others. Undefined: the batch is to be written as any other. */
  async #writeCopied<Tables extends object>(batch: Batch<Tables>): Promise<boolean | undefined> {
    const copies = this.#copies
    if (!this.#isToldAhead || this.#checkpoint.lanes.isUnsettled) return undefined
    const lazily = this.#lazyCommits.isNext(batch.rows.count)
    try {
      if (!copies.reached(batch.rows, () => this.#writer?.copiesOf(batch))) return undefined
      const ending = this.#checkpoint.ending(batch.position.toJSON(), lazily)
      await copies.commit(`${this.#checkpoint.locking}; ${ending}`)
    } catch {
      this.#options.signal?.throwIfAborted()
      this.#requireNotClosed()
      // What was wrong, and whether it was committed all the same, is found where batches are written one after another.
      copies.giveUp(batch.rows)
      await this.#asking((session) => copies.endCut(session))
      return undefined
    }
    this.#checkpoint.committed()
    this.#lazyCommits.committed(lazily)
    return !lazily
  }

  /** What is written by several connections, parted by key. Undefined: the batch, or what of it is not there, is yet to be written. */
  async #writeParted<Tables extends object>(batch: Batch<Tables>): Promise<boolean | undefined> {
    const { lanes } = this.#checkpoint
    if (this.#options.applyConnections === 1) return undefined
    const lazily = this.#lazyCommits.isNext(batch.rows.count)
    const outcome = lanes.isUnsettled ? 'failed' : await this.#lanes.write(batch, this.#writer, lazily)
    if (outcome === 'written') {
      this.#lazyCommits.committed(lazily)
      return !lazily
    }
    if (outcome === 'not begun') return undefined
    this.#options.signal?.throwIfAborted()
    await this.#afterFailure(undefined)
    const isThere = await this.#asking((session) => this.#lanes.settle(session))
    return isThere ? this.#lazyCommits.found() : undefined
  }

  #write<Tables extends object>(batch: Batch<Tables>): Promise<boolean> {
    let carefully = false
    let looked = false
    const attempt = async (writer: BatchWriter): Promise<boolean> => {
      try {
        return await writer.write(batch, carefully)
      } catch (error) {
        if (writer.holds) throw error
        if (isOfRows(error) && !carefully) {
          carefully = true
          if (writer.isStale) await this.#drop()
          else await writer.session.query('ROLLBACK')
        } else if (isOfShape(error) && !looked) {
          looked = true
          // Its staging tables, and what it knows of the catalog, go with it.
          await this.#drop()
        } else throw error
        return attempt(await this.#connected())
      }
    }
    return this.#retrying(attempt, batch.rows.tables)
  }

  /**
   * Makes durable what was committed with `synchronousCommit: 'off'`. True: all that was written is, and the last batch may be
   * acknowledged. False: a transaction is open, see {@link write}.
   */
  async flush(): Promise<boolean> {
    this.#enter('open')
    let next: State = 'open'
    try {
      if (this.#writer?.holds === true) return false
      if (!this.#lazyCommits.pending) return true
      await this.#asking((session) => this.#checkpoint.flush(session))
      this.#lazyCommits.committed(false)
      return true
    } catch (error) {
      if (this.#hasLostBatches) next = 'not open'
      throw error
    } finally {
      this.#leave(next)
    }
  }

  /** @internal The setting. */
  get copyConnections(): number {
    return this.#options.copyConnections
  }

  /** How many rows were put aside, and committed as such, since it was made; and why the last one was. */
  get deadLetters(): { readonly count: number; readonly problem: string } {
    return this.#deadLetters
  }

  /**
   * The run ends here: does what {@link flush} does, builds the keys of tables that were made and copied (`autoCreate`), and
   * moves the sequences (setting `sequences`).
   */
  async end(): Promise<boolean> {
    const isDurable = await this.flush()
    if (isDurable) {
      this.#enter('open')
      try {
        for (const target of this.#pendingKeys.read()) {
          await this.#asking((session) => this.#pendingKeys.build(session, target))
        }
        if (this.#sequences?.isPending === true) await this.#moveSequences()
      } finally {
        this.#leave('open')
      }
    }
    return isDurable
  }

  /**
   * While a batch is being written: makes ready what the next one needs, so that the target has less to wait for. Called for
   * several that follow one another, in their order, as many rows of a first copy are copied at the same time as
   * `copyConnections` says. Never needed, and never fails; the batch is written by {@link write} all the same.
   */
  prepare<Tables extends object>(next: Batch<Tables>): void {
    this.#isToldAhead = true
    this.#ownTables.follow(next.position)
    // What is written otherwise would wait for a copy, which waits for its turn behind it.
    this.#copies.tell(next.rows, () => this.#writer?.copiesOf(next))
    const writer = this.#writer
    if (this.#copies.isBusy || writer === undefined) return
    if (!this.#lanes.prepare(next, writer)) writer.prepare(next)
  }

  /**
   * Closes the connection. What is being written is rolled back, or was committed: the next `open` knows. With `sequences:
   * 'move'` they are moved first, unless `end` did so or something else goes on; it rejects where that fails, closed all the same.
   */
  async close(): Promise<void> {
    const session = this.#state === 'open' && this.#sequences?.isPending === true ? this.#writer?.session : undefined
    this.#state = 'closed'
    this.#copies.close()
    this.#lanes.close()
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    try {
      if (session !== undefined) {
        await this.#writer!.settle()
        await this.#sequences!.move(session)
      }
    } catch (error) {
      throw explained(error, this.#sequences!.tables)
    } finally {
      await this.#drop()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** The same as {@link #retrying}, where nothing of batches to come is open. */
  #asking<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#retrying(async (writer) => {
      await writer.settle()
      return work(writer.session)
    })
  }

  /** Does `work` over a connection that is there, again and anew while what fails may pass. */
  #retrying<T>(work: (writer: BatchWriter) => Promise<T>, tables: readonly Table[] = []): Promise<T> {
    const { signal, retryMs } = this.#options
    return retrying(async () => work(await this.#connected()), {
      ...{ signal, retryMs, afterFailure: (error) => this.#afterFailure(error) },
      // A first connection that fails without the server's own word is a mistake more often.
      mayGoOn: (error) =>
        !this.#hasLostBatches &&
        this.#state !== 'closed' &&
        (this.#backend !== undefined || sqlstateOf(error) !== undefined),
      explain: (error) => explained(error, this.#targetsOf(tables)),
    })
  }

  #targetsOf(tables: readonly Table[]): string[] {
    return tables.map((table) => sqlName(this.#options.targetOf(table)))
  }

  async #afterFailure(error: unknown): Promise<void> {
    this.#hasLostBatches = this.#writer?.holds === true || DESTINATION_REWOUND.is(error)
    if (this.#hasLostBatches || isOfConnection(error)) {
      this.#writer?.session.destroy()
      this.#writer = undefined
    } else if (this.#writer?.isStale === true) await this.#drop()
    else await this.#writer?.session.query('ROLLBACK').catch(() => this.#drop())
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
      pendingKeys: this.#pendingKeys,
      findTarget: (through, table, reading) => this.#findTarget(through, table, reading),
      targetOf: this.#options.targetOf,
      mode: this.#options.mode,
      deadLetters: this.#options.onRejected === 'dead-letter',
      lazyCommits: this.#lazyCommits,
      evolution: this.#evolution,
      onPutAside: (problems) => {
        const { count, problem } = this.#deadLetters
        this.#deadLetters = { count: count + problems.length, problem: problems.at(-1) ?? problem }
      },
    })
    return this.#writer
  }

  async #findTarget(session: Session, table: Table, reading: TableReading | undefined): Promise<Target> {
    const name = this.#options.targetOf(table)
    const { autoCreate, keys, mode } = this.#options
    await this.#ownTables.check(session, table, name)
    let facts = await findTargetTable(session, name)
    if (facts === undefined && autoCreate) {
      await createTable(session, name, table, this.#options, async (columns) => {
        return reading && this.#pendingKeys.noting(session, name, table, reading, columns)
      })
      facts = await findTargetTable(session, name)
    }
    if (facts === undefined) throw TARGET_TABLE_MISSING({ table: sqlName(name), source: sqlName(table) })
    facts = await this.#pendingKeys.expected(session, facts)
    this.#sequences?.add(facts)
    return joinTarget(table, facts, keys, mode)
  }

  #moveSequences(): Promise<void> {
    return this.#asking((session) => this.#sequences!.move(session))
  }

  async #drop(): Promise<void> {
    const writer = this.#writer
    this.#writer = undefined
    if (writer?.isAhead === true) writer.session.destroy()
    else await writer?.session.close()
  }

  readonly #onAbort = (): void => {
    this.#copies.close()
    this.#lanes.close()
    this.#writer?.session.destroy()
  }

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
