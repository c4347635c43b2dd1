import { Rate } from '../../../core/rate.js'
import type { Lane } from '../run/lane.js'
import { Latency } from './latency.js'
import type { DeadLetterStatus, ErrorStatus, SinkStatus } from './status.js'

/** What is known of a sink before anything runs. */
export interface SinkFacts {
  readonly name: string
  readonly type: string
  /** Where it puts records aside, for people; undefined: nowhere. */
  readonly deadLetters: string | undefined
}

/** Follows one sink, through all tries of its pipeline. */
export class SinkMonitor {
  readonly #facts: SinkFacts
  readonly #rate = new Rate()
  readonly #latency = new Latency()
  /** Of the tries before this one. */
  #before = { records: 0, bytes: 0, deadLetters: 0 }
  #lane: Lane | undefined
  #state: 'fine' | 'retrying' | 'failed' | 'stopped' = 'fine'
  #retries = 0
  #lastError: ErrorStatus | null = null
  #lastFlushAt: number | null = null
  #lastProblem = ''
  /** How many letters there were when somebody looked, and how many this run had put aside by then. */
  #found = { letters: 0, ofRun: 0 }
  #rowsPerSecond = 0

  constructor(facts: SinkFacts) {
    this.#facts = facts
  }

  get name(): string {
    return this.#facts.name
  }

  get isRetrying(): boolean {
    return this.#state === 'retrying'
  }

  get status(): SinkStatus {
    const { name, type } = this.#facts
    const { records, bytes, deadLetters } = this.#total
    return {
      name,
      type,
      state: this.#state === 'fine' ? (this.#lane?.isOpen ? 'running' : 'opening') : this.#state,
      pendingBytes: this.#lane?.bytes ?? 0,
      writtenRows: records,
      writtenBytes: bytes,
      rowsPerSecond: this.#rowsPerSecond,
      lastFlushAt: this.#lastFlushAt === null ? null : new Date(this.#lastFlushAt).toISOString(),
      latency: this.#latency.status,
      retries: this.#retries,
      deadLetters,
      lastError: this.#lastError,
    }
  }

  /** Undefined: it has put nothing aside. */
  get deadLetters(): DeadLetterStatus | undefined {
    const { deadLetters: count } = this.#total
    const { name, deadLetters: target = '' } = this.#facts
    const waiting = this.#found.letters + count - this.#found.ofRun
    return count + waiting === 0 ? undefined : { sink: name, target, count, waiting, lastProblem: this.#lastProblem }
  }

  /** Another try of the pipeline; undefined: it does without this sink. */
  begin(lane: Lane | undefined): void {
    this.#before = this.#total
    this.#lane = lane
    this.#state = 'fine'
  }

  wrote(seconds: number): void {
    this.#latency.add(seconds)
  }

  flushed(at: number): void {
    this.#lastFlushAt = at
  }

  retrying(error: ErrorStatus): void {
    this.#state = 'retrying'
    this.#retries++
    this.#lastError = error
  }

  recovered(): void {
    this.#state = 'fine'
    if (this.#lastError !== null) this.#lastError = { ...this.#lastError, retryAt: null }
  }

  failed(error: ErrorStatus): void {
    this.#state = 'failed'
    this.#lastError = error
  }

  putAside(problem: string): void {
    this.#lastProblem = problem
  }

  /** So many dead letters are there now. */
  lettersFound(letters: number): void {
    this.#found = { letters, ofRun: this.#total.deadLetters }
  }

  ended(): void {
    if (this.#state !== 'failed') this.#state = 'stopped'
    this.#rowsPerSecond = 0
  }

  tick(): void {
    this.#rowsPerSecond = this.#rate.add(this.#total.records)
  }

  get #total() {
    const { records, bytes, deadLetters } = this.#lane?.summary ?? { records: 0, bytes: 0, deadLetters: 0 }
    const before = this.#before
    return {
      records: before.records + records,
      bytes: before.bytes + bytes,
      deadLetters: before.deadLetters + deadLetters,
    }
  }
}
