import { sleep } from '../core/abort.js'
import { SLOT_MISSING, SNAPSHOT_INTERRUPTED, TEMPORARY_SLOT_LOST } from '../core/errors.js'
import { RowBatch } from '../core/rowBatch.js'
import { sqlName } from '../postgres/identifier.js'
import { formatLsn, type Lsn } from '../postgres/lsn.js'
import { describeTransaction, waitForRunningTransactions } from '../postgres/runningTransactions.js'
import { describeCause, isTransient } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'
import { copySlot, dropSlot, inspectSlot } from '../postgres/slot.js'
import { AckLedger } from './ackLedger.js'
import { Batch } from './batch.js'
import { BatchQueue } from './batchQueue.js'
import { type PlannedTable, restrictByPublications } from './capturePlan.js'
import { ChangeCollector } from './changeCollector.js'
import { Connections } from './connections.js'
import { DropWatch } from './dropWatch.js'
import type { SourceEvent } from './events.js'
import type { ParsedOptions } from './options.js'
import { BEFORE_ROWS, type Origin, StreamPosition } from './position.js'
import { compileTables, type Prepared, planAgain, prepare, warnings } from './preparation.js'
import { dropAbandonedPublications, dropPublications, preparePublications, temporaryName } from './publications.js'
import { createSlotWatched } from './slotCreation.js'
import { lockTables, readSnapshot } from './snapshot/snapshotPhase.js'
import { decideStart, originOf, type Start } from './start.js'
import { shapesOf } from './streamedShapes.js'
import { StreamLoop } from './streamLoop.js'
import { toBatch } from './toBatch.js'
import { currentLsn } from './untilLsn.js'

const DEFAULT_PUBLICATION = 'tailrace'
/** Batches of this size keep the costs of a batch small beside those of its rows. */
const BATCH_BYTES = 256 * 1024
/** How long the last acknowledgement of a snapshot is waited for before an empty batch asks for it again. */
const ASK_FOR_ACK_MS = 1000

/** How long the end of a run waits for the acknowledgement of its last batch. */
const LAST_ACK_MS = 5000

interface StreamStart {
  readonly slot: string
  readonly publications: readonly string[]
  /** The session that owns a temporary slot. */
  readonly owner: Session | undefined
  /** The slot was made just now: the tables' shapes are those of its beginning. */
  readonly fresh: boolean
}

/** One run of a source, from connecting to the end: yields batches, is told what is durable. */
export class SourceRun {
  readonly #options: ParsedOptions
  readonly #emit: (event: SourceEvent) => void
  readonly #signal: AbortSignal
  readonly #connections: Connections
  readonly #queue: BatchQueue<Batch>
  readonly #batchBytes: number
  #ledger = new AckLedger(0n)
  #acked: (() => void) | undefined
  #loop: StreamLoop | undefined
  /** Publications to drop at the end. */
  #temporaryPublications: readonly string[] = []

  constructor(options: ParsedOptions, emit: (event: SourceEvent) => void, signal: AbortSignal) {
    this.#options = options
    this.#emit = emit
    this.#signal = signal
    this.#connections = new Connections(options.connection, options.replication, signal)
    this.#queue = new BatchQueue(options.maxBytes)
    this.#batchBytes = Math.min(BATCH_BYTES, options.maxBytes)
  }

  /** Everything up to `position` is durable. */
  ack(position: StreamPosition): void {
    this.#ledger.ack(position)
    this.#loop?.confirmSoon()
    this.#acked?.()
  }

