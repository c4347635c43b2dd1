import { sleep } from '../../../core/abort.js'
import { backoffMs } from '../../../core/backoff.js'
import { DESTINATION_FENCED } from '../../../core/destinationErrors.js'
import { SINK_REWOUND } from '../../../core/pipelineErrors.js'
import { TailraceError } from '../../../core/tailraceError.js'
import { isTransient } from '../../../postgres/serverError.js'
import { rejection } from '../../../sinks/custom/rejection.js'
import type { Sink, SinkMark } from '../../../sinks/sink.js'
import type { Batch } from '../../../source/batch.js'
import { comparePlaces, StreamPosition } from '../../../source/position.js'
import type { SinkConfig } from '../config/pipelineConfig.js'
import { Backlog, type Letter } from './backlog.js'
import type { Barrier, Passed } from './barriers.js'
import type { PipelineEvent, SinkSummary } from './events.js'

export interface LaneListener {
  passed(lane: Lane, passed: Passed): void
  /** Something became durable, or the lane has ended: whoever waits for either looks again. */
  moved(): void
  event(event: PipelineEvent): void
  /** The sink has taken so many records at once, in so long; undefined: nobody wants to know. */
  readonly wrote?: ((lane: Lane, records: number, seconds: number) => void) | undefined
}

/** What a sink makes durable, and goes on taking batches meanwhile if it says so. */
interface Flushing {
  readonly barrier: Barrier
  readonly mark: Promise<SinkMark>
  isSettled: boolean
}

/** So long a sink that hangs may take to let go of what it has, and one that seemed to have nothing to do. */
const CLOSE_MS = 2000
const CLOSE_IDLE_MS = 10_000

/**
 * One sink, which gets what is on the way to it. That is kept until a barrier behind it was passed, and given once more when
 * the sink fails before: so a sink has nothing to mend, it is closed and opened anew.
 */
export class Lane {
  readonly config: SinkConfig
  /** The last barrier that was passed, or 0. */
  passed = 0
  /** The last barrier whose mark is recorded, or 0. */
  recordedAt = 0
  /** `run` has ended. */
  done = false
  readonly #listener: LaneListener
  readonly #sink: Sink
  readonly #backlog: Backlog
  readonly #abort = new AbortController()
  /** Aborts a wait between two tries. */
  readonly #impatient = new AbortController()
  #mark: SinkMark | undefined
  /** Of the last batch that is not kept any more. */
  #forgotten: StreamPosition | undefined
  #open = false
  #flushing: Flushing | undefined
  #recorded: SinkMark | undefined
  #ended = false
  #attempts = 0
  #wake: (() => void) | undefined
  #working = false
  #records = 0
  #delivered = 0
  #letters = 0

