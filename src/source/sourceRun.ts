import { sleep } from '../core/abort.js'
import { deferred } from '../core/deferred.js'
import {
  PUBLICATION_CHANGED,
  PUBLICATION_MISSING,
  SIGNAL_UNAVAILABLE,
  SLOT_ACTIVE,
  SLOT_MISSING,
  SNAPSHOT_INTERRUPTED,
  SNAPSHOT_NOT_KEPT,
  SOURCE_ENDED,
} from '../core/errors.js'
import { RowBatch } from '../core/rowBatch.js'
import { PASSWORD_FILE_PASSED_OVER, PUBLICATION_LEFT, TABLES_CHANGED } from '../core/warnings.js'
import { sqlName } from '../postgres/identifier.js'
import { formatLsn } from '../postgres/lsn.js'
import { markChange, publicationMark, sameTables } from '../postgres/publicationState.js'
import { makeFailoverSlot } from '../postgres/replication/failoverSlot.js'
import { describeCause } from '../postgres/serverError.js'
import { copySlot, dropSlot, inspectSlot } from '../postgres/slot.js'
import { Acknowledgements } from './acknowledgements.js'
import type { Batch } from './batch.js'
import { BatchQueue } from './batchQueue.js'
import { restrictByPublications } from './capturePlan.js'
import { CaptureSet } from './captureSet.js'
import { Connections } from './connections.js'
import { asWarning, type SourceEvent } from './events.js'
import { openSlot } from './freshSlot.js'
import type { ParsedOptions } from './options.js'
import { chooseMode } from './polling/cdcMode.js'
import { pollBatches } from './polling/pollBatches.js'
import { BEFORE_ROWS, StreamPosition } from './position.js'
import { type Prepared, planAgain, prepare, warnings } from './preparation.js'
import {
  DEFAULT_PUBLICATION,
  dropAbandonedPublications,
  dropPublications,
  isTemporaryName,
  type PreparedPublications,
  preparePublications,
  temporaryName,
  watchPublications,
} from './publications.js'
import type { WatchedPublications } from './publicationWatch.js'
import { resumedStart } from './resumedStart.js'
import type { RunContext } from './runContext.js'
import { RunWatch } from './runWatch.js'
import { toBeRead } from './scan/scanKey.js'
import { SnapshotReaders } from './snapshot/snapshotPhase.js'
import { snapshotBatches } from './snapshotBatches.js'
import { decideStart, originOf, type Start } from './start.js'
import { streamBatches } from './streamBatches.js'
import type { TableControl } from './tableControl.js'

/** Batches of this size keep the costs of a batch small beside those of its rows. */
const BATCH_BYTES = 256 * 1024
/** How long a slot that was used a moment ago may count as active. */
const SLOT_ACTIVE_GRACE_MS = 10_000
const SLOT_POLL_MS = 500

/** One run of a source, from connecting to the end: yields batches, is told what is durable. */
export class SourceRun {
  readonly #context: RunContext
  /** Publications to drop at the end. */
  readonly #temporaryPublications: string[] = []

