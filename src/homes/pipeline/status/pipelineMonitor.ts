import { Rate } from '../../../core/rate.js'
import type { Batch } from '../../../source/batch.js'
import type { SourceEvent } from '../../../source/events.js'
import { describe } from '../../../source/eventText.js'
import type { PipelineEvent } from '../run/events.js'
import type { Lane } from '../run/lane.js'
import type { RunObserver } from '../run/observer.js'
import type { PauseSwitch } from '../run/pauseSwitch.js'
import { TABLE_OPERATIONS, type TableCount, TableCounts } from '../run/tableCounts.js'
import { History } from './history.js'
import { RecentErrors } from './recentErrors.js'
import { judgeSafety } from './safety.js'
import { type SinkFacts, SinkMonitor } from './sinkMonitor.js'
import {
  type LagStatus,
  MOST_TABLES,
  type PipelineState,
  type PipelineStatus,
  type SlotStatus,
  type SourceStatus,
  type TableStatus,
} from './status.js'
import { TableScans } from './tableScans.js'

/** What is known of a pipeline before it runs. */
export interface PipelineFacts {
  readonly name: string
  readonly source: Omit<SourceStatus, 'connected' | 'serverVersion'>
  readonly sinks: readonly SinkFacts[]
}

/** Who counts what is told once a batch. */
export interface BatchMeter {
  took(records: number, bytes: number): void
  wrote(sink: string, records: number, seconds: number): void
}

const TICK_MS = 1000
const UNKNOWN_LAG: LagStatus = { bytes: null, seconds: null }

/** What somebody has to do something about, or time; whatever comes next ends it. */
const WAITS: ReadonlySet<SourceEvent['type']> = new Set([
  'waiting-for-transactions',
  'waiting-for-lock',
  'slot-waiting',
])
/** After them the source is there again. */
const CONNECTED: ReadonlySet<SourceEvent['type']> = new Set([
  ...(['connected', 'streaming', 'polling', 'snapshot-progress', 'stream-progress'] as const),
])

/** Follows one pipeline, and tells how it is. */
export class PipelineMonitor implements RunObserver {
  readonly #facts: PipelineFacts
  readonly #pause: PauseSwitch
  readonly #meter: BatchMeter | undefined
  readonly #sinks: ReadonlyMap<string, SinkMonitor>
  readonly #scans = new TableScans()
  readonly #errors = new RecentErrors()
  readonly #history = new History()
  readonly #recordRate = new Rate()
  readonly #byteRate = new Rate()
  readonly #skipped = new Map<string, number>()
  #counts = new TableCounts()
  #records = 0
  #bytes = 0
  #rates = { rowsPerSecond: 0, bytesPerSecond: 0 }
  #phase: 'starting' | 'streaming' | 'failed' | 'stopped' = 'starting'
  #connected = false
  /** The source, or the whole, failed and is tried again. */
  #retrying = false
  #database: string | null
  #serverVersion: string | null = null
  #waitingFor: string | null = null
  #stalled: string | null = null
  #position: string | null = null
  #lag = UNKNOWN_LAG
  /** Of what the slot holds: all that was not delivered, once what was read has gone to the sinks. */
  #unconfirmedBytes = 0
  #slot: Omit<SlotStatus, 'active'> | null = null
  #state: { readonly is: PipelineState; readonly since: Date } = { is: 'starting', since: new Date() }
  #reconnects = 0
  #timer: NodeJS.Timeout | undefined