  async *batches(): AsyncGenerator<Batch, void, void> {
    try {
      if (this.#options.snapshot === 'only') yield* this.#snapshotOnly()
      else yield* this.#run()
    } catch (error) {
      if (!this.#signal.aborted) throw error
    } finally {
      await this.#close()
    }
  }

  async *#run(): AsyncGenerator<Batch, void, void> {
    const { control } = this.#connections
    const options = this.#options
    const slotName = options.slot ?? options.position?.origin.slot ?? undefined
    const publication = options.publication ?? (slotName === undefined ? undefined : DEFAULT_PUBLICATION)
    const prepared = await this.#prepare(publication)
    const start = decideStart({
      server: prepared.facts,
      position: options.position,
      slotName,
      slot: slotName === undefined ? undefined : await inspectSlot(control, slotName),
      existingSlot: options.existingSlot,
    })
    if (start.kind === 'fresh') yield* this.#fresh(prepared, start, publication)
    else yield* this.#resume(prepared, start.position, publication ?? DEFAULT_PUBLICATION)
  }

  async #prepare(publication: string | undefined): Promise<Prepared> {
    const prepared = await prepare(this.#connections.control, this.#options, publication)
    const { versionText, database } = prepared.facts
    this.#emit({ type: 'connected', serverVersion: versionText, database })
    if (this.#options.snapshot !== 'only') for (const warning of warnings(prepared.planned)) this.#emit(warning)
    return prepared
  }

  /** Only the rows: in a snapshot that the locking session exports itself, without slot and publication. */
  async *#snapshotOnly(): AsyncGenerator<Batch, void, void> {
    const prepared = await this.#prepare(undefined)
    const holder = await lockTables(this.#connections, prepared.planned)
    const planned = await planAgain(this.#connections.control, this.#options, prepared)
    const [row] = await holder.query<{ name: string }>('SELECT pg_catalog.pg_export_snapshot() AS name')
    const origin = originOf(prepared.facts, undefined, 1)
    yield* this.#snapshot(prepared, planned, origin, prepared.facts.insertLsn, row!.name, [holder])
  }

  async *#fresh(
    prepared: Prepared,
    start: Extract<Start, { kind: 'fresh' }>,
    publication: string | undefined,
  ): AsyncGenerator<Batch, void, void> {
    const { control } = this.#connections
    const { slot: slotName, epoch } = start
    const options = this.#options
    if (start.dropSlot) await dropSlot(control, slotName!)
    const owner = await this.#connections.replication()
    const [row] = await owner.query<{ pid: string }>('SELECT pg_catalog.pg_backend_pid() AS pid')
    const temporary = temporaryName(Number(row!.pid))
    if (slotName === undefined) await dropAbandonedPublications(control)
    const publications = await preparePublications(control, prepared.planned, {
      name: publication ?? temporary,
      serverVersion: prepared.facts.version,
      manage: options.managePublication,
      emit: this.#emit,
    })
    if (slotName === undefined) this.#temporaryPublications = publications.changed

    const wantsSnapshot = options.snapshot === 'initial'
    // A slot with a snapshot is a temporary one until the snapshot is finished: a crash leaves nothing that would make
    // the next start skip it (design section 3, rule 7).
    const slot = { name: slotName ?? temporary, temporary: slotName === undefined, exportSnapshot: wantsSnapshot }
    const first = wantsSnapshot ? { ...slot, name: temporary, temporary: true } : slot
    const holder = wantsSnapshot ? await lockTables(this.#connections, prepared.planned) : undefined
    const planned = restrictByPublications(await planAgain(control, options, prepared), publications.publications)
    const wait = { timeoutMs: options.slotTimeoutMs, emit: this.#emit, signal: this.#signal }
    const { consistentPoint, snapshotName } = await createSlotWatched(owner, control, first, wait)
    const lsn = formatLsn(consistentPoint)
    this.#emit({ type: 'slot-created', slot: first.name, temporary: first.temporary, lsn })
    const origin = originOf(prepared.facts, slotName, epoch)
    if (holder !== undefined) {
      yield* this.#snapshot(prepared, planned, origin, consistentPoint, snapshotName!, [holder, owner])
    }
    const place = { lsn: consistentPoint, seq: BEFORE_ROWS, sub: 0, end: consistentPoint, fingerprint: 0 }
    const resumed = new StreamPosition(origin, { ...place, snapshot: undefined })
    if (holder === undefined) this.#ledger = new AckLedger(consistentPoint)
    const { names } = publications
    if (slotName === undefined) {
      yield* this.#stream(prepared, planned, resumed, { slot: temporary, publications: names, owner, fresh: true })
      return
    }
    if (wantsSnapshot) yield* this.#makePermanent(temporary, slotName, lsn)
    // With it the temporary slot goes, too.
    await owner.close()
    // Says that the snapshot is finished: recorded before anything that follows.
    this.#ledger.offer(resumed, consistentPoint)
    yield this.#batchOf(new RowBatch(), resumed)
    const streaming = { slot: slotName, publications: names, owner: undefined, fresh: true }
    yield* this.#stream(prepared, planned, resumed, streaming)
  }

  /** The snapshot is finished when its last record is durable: only then there is a slot that outlives a crash. */
  async *#makePermanent(temporary: string, slot: string, lsn: string): AsyncGenerator<Batch, void, void> {
    yield* this.#settle()
    try {
      await copySlot(this.#connections.control, temporary, slot)
    } catch (cause) {
      throw SLOT_MISSING.is(cause) ? SNAPSHOT_INTERRUPTED({ problem: 'its slot is gone' }, { cause }) : cause
    }
    this.#emit({ type: 'slot-created', slot, temporary: false, lsn })
  }

  async *#resume(prepared: Prepared, position: StreamPosition, publication: string): AsyncGenerator<Batch, void, void> {
    const { control } = this.#connections
    const publications = await preparePublications(control, prepared.planned, {
      name: publication,
      serverVersion: prepared.facts.version,
      manage: this.#options.managePublication,
      emit: this.#emit,
    })
    if (publications.changed.length > 0) {
      await waitForRunningTransactions(control, {
        signal: this.#signal,
        onWaiting: (holders) =>
          this.#emit({ type: 'waiting-for-transactions', seconds: 0, holders: holders.map(describeTransaction) }),
      })
    }
    const slot = await inspectSlot(control, position.origin.slot!)
    this.#ledger = new AckLedger(slot?.confirmedFlushLsn ?? 0n)
    this.#ledger.resumed(position)
    const planned = restrictByPublications(prepared.planned, publications.publications)
    const { names } = publications
    const streaming = { slot: position.origin.slot!, publications: names, owner: undefined, fresh: false }
    yield* this.#stream(prepared, planned, position, streaming)
  }

  async *#snapshot(
    prepared: Prepared,
    planned: readonly PlannedTable[],
    origin: Origin,
    lsn: Lsn,
    snapshotName: string,
    holders: readonly Session[],
  ): AsyncGenerator<Batch, void, void> {
    const started = performance.now()
    this.#ledger = new AckLedger(lsn)
    const failed = new AbortController()
    for (const holder of holders) {
      holder.onLost((cause) => failed.abort(SNAPSHOT_INTERRUPTED({ problem: describeCause(cause) }, { cause })))
    }
    const tables = await compileTables(planned, prepared.compiler, this.#emit)
    const id = formatLsn(lsn)
    let rows = 0
    const reading = readSnapshot({
      connections: this.#connections,
      planned,
      tables,
      snapshotName,
      snapshotId: id,
      workers: this.#options.snapshotWorkers,
      batchBytes: this.#batchBytes,
      queue: this.#queue,
      deliver: (batch) => {
        rows += batch.count
        const place = { lsn, seq: BEFORE_ROWS, sub: 0, end: undefined, fingerprint: 0, snapshot: { id, rows } }
        const position = new StreamPosition(origin, place)
        this.#ledger.offer(position, lsn)
        this.#queue.push(this.#batchOf(batch, position), batch.bytes)
      },
      emit: this.#emit,
      signal: AbortSignal.any([this.#signal, failed.signal]),
    }).then(
      () => this.#queue.end(),
      (error) => this.#queue.fail(error),
    )
    try {
      for (let batch = await this.#queue.next(); batch !== undefined; batch = await this.#queue.next()) yield batch
    } catch (cause) {
      if (failed.signal.aborted) throw failed.signal.reason
      throw isTransient(cause) ? SNAPSHOT_INTERRUPTED({ problem: describeCause(cause) }, { cause }) : cause
    } finally {
      // Whoever leaves the loop in the middle takes nothing more: workers that wait for room would wait for ever.
      failed.abort()
      await reading
    }
    // The locks are not needed any more.
    await holders[0]!.close()
    const seconds = (performance.now() - started) / 1000
    this.#emit({ type: 'snapshot-finished', rows, seconds })
    this.#queue.reopen()
  }

  /**
   * Waits until everything handed out is durable, but no longer than `limitMs`. Whoever acks only now and then is asked
   * by empty batches.
   */
  async *#settle(limitMs = Number.POSITIVE_INFINITY): AsyncGenerator<Batch, void, void> {
    const last = this.#ledger.offered
    const until = performance.now() + limitMs
    while (!this.#ledger.settled && performance.now() < until && !this.#signal.aborted) {
      const acked = new Promise<void>((resolve) => {
        this.#acked = resolve
      })
      await Promise.race([acked, sleep(ASK_FOR_ACK_MS, this.#signal)])
      if (!this.#ledger.settled && last !== undefined) yield this.#batchOf(new RowBatch(), last)
    }
  }

  async *#stream(
    prepared: Prepared,
    planned: readonly PlannedTable[],
    resumed: StreamPosition,
    { slot, publications, owner, fresh }: StreamStart,
  ): AsyncGenerator<Batch, void, void> {
    const { control } = this.#connections
    const { until, onRedeliveryChange, messages, wantsMessage } = this.#options
    const shapes = await shapesOf(control, prepared, planned, fresh)
    const collector = new ChangeCollector({
      origin: resumed.origin,
      shapes,
      resumed,
      messages: wantsMessage,
      onRedeliveryChange,
    })
    this.#loop = new StreamLoop({
      slot,
      publications,
      messages: messages !== false,
      owner,
      connect: () => this.#connections.replication(),
      collector,
      ledger: this.#ledger,
      queue: this.#queue,
      toBatch: (collected) => toBatch(collected, (position) => this.ack(position)),
      walSenderTimeoutMs: prepared.facts.walSenderTimeoutMs,
      batchBytes: this.#batchBytes,
      until: until === 'current' ? await currentLsn(control, this.#signal) : until,
      emit: this.#emit,
      signal: this.#signal,
    })
    const names = new Map(planned.map(({ table }) => [table.oid, sqlName(table)]))
    const watch = new DropWatch(control, names, this.#emit)
    const running = this.#loop.run().then(
      () => this.#queue.end(),
      (cause) => {
        const lost = owner !== undefined && isTransient(cause)
        this.#queue.fail(lost ? TEMPORARY_SLOT_LOST({ problem: describeCause(cause) }, { cause }) : cause)
      },
    )
    const aborted = () => this.#queue.abandon()
    this.#signal.addEventListener('abort', aborted, { once: true })
    try {
      for (let batch = await this.#queue.next(); batch !== undefined; batch = await this.#queue.next()) yield batch
      // At the end of `until`: the slot moves with the last acknowledgement, which comes after the last batch.
      if (owner === undefined) yield* this.#settle(LAST_ACK_MS)
    } finally {
      this.#signal.removeEventListener('abort', aborted)
      watch.stop()
      await this.#loop.stop()
      await running
    }
  }

  #batchOf(rows: RowBatch, position: StreamPosition): Batch {
    return new Batch(rows, position, (acked) => this.ack(acked))
  }

  async #close(): Promise<void> {
    if (this.#temporaryPublications.length > 0) {
      await dropPublications(this.#connections.control, this.#temporaryPublications).catch((cause) => {
        this.#emit({
          type: 'warning',
          code: 'PUBLICATION_LEFT',
          message: `could not drop the publication ${this.#temporaryPublications.join(', ')}: ${describeCause(cause)}`,
          hint: 'The next run without a slot drops it.',
        })
      })
    }
    await this.#connections.close()
  }
}