  constructor(options: ParsedOptions, emit: (event: SourceEvent) => void, signal: AbortSignal) {
    this.#tables.promise.catch(() => {})
    const connections = new Connections(options.connection, options.replication, signal)
    const queue = new BatchQueue<Batch>(options.maxBytes)
    const acknowledgements = new Acknowledgements()
    const fail = (error: unknown) => queue.fail(error)
    const watch = new RunWatch({ options, connections, acknowledgements, emit, fail, signal })
    this.#context = {
      options,
      emit: (event) => {
        watch.hear(event)
        emit(event)
      },
      signal,
      connections,
      queue,
      acknowledgements,
      watch,
      batchBytes: Math.min(BATCH_BYTES, options.maxBytes),
    }
  }

  /** Where the tables can be changed, once the stream has begun; rejects when the run ends before. */
  get tables(): Promise<TableControl> {
    return this.#tables.promise
  }
  readonly #tables = deferred<TableControl>()
  readonly onTables = (tables: TableControl): void => this.#tables.resolve(tables)

  /** Everything up to `position` is durable. */
  ack(position: StreamPosition): void {
    this.#context.acknowledgements.ack(position)
  }

  async *batches(): AsyncGenerator<Batch, void, void> {
    const { options, signal, emit, watch } = this.#context
    for (const message of new Set([...options.connection.warnings, ...options.replication.warnings])) {
      emit(PASSWORD_FILE_PASSED_OVER({ problem: message }))
    }
    try {
      yield* watch.consumed(this.#inMode())
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#tables.reject(SOURCE_ENDED({}))
      await this.#close()
    }
  }

  async *#inMode(): AsyncGenerator<Batch, void, void> {
    const mode = await chooseMode(this.#context)
    if (mode === 'long_polling') {
      this.#tables.reject(SIGNAL_UNAVAILABLE({ problem: 'long polling has the tables that it began with' }))
      yield* pollBatches(this.#context)
    } else if (this.#context.options.snapshot === 'only') yield* this.#snapshotOnly()
    else yield* this.#run()
  }

  async *#run(): AsyncGenerator<Batch, void, void> {
    const { options, connections } = this.#context
    const slotName = options.slot ?? options.position?.origin.slot ?? undefined
    const publication = options.publication ?? (slotName === undefined ? undefined : DEFAULT_PUBLICATION)
    const prepared = await this.#prepare(publication)
    const start = decideStart({
      server: prepared.facts,
      position: options.position,
      slotName,
      slot: slotName === undefined ? undefined : await inspectSlot(connections.control, slotName),
      existingSlot: options.existingSlot,
      onSlotLost: options.onSlotLost,
    })
    if (start.kind === 'fresh') yield* this.#fresh(prepared, start, publication)
    else yield* this.#resume(prepared, start.position, publication ?? DEFAULT_PUBLICATION)
  }

  async #prepare(publication: string | undefined): Promise<Prepared> {
    const { options, connections, emit } = this.#context
    const prepared = await prepare(connections.control, options, publication)
    const { versionText, database } = prepared.facts
    emit({ type: 'connected', serverVersion: versionText, database })
    emit({ type: 'capturing', tables: prepared.planned.map(({ table }) => sqlName(table)) })
    if (options.snapshot !== 'only') for (const warning of warnings(prepared.planned)) emit(warning)
    return prepared
  }

  /** Only the rows: in a snapshot that a reader exports itself, without slot and publication. */
  async *#snapshotOnly(): AsyncGenerator<Batch, void, void> {
    const { options, connections, emit, signal } = this.#context
    const prepared = await this.#prepare(undefined)
    const workers = options.snapshotWorkers
    const readers = await SnapshotReaders.open({ connections, planned: prepared.planned, workers, emit, signal })
    const planned = await planAgain(connections.control, options, prepared)
    const snapshotName = await readers.exportSnapshot()
    const origin = originOf(prepared.facts, undefined, 1)
    const lsn = prepared.facts.insertLsn
    const snapshot = { prepared, planned, origin, lsn, snapshotName, readers, owner: undefined, resumable: false }
    yield* snapshotBatches(this.#context, snapshot)
  }

  async *#fresh(
    prepared: Prepared,
    start: Extract<Start, { kind: 'fresh' }>,
    publication: string | undefined,
  ): AsyncGenerator<Batch, void, void> {
    const { options, connections, acknowledgements, watch, emit } = this.#context
    const { control } = connections
    const slotName = start.slot
    if (start.dropSlot) await this.#dropSlot(slotName!)
    const first = await connections.replication()
    const temporary = temporaryName(first.processId)
    if (slotName === undefined) await dropAbandonedPublications(control)
    const publicationName = publication ?? temporary
    const publications = await this.#preparePublications(prepared, publicationName, slotName, false)
    const { watched } = publications
    const wantsSnapshot = options.snapshot === 'initial'
    // Rows that the consumer has had are read as a repair.
    const incremental = wantsSnapshot && (options.strategy === 'incremental' || start.again)
    // Where no position is kept a slot with a snapshot is a temporary one until the snapshot is finished: a crash leaves
    // nothing that would make the next start skip it (design section 3, rule 7).
    const resumable = slotName !== undefined && (options.position !== undefined || options.existingSlot !== 'resume')
    if (incremental && slotName !== undefined && !resumable) {
      throw SNAPSHOT_NOT_KEPT({ slot: slotName })
    }
    const consistent = wantsSnapshot && !incremental
    const slot =
      slotName === undefined || (consistent && !resumable)
        ? { name: temporary, temporary: true, exportSnapshot: consistent }
        : { name: slotName, temporary: false, exportSnapshot: consistent, failover: options.failoverSlot }
    if (wantsSnapshot && resumable && slotName !== undefined) yield* this.#intend(prepared, start, watched)
    const { owner, readers, created } = await openSlot(this.#context, prepared.planned, first, slot)
    watch.follow(slot.name)
    const planned = restrictByPublications(await planAgain(control, options, prepared), publications.publications)
    const capture = new CaptureSet(prepared, planned, publications.publications, options, emit)
    const origin = originOf(prepared.facts, slotName, start.epoch, capture.oids, watched)
    const lsn = created.consistentPoint
    if (readers !== undefined) {
      const snapshotName = created.snapshotName!
      const snapshot = { prepared, planned, origin, lsn, snapshotName, readers, owner, resumable }
      yield* snapshotBatches(this.#context, snapshot)
    } else acknowledgements.begin(lsn, origin)
    const id = formatLsn(lsn)
    const scanned = incremental ? planned.map((one) => toBeRead(one, id, start.again)) : []
    const snapshot = incremental ? { id, rows: 0, tables: scanned } : undefined
    const place = { lsn, seq: BEFORE_ROWS, sub: 0, end: lsn, fingerprint: 0, snapshot }
    const resumed = new StreamPosition(origin, place)
    const { onTables } = this
    const stream = {
      prepared,
      capture,
      scanned,
      resumed,
      publications: watched,
      publicationName,
      onTables,
      fresh: true,
    }
    if (slotName === undefined) {
      yield* streamBatches(this.#context, { ...stream, slot: temporary, owner })
      return
    }
    if (readers !== undefined && !resumable) {
      yield* this.#makePermanent(temporary, slotName)
      if (options.failoverSlot) await makeFailoverSlot(owner, slotName)
      emit({ type: 'slot-created', slot: slotName, temporary: false, lsn: formatLsn(lsn) })
    }
    // With it the temporary slot goes, too.
    await owner.close()
    // Says that the snapshot is finished: recorded before anything that follows.
    acknowledgements.ledger.offer(resumed, lsn)
    yield acknowledgements.batch(new RowBatch(), resumed)
    yield* streamBatches(this.#context, { ...stream, slot: slotName, owner: undefined })
  }

  /** Before there is a slot its consumer knows that there may be one: a start that finds it begins anew. */
  async *#intend(
    { facts, planned }: Prepared,
    { slot, epoch, again }: Extract<Start, { kind: 'fresh' }>,
    watched: WatchedPublications,
  ): AsyncGenerator<Batch, void, void> {
    const { acknowledgements, signal } = this.#context
    const origin = originOf(facts, slot, epoch, undefined, watched)
    const lsn = facts.insertLsn
    const tables = again ? planned.map((one) => toBeRead(one, '', true)) : undefined
    const snapshot = { id: '', rows: 0, tables, intent: true }
    const place = { lsn, seq: BEFORE_ROWS, sub: 0, end: undefined, fingerprint: 0, snapshot }
    const intent = new StreamPosition(origin, place)
    acknowledgements.begin(lsn, origin)
    acknowledgements.ledger.offer(intent, lsn)
    yield acknowledgements.batch(new RowBatch(), intent)
    yield* acknowledgements.settle(signal)
  }

  /** The snapshot is finished when its last record is durable: only then there is a slot that outlives a crash. */
  async *#makePermanent(temporary: string, slot: string): AsyncGenerator<Batch, void, void> {
    const { acknowledgements, connections, signal } = this.#context
    yield* acknowledgements.settle(signal)
    try {
      await copySlot(connections.control, temporary, slot)
    } catch (cause) {
      throw SLOT_MISSING.is(cause) ? SNAPSHOT_INTERRUPTED({ problem: 'its slot is gone' }, { cause }) : cause
    }
  }

  async *#resume(prepared: Prepared, position: StreamPosition, publication: string): AsyncGenerator<Batch, void, void> {
    await this.#checkJudgement(prepared, position, publication)
    const publications = await this.#preparePublications(prepared, publication, position.origin.slot!, true)
    const start = await resumedStart(this.#context, { prepared, position, publication, publications })
    const { onTables } = this
    yield* streamBatches(this.#context, { ...start, onTables })
  }

  /** Changes since the position were judged by the publications that there were: PostgreSQL 18 tells of none missing. */
  async #checkJudgement(prepared: Prepared, position: StreamPosition, name: string): Promise<void> {
    const { connections, options, emit } = this.#context
    const { facts, planned } = prepared
    const known = position.origin.publications
    if (known === undefined) return
    const { states, tables } = await watchPublications(connections.control, planned, {
      name,
      serverVersion: facts.version,
    })
    // That one is missing is told by whoever would have to make it.
    if ([...states.values()].some(({ oid }) => oid === undefined)) return
    const now = publicationMark(states, tables)
    if (!sameTables(known, now) && (options.snapshot === 'never' || position.origin.captured === undefined)) {
      emit(TABLES_CHANGED({}))
    }
    const change = await markChange(connections.control, known, now)
    if (change === undefined) return
    const from = formatLsn(position.resumeLsn)
    const problem = PUBLICATION_CHANGED({ change, from, to: formatLsn(facts.insertLsn) })
    if (options.onPublicationChange === 'stop') throw problem
    emit(asWarning(problem))
  }

  async #preparePublications(
    prepared: Prepared,
    name: string,
    slot: string | undefined,
    resumes: boolean,
  ): Promise<PreparedPublications> {
    const { options, connections, emit } = this.#context
    const { position } = options
    return preparePublications(connections.control, prepared.planned, {
      name,
      slot,
      serverVersion: prepared.facts.version,
      manage: options.managePublication,
      // What changed since the position was judged by publications that are gone.
      onMissing: (missing) => {
        if (!resumes || position === undefined) return
        throw PUBLICATION_MISSING({ publication: missing, lsn: formatLsn(position.resumeLsn) })
      },
      onCreated: (created) => {
        if (isTemporaryName(created)) this.#temporaryPublications.push(created)
      },
      emit,
    })
  }

  /** Drops the slot of an unfinished snapshot; it counts as active until the server notices that its reader is gone. */
  async #dropSlot(name: string): Promise<void> {
    const { connections, signal } = this.#context
    const deadline = performance.now() + SLOT_ACTIVE_GRACE_MS
    for (;;) {
      try {
        await dropSlot(connections.control, name)
        return
      } catch (error) {
        if (!SLOT_ACTIVE.is(error) || performance.now() > deadline) throw error
        await sleep(SLOT_POLL_MS, signal)
      }
    }
  }

  async #close(): Promise<void> {
    const { connections, watch, emit } = this.#context
    watch.stop()
    const names = this.#temporaryPublications
    if (names.length > 0) {
      await dropPublications(connections.control, names).catch((cause) => {
        emit(PUBLICATION_LEFT({ publications: names.join(', '), problem: describeCause(cause) }))
      })
    }
    await connections.close()
  }
}
