import { deferred } from '../core/deferred.js'
import { PUBLICATION_CHANGED, PUBLICATION_MISSING, SIGNAL_UNAVAILABLE, SOURCE_ENDED } from '../core/errors.js'
import { RowBatch } from '../core/rowBatch.js'
import { PASSWORD_FILE_PASSED_OVER, PUBLICATION_LEFT, TABLES_CHANGED } from '../core/warnings.js'
import { sqlName } from '../postgres/identifier.js'
import { formatLsn } from '../postgres/lsn.js'
import { markChange, publicationMark, sameTables } from '../postgres/publicationState.js'
import { describeCause } from '../postgres/serverError.js'
import { inspectSlot } from '../postgres/slot.js'
import { Acknowledgements } from './acknowledgements.js'
import type { Batch } from './batch.js'
import { BatchQueue } from './batchQueue.js'
import { Connections } from './connections.js'
import { asWarning, type SourceEvent } from './events.js'
import { forgetTables } from './forgottenTables.js'
import { freshBatches } from './freshRun.js'
import type { ParsedOptions } from './options.js'
import { chooseMode } from './polling/cdcMode.js'
import { pollBatches } from './polling/pollBatches.js'
import type { StreamPosition } from './position.js'
import { type Found, type Prepared, planAgain, prepare, warnings } from './preparation.js'
import {
  DEFAULT_PUBLICATION,
  dropPublications,
  isTemporaryName,
  type PreparedPublications,
  preparePublications,
  watchPublications,
} from './publications.js'
import { recordBegin } from './recordBegin.js'
import { resumedStart } from './resumedStart.js'
import type { RunContext } from './runContext.js'
import { RunWatch } from './runWatch.js'
import { SnapshotReaders } from './snapshot/snapshotPhase.js'
import { snapshotBatches } from './snapshotBatches.js'
import { decideStart, type FreshStart, originOf } from './start.js'
import { streamBatches } from './streamBatches.js'
import type { TableControl } from './tableControl.js'

/** Batches of this size keep the costs of a batch small beside those of its rows. */
const BATCH_BYTES = 256 * 1024

/** One run of a source, from connecting to the end: yields batches, is told what is durable. */
export class SourceRun {
  readonly #context: RunContext
  /** Publications to drop at the end. */
  readonly #temporaryPublications: string[] = []

  constructor(options: ParsedOptions, emit: (event: SourceEvent) => void, signal: AbortSignal) {
    this.#tables.promise.catch(() => {})
    const connections = new Connections(options.connection, options.replication, signal)
    const queue = new BatchQueue<Batch>(options.maxBytes)
    const acknowledgements = new Acknowledgements(options.host !== undefined)
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
    const { mode, found } = await chooseMode(this.#context)
    if (mode === 'long_polling') {
      this.#tables.reject(SIGNAL_UNAVAILABLE({ problem: 'long polling has the tables that it began with' }))
      yield* pollBatches(this.#context)
    } else if (this.#context.options.snapshot === 'only') yield* this.#snapshotOnly()
    else yield* this.#run(found)
  }

  async *#run(found: Found | undefined): AsyncGenerator<Batch, void, void> {
    const { options, connections } = this.#context
    const slotName = options.slot ?? options.position?.origin.slot ?? undefined
    const publication = options.publication ?? (slotName === undefined ? undefined : DEFAULT_PUBLICATION)
    const prepared = await this.#prepare(publication, found)
    const start = decideStart({
      server: prepared.facts,
      position: options.position,
      slotName,
      slot: slotName === undefined ? undefined : await inspectSlot(connections.control, slotName),
      existingSlot: options.existingSlot,
      onSlotLost: options.onSlotLost,
      marked: options.host !== undefined,
    })
    if (start.kind === 'fresh' && options.snapshot === 'initial') {
      options.host?.onRowsToRead?.(prepared.planned.reduce((sum, { table }) => sum + (table.estimatedRows ?? 0), 0))
    }
    if (start.kind === 'fresh') yield* this.#fresh(prepared, start, publication)
    else yield* this.#resume(prepared, start.position, publication ?? DEFAULT_PUBLICATION)
  }

  async #prepare(publication: string | undefined, found?: Found): Promise<Prepared> {
    const { options, connections, emit } = this.#context
    const prepared = await prepare(connections.control, options, publication, found)
    const { versionText, database } = prepared.facts
    emit({ type: 'connected', serverVersion: versionText, database })
    emit({ type: 'capturing', tables: prepared.planned.map(({ table }) => sqlName(table)) })
    if (options.snapshot !== 'only') for (const warning of warnings(prepared)) emit(warning)
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
    start: FreshStart,
    publication: string | undefined,
  ): AsyncGenerator<Batch, void, void> {
    const publish = (name: string) => this.#preparePublications(prepared, name, start.slot, false)
    yield* freshBatches(this.#context, { prepared, start, publication, publish, onTables: this.onTables })
  }

  async *#resume(prepared: Prepared, position: StreamPosition, publication: string): AsyncGenerator<Batch, void, void> {
    await this.#checkJudgement(prepared, position, publication)
    const remembered = yield* forgetTables(this.#context, prepared, position, publication)
    const publications = await this.#preparePublications(prepared, publication, position.origin.slot!, true)
    const start = await resumedStart(this.#context, { prepared, ...remembered, publication, publications })
    const { onTables } = this
    if (start.unrecorded) yield* recordBegin(this.#context, start.resumed)
    else if (this.#context.options.startBatch) {
      yield this.#context.acknowledgements.batch(new RowBatch(), start.resumed)
    }
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
      owner: options.host?.owner,
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