  constructor(config: SinkConfig, listener: LaneListener) {
    this.config = config
    this.#listener = listener
    this.#sink = config.create()
    this.#backlog = new Backlog(this.#sink, () => {
      this.#wake?.()
      this.#prepare()
    })
    this.#sink.listen?.((event) => listener.event({ ...event, sink: this.name }))
  }

  get name(): string {
    return this.config.name
  }

  get summary(): SinkSummary {
    return {
      name: this.name,
      type: this.config.type,
      records: this.#records,
      bytes: this.#delivered,
      deadLetters: this.#letters,
      outages: this.#sink.outages,
    }
  }

  /** Received bytes of the batches that are not durable yet. */
  get bytes(): number {
    return this.#backlog.bytes
  }

  /** What these batches take, about. */
  get held(): number {
    return this.#backlog.held
  }

  get isOpen(): boolean {
    return this.#open
  }

  get storesPosition(): boolean {
    return this.#sink.storesPosition === true
  }

  /** What is durable is not looked into any more. */
  get releasesBatches(): boolean {
    return this.#sink.releasesBatches === true
  }

  get gathers(): boolean {
    return this.#sink.gathersBytes !== undefined
  }

  get isSlow(): boolean {
    return this.#sink.isSlow === true
  }

  /** The sink has nothing behind the position with which it goes on. */
  get isExact(): boolean {
    return this.storesPosition || this.#sink.takesBack === true
  }

  /**
   * Gives the position that the sink has stored itself; undefined: none. Tries again as it is set. `mark`: recorded of the
   * sink, and to be told to it; undefined if nothing is.
   */
  async open(mark: SinkMark | undefined): Promise<StreamPosition | undefined> {
    this.#mark = this.#recorded = mark
    for (;;) {
      try {
        const stored = await this.#sink.open(this.#mark)
        this.#open = true
        return stored == null ? undefined : StreamPosition.parse(stored)
      } catch (error) {
        if ((await this.#afterwards(error)) !== 'again') throw error
      }
    }
  }

  /** Of a sink of which nothing is recorded: where it is now. */
  async firstMark(): Promise<SinkMark> {
    this.#mark = await this.#sink.flush({ end: false })
    return this.#mark
  }

  /** It has everything up to there already. */
  startAt(position: StreamPosition): void {
    this.#backlog.skipTo({ position, sameRun: false })
  }

  /** `held`: until the barrier behind it was released. `done` is called when the batch is durable. */
  give(batch: Batch, { held = false, done = () => {} } = {}): void {
    this.#backlog.add(batch, held, done)
  }

  /** A dead letter, to be written once more; `rejected` hears how that went, each time it is tried. */
  giveLetter(batch: Batch, rejected: Letter['rejected']): void {
    this.#backlog.addLetter(batch, { rejected })
  }

  /** What it rejects the sink puts aside itself. */
  get putsAside(): boolean {
    return this.#sink.deadLetters !== undefined
  }

  /** Up to this barrier nothing is held any more. */
  release(barrier: number): void {
    this.#backlog.release(barrier)
  }

  giveBarrier(barrier: Barrier): void {
    this.#backlog.addBarrier(barrier)
  }

  /** What the sink gave as its mark at that barrier is recorded. */
  tellRecorded(mark: SinkMark, barrier: number): void {
    this.#recorded = mark
    this.recordedAt = barrier
    this.#listener.moved()
    this.#wake?.()
  }

  dueAt(): number | undefined {
    return this.#open ? this.#sink.dueAt?.() : undefined
  }

  /** Nothing more will be given: `run` resolves when all is done. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** From now on it does not wait for better times. */
  hurry(): void {
    this.#impatient.abort()
  }

  /** Ends it where it is. */
  stop(): void {
    this.#impatient.abort()
    this.#abort.abort()
    this.#wake?.()
  }

  /** Works until its end, or until it is stopped; rejects with what the policy does not let pass. */
  async run(): Promise<void> {
    this.#working = true
    try {
      while (!this.#abort.signal.aborted) {
        try {
          if (!(await this.#step())) return
        } catch (error) {
          const next = await this.#afterwards(error)
          if (next === 'fail') throw error
          if (next === 'leave') return
        }
      }
    } finally {
      // Nothing that is under way is closed.
      await this.#flushing?.mark.catch(() => {})
      this.done = true
      this.#working = false
      this.#listener.moved()
    }
  }

  /** What still hangs in a call is left to the end of the process, if it cannot be closed there: see `closesWhileBusy`. */
  async close(): Promise<void> {
    if (this.#working && this.#sink.closesWhileBusy !== true) return
    this.#open = false
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#working ? CLOSE_MS : CLOSE_IDLE_MS)
    })
    await Promise.race([this.#sink.close(), late]).finally(() => clearTimeout(timer))
  }

  /** False at the end. */
  async #step(): Promise<boolean> {
    if (!this.#open) await this.#reopen()
    if (this.#flushing?.isSettled === true) return this.#passFlushed(this.#flushing)
    if (this.#recorded !== undefined && this.#flushing === undefined) {
      const mark = this.#recorded
      await this.#sink.recorded?.(mark)
      if (this.#recorded === mark) this.#recorded = undefined
      return true
    }
    const { next } = this.#backlog
    if (next === undefined) {
      if (this.#ended && this.#flushing === undefined) return false
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      return true
    }
    if (next === 'run') await this.#write()
    else if (!this.#backlog.leavesOut()) {
      if (this.#flushing !== undefined) return this.#passFlushed(this.#flushing)
      const flushing = this.#flush(next)
      if (this.#sink.writesDuringFlush !== true) return this.#passFlushed(flushing)
    }
    return true
  }

  #flush(barrier: Barrier): Flushing {
    const mark = this.#sink.flush({ end: barrier.end !== undefined, durable: barrier.durable })
    this.#backlog.beginPass()
    const flushing = { barrier, mark, isSettled: false }
    const settle = () => {
      flushing.isSettled = true
      this.#wake?.()
    }
    mark.then(settle, settle)
    this.#flushing = flushing
    return flushing
  }

  /** False at the end. */
  async #passFlushed({ barrier, mark }: Flushing): Promise<boolean> {
    const flushed = await mark
    this.#flushing = undefined
    // The run is over: what was recorded last is where another one may have gone on from.
    if (this.#abort.signal.aborted) return false
    this.#pass(barrier, flushed)
    return true
  }

  /** An error of something else does not undo what was being made durable. */
  async #endFlush(): Promise<void> {
    const flushing = this.#flushing
    if (flushing === undefined) return
    // Else it might wait for just that.
    if (this.#sink.closesWhileBusy === true && !flushing.isSettled) this.#sink.close().catch(() => {})
    await this.#passFlushed(flushing).catch(() => {})
    this.#flushing = undefined
  }

  async #write(): Promise<void> {
    const run = this.#backlog.take()
    const { batch } = run
    const { wrote } = this.#listener
    const begun = wrote === undefined ? 0 : performance.now()
    const writing = batch === undefined ? undefined : this.#writeTo(batch, run.letter)
    // When what is being written has gone out.
    const meanwhile = writing === undefined ? undefined : setImmediate(() => this.#prepare())
    try {
      await writing
    } finally {
      this.#backlog.rests()
      clearImmediate(meanwhile)
    }
    if (batch !== undefined) wrote?.(this, batch.length, (performance.now() - begun) / 1000)
    this.#backlog.wrote(run)
  }

  #writeTo(batch: Batch, letter: Letter | undefined): Promise<void> {
    if (letter === undefined) return this.#sink.write(batch)
    letter.rejected(undefined)
    return this.#sink.write(batch, (_, cause) => letter.rejected(rejection(cause)))
  }

  /** Tells the sink what waits behind the batch that it is writing, if that will be written as it is now. */
  #prepare(): void {
    if (this.#sink.prepare === undefined) return
    const most = this.#sink.preparesBatches ?? 1
    for (let next = this.#backlog.prepare(most); next !== undefined; next = this.#backlog.prepare(most)) {
      this.#sink.prepare(next)
    }
  }

  #pass(barrier: Barrier, mark: SinkMark): void {
    const { kept, joined, position } = this.#backlog.pass(barrier)
    for (const { batch, records, done } of kept) {
      if (batch.length > 0) this.#forgotten = StreamPosition.parse(batch.position)
      this.#records += records
      if (records > 0) this.#delivered += batch.bytes
      done?.()
    }
    if (this.releasesBatches) for (const { rows } of joined) rows.giveUp()
    this.#tellDeadLetters()
    this.#mark = mark
    this.passed = barrier.id
    if (this.#attempts > 0 && barrier.durable) {
      this.#listener.event({ type: 'sink-recovered', sink: this.name, attempts: this.#attempts })
      this.#attempts = 0
    }
    this.#listener.passed(this, { barrier, position, mark })
    this.#listener.moved()
  }

  #tellDeadLetters(): void {
    const { count, problem } = this.#sink.deadLetters ?? { count: 0, problem: '' }
    if (count > this.#letters) {
      const more = count - this.#letters
      this.#listener.event({ type: 'sink-dead-letters', sink: this.name, count: more, problem })
    }
    this.#letters = count
  }

  async #reopen(): Promise<void> {
    const stored = await this.#sink.open(this.#mark)
    this.#open = true
    if (stored === undefined) return
    const position = stored === null ? undefined : StreamPosition.parse(stored)
    const kept = this.#forgotten
    if (kept !== undefined && (position === undefined || comparePlaces(position.place, kept.place) < 0)) {
      throw SINK_REWOUND({ sink: this.name })
    }
    if (position !== undefined) this.#backlog.skipTo({ position, sameRun: true })
  }

  /** What follows an error, when it is time for it; `leave`: the rest is for the next start of the pipeline. */
  async #afterwards(error: unknown): Promise<'again' | 'leave' | 'fail'> {
    this.#open = false
    await this.#endFlush()
    this.#backlog.rewind()
    await this.#sink.close().catch(() => {})
    if (this.#abort.signal.aborted) return 'leave'
    // Opened anew it would take back what another pipeline has, and that one after it.
    if (SINK_REWOUND.is(error) || DESTINATION_FENCED.is(error)) return 'fail'
    const { onError, retry } = this.config
    const passes = isTransient(error) || (error instanceof TailraceError && error.retry === 'later')
    if (!(passes || onError === 'retry')) return 'fail'
    if (this.#impatient.signal.aborted) return 'leave'
    const attempt = ++this.#attempts
    if (retry.attempts > 0 && attempt > retry.attempts) return 'fail'
    const delayMs = backoffMs(attempt, retry)
    this.#listener.event({ type: 'sink-retrying', sink: this.name, attempt, delayMs, cause: error as Error })
    await sleep(delayMs, this.#impatient.signal).catch(() => {})
    return 'again'
  }
}