  constructor(facts: PipelineFacts, pause: PauseSwitch, meter?: BatchMeter) {
    this.#facts = facts
    this.#pause = pause
    this.#meter = meter
    this.#database = facts.source.database
    this.#sinks = new Map(facts.sinks.map((sink) => [sink.name, new SinkMonitor(sink)]))
    pause.onChange(() => this.#settle())
  }

  get name(): string {
    return this.#facts.name
  }

  get state(): PipelineState {
    return this.#state.is
  }

  get status(): PipelineStatus {
    const sinks = [...this.#sinks.values()]
    const { source, name } = this.#facts
    const { is: state, since } = this.#state
    const told = {
      state,
      waitingFor: this.#waitingFor,
      lag: this.#lagNow,
      slot: this.#slot && { ...this.#slot, active: this.#connected && this.#phase === 'streaming' },
      snapshot: this.#scans.list.slice(-MOST_TABLES),
      sinks: sinks.map(({ status }) => status),
      errors: this.#errors.list,
      deadLetters: sinks.flatMap(({ deadLetters }) => deadLetters ?? []),
    }
    const seconds = (Date.now() - since.getTime()) / 1000
    const tables = [...this.#counts.counts].map(tableStatus).sort((a, b) => recordsOf(b) - recordsOf(a))
    return {
      name,
      since: since.toISOString(),
      ...told,
      safety: judgeSafety({ ...told, connected: this.#connected, stalled: this.#stalled, seconds }),
      source: {
        ...source,
        database: this.#database,
        serverVersion: this.#serverVersion,
        connected: this.#connected,
      },
      position: this.#position,
      rates: this.#rates,
      history: this.#history.samples,
      tables: tables.slice(0, MOST_TABLES),
      otherTables: Math.max(0, tables.length - MOST_TABLES),
    }
  }

  /** By table, as they were first met. */
  get tableCounts(): ReadonlyMap<string, TableCount> {
    return this.#counts.counts
  }

  /** How often the source, or the whole, was tried again. */
  get reconnects(): number {
    return this.#reconnects
  }

  /** Records that processors have left out, by processor. */
  get skipped(): ReadonlyMap<string, number> {
    return this.#skipped
  }

  /** From now on rates and the last hour are kept. */
  start(): void {
    this.#timer = setInterval(() => this.tick(Date.now()), TICK_MS)
    this.#timer.unref()
    this.tick(Date.now())
  }

  tick(at: number): void {
    this.#rates = {
      rowsPerSecond: this.#recordRate.add(this.#records),
      bytesPerSecond: this.#byteRate.add(this.#bytes),
    }
    for (const sink of this.#sinks.values()) sink.tick()
    const { bytes: lagBytes, seconds: lagSeconds } = this.#lagNow
    const known = { lagBytes, lagSeconds, retainedBytes: this.#slot?.retainedBytes ?? null }
    this.#history.look(at, { rows: this.#records, bytes: this.#bytes }, known)
    this.#settle()
  }

  counts(counts: TableCounts): void {
    this.#counts = counts
  }

  lanes(lanes: readonly Lane[]): void {
    this.#scans.restart()
    for (const sink of this.#sinks.values()) sink.begin(lanes.find(({ name }) => name === sink.name))
    this.#settle()
  }

  took({ length, bytes }: Batch): void {
    this.#records += length
    this.#bytes += bytes
    if (length > 0) this.#meter?.took(length, bytes)
  }

  wrote(sink: string, records: number, seconds: number): void {
    this.#sinks.get(sink)?.wrote(seconds)
    this.#meter?.wrote(sink, records, seconds)
  }

  flushed(sink: string): void {
    this.#sinks.get(sink)?.flushed(Date.now())
  }

  /** So many dead letters of a sink are there now. */
  lettersFound(sink: string, letters: number): void {
    this.#sinks.get(sink)?.lettersFound(letters)
  }

  /** What the source tells. */
  saw(event: SourceEvent): void {
    this.#scans.saw(event)
    this.#waitingFor = WAITS.has(event.type) ? describe(event) : null
    if (CONNECTED.has(event.type)) this.#back()
    this.#heed(event)
    this.#settle()
  }

  /** What the rest of it tells. */
  told(event: PipelineEvent): void {
    if (event.type === 'processor-skipped') {
      this.#skipped.set(event.processor, (this.#skipped.get(event.processor) ?? 0) + 1)
      const where = `processor ${event.processor}`
      this.#errors.add({ severity: 'warning', where, retryAt: null }, { message: event.problem }, new Date())
    } else if ('sink' in event) this.#toldOfSink(event)
    this.#settle()
  }

  /** All begins again where it was recorded. */
  tryingAgain(error: Error): void {
    this.#errors.add({ severity: 'error', where: 'pipeline', retryAt: null }, error, new Date())
    this.#lost()
    this.#settle()
  }

  /** Nothing follows. `error`: what ended it; undefined: it was asked to, or is complete. */
  ended(error?: unknown): void {
    this.tick(Date.now())
    clearInterval(this.#timer)
    this.#phase = error === undefined ? 'stopped' : 'failed'
    this.#rates = { rowsPerSecond: 0, bytesPerSecond: 0 }
    this.#connected = false
    this.#lag = UNKNOWN_LAG
    this.#waitingFor = this.#stalled = null
    for (const sink of this.#sinks.values()) {
      sink.ended()
      this.#errors.settled(`sink ${sink.name}`)
    }
    this.#errors.settled('source')
    const last = this.#errors.list[0]
    const known = error instanceof Error && last?.severity === 'error' && last.message === error.message
    if (error !== undefined && !known) {
      this.#errors.add({ severity: 'error', where: 'pipeline', retryAt: null }, error, new Date())
    }
    this.#settle()
  }

  #heed(event: SourceEvent): void {
    switch (event.type) {
      case 'connected':
        this.#database = event.database
        this.#serverVersion = event.serverVersion
        break
      case 'streaming':
        this.#position = event.lsn
        this.#phase = 'streaming'
        break
      case 'polling':
        this.#phase = 'streaming'
        break
      case 'stream-progress':
        this.#position = event.lsn
        this.#lag = { bytes: event.lagBytes, seconds: event.lagSeconds }
        break
      case 'wal-retention': {
        const { heldBytes, limitBytes = null, limit = null, secondsToLimit = null, level, walStatus = null } = event
        this.#unconfirmedBytes = event.unconfirmedBytes
        this.#slot = { retainedBytes: heldBytes, limitBytes, limit, secondsToLimit, level, walStatus }
        break
      }
      case 'stalled':
        // Whoever paused it knows.
        if (!this.#pause.isOn || event.side !== 'consumer') this.#stalled = event.problem
        break
      case 'stall-ended':
        this.#stalled = null
        break
      case 'reconnecting': {
        const retryAt = new Date(Date.now() + event.delayMs).toISOString()
        this.#errors.add({ severity: 'error', where: 'source', retryAt }, event.cause, new Date())
        this.#lost()
        break
      }
      case 'warning':
        this.#errors.add({ severity: 'warning', where: 'source', retryAt: null }, event, new Date())
        break
    }
  }

  #toldOfSink(event: Extract<PipelineEvent, { readonly sink: string }>): void {
    const sink = this.#sinks.get(event.sink)
    const where = `sink ${event.sink}`
    if (event.type === 'sink-retrying') {
      const retryAt = new Date(Date.now() + event.delayMs).toISOString()
      sink?.retrying(this.#errors.add({ severity: 'error', where, retryAt }, event.cause, new Date()))
    } else if (event.type === 'sink-recovered') {
      sink?.recovered()
      this.#errors.settled(where)
    } else if (event.type === 'sink-failed') {
      sink?.failed(this.#errors.add({ severity: 'error', where, retryAt: null }, event.cause, new Date()))
    } else if (event.type === 'sink-dead-letters') sink?.putAside(event.problem)
  }

  /** A pause in the middle of a transaction is at its commit, and what follows of it is not counted behind that. */
  get #lagNow(): LagStatus {
    const { bytes, seconds } = this.#lag
    const { since } = this.#pause
    if (since === undefined || bytes === null || seconds === null || this.#unconfirmedBytes === 0) return this.#lag
    const paused = (Date.now() - since.getTime()) / 1000
    return { bytes: Math.max(bytes, this.#unconfirmedBytes), seconds: Math.max(seconds, paused) }
  }

  #lost(): void {
    this.#reconnects++
    this.#retrying = true
    this.#connected = false
    this.#lag = UNKNOWN_LAG
  }

  #back(): void {
    if (this.#retrying) this.#errors.settled('source')
    this.#retrying = false
    this.#connected = true
  }

  #settle(): void {
    const is = this.#now
    if (is !== this.#state.is) this.#state = { is, since: new Date() }
  }

  get #now(): PipelineState {
    if (this.#phase === 'failed' || this.#phase === 'stopped') return this.#phase
    if (this.#pause.isOn) return 'paused'
    if (this.#retrying || [...this.#sinks.values()].some(({ isRetrying }) => isRetrying)) return 'retrying'
    return this.#scans.reading ? 'snapshot' : this.#phase
  }
}

function tableStatus([table, { records, bytes }]: readonly [string, TableCount]): TableStatus {
  const byOperation = TABLE_OPERATIONS.map((operation, index) => [operation, records[index]!])
  return {
    table,
    ...(Object.fromEntries(byOperation) as Record<(typeof TABLE_OPERATIONS)[number], number>),
    bytes: Math.round(bytes.reduce((sum, one) => sum + one, 0)),
  }
}

function recordsOf(table: TableStatus): number {
  return TABLE_OPERATIONS.reduce((sum, operation) => sum + table[operation], 0)
}
