import { sleep } from '../../../core/abort.js'
import { DEAD_LETTERS_BUSY } from '../../../core/deadLetterErrors.js'
import { type Deferred, deferred } from '../../../core/deferred.js'
import { SINK_REWOUND } from '../../../core/pipelineErrors.js'
import type { TailraceError } from '../../../core/tailraceError.js'
import { ProcessorChain } from '../../../processors/chain.js'
import type { Batch } from '../../../source/batch.js'
import { isOfOneHistory, StreamPosition } from '../../../source/position.js'
import { PostgresSource } from '../../../source/postgresSource.js'
import type { PipelineConfig } from '../config/pipelineConfig.js'
import { memoryOf } from './backlog.js'
import type { Barrier, Passed } from './barriers.js'
import type { PipelineEvent, SinkSummary } from './events.js'
import { Lane } from './lane.js'
import type { RunObserver } from './observer.js'
import { openLanes } from './openLanes.js'
import type { PauseSwitch } from './pauseSwitch.js'
import { Recorder } from './recorder.js'
import type { Rejected, ReplaySink, Replays } from './replays.js'
import { isBeginning, isPlain, type Start } from './resume.js'
import type { TableCounts } from './tableCounts.js'

/** At most this long after a record was read its sinks are asked to make it durable. */
const BARRIER_MS = 200
/** A slow disk gets more time between two. */
const REST_FACTOR = 4
/** So many barriers are under way to the slowest sink at most. */
const MAX_UNDER_WAY = 1000
/** The same where each batch has one. */
const MAX_IN_TURNS = 64
/** Whether a sink wants to be flushed though nothing comes is looked at so often. */
const DUE_MS = 500
/** After a signal the sinks have so long for what was read. */
const DRAIN_MS = 10_000

export interface RunListener {
  event(event: PipelineEvent): void
  readonly observer?: RunObserver | undefined
  /** While it is on nothing is read; undefined: it never is. */
  readonly pause?: PauseSwitch | undefined
  /** By which dead letters come to be written again. */
  readonly replays?: Replays | undefined
  /** Called before the source connects; what it gives is waited for when the source has ended. */
  source(source: PostgresSource): Promise<void>
}

/**
 * One run from a source to its sinks, until the source ends, `signal` is aborted, or something fails that nobody may try
 * again. Batches go to all sinks at once, each takes them as fast as it can, and barriers among them say when to make
 * durable what came: `barriers.ts` decides what is recorded then.
 */
export class PipelineRun {
  readonly #config: PipelineConfig
  readonly #listener: RunListener
  readonly #signal: AbortSignal
  readonly #counts: TableCounts
  /** Undefined: batches go on as they came. */
  readonly #chain: ProcessorChain | undefined
  readonly #stop = new AbortController()
  readonly #lanes: Lane[] = []
  #recorder!: Recorder
  #barrier = 0
  #bytesSinceBarrier = 0
  /** When the last barrier was made that is durable. */
  #durableAt = 0
  #latest: StreamPosition | undefined
  #given: StreamPosition | undefined
  /** A batch of nothing but a position, which is given on at the next barrier if it is still the last one. */
  #idle: Batch | undefined
  /** Since the last barrier, or at it, something was read that cannot be compared. */
  #together = false
  /**
   * A sink that stores positions has others beside it. Where all are recorded at once it commits a place only when the marks
   * of the others at that are recorded as pending: else nobody could go on if the run was killed in between.
   */
  #inTurns = false
  /** Several sinks store positions. */
  #meets = false
  #timer: NodeJS.Timeout | undefined
  #moved: Deferred<void> | undefined
  #working: Promise<unknown> = Promise.resolve()
  #drained: Promise<void> | undefined
  #reading = false
  readonly #alone: readonly string[] | undefined
  /** All sinks have passed it before anything follows. */
  #meeting = 0
  /** It was a sink that ended the run: its own policy has been followed. */
  failedSink = false

  /** `alone`: none but these sinks, and only until what they have can be compared with what the others have. */
  constructor(
    config: PipelineConfig,
    listener: RunListener,
    counts: TableCounts,
    signal: AbortSignal,
    alone?: readonly string[],
  ) {
    this.#alone = alone
    this.#config = config
    this.#listener = listener
    this.#counts = counts
    const { processors = [] } = config
    if (processors.length > 0) this.#chain = new ProcessorChain(processors, (event) => listener.event(event))
    this.#signal = signal
  }

  get summaries(): readonly SinkSummary[] {
    return this.#lanes.map(({ summary }) => summary)
  }

  /** Gives the names of sinks that have to run alone first: then nothing was done. */
  async run(): Promise<readonly string[] | undefined> {
    const giveUp = () => {
      for (const lane of this.#lanes) lane.hurry()
    }
    const pausing = this.#listener.pause?.onChange(() => this.#move())
    this.#signal.addEventListener('abort', giveUp, { once: true })
    try {
      const { least, alone } = await this.#openSinks()
      if (alone !== undefined && this.#alone === undefined) return alone
      if (!this.#signal.aborted) await this.#read(least)
    } catch (error) {
      // A sink that was waited for at the start gets what it is missing at the next one.
      if (!this.#signal.aborted || this.#reading) throw error
    } finally {
      this.#signal.removeEventListener('abort', giveUp)
      pausing?.()
      for (const lane of this.#lanes) lane.stop()
      await this.#settle()
      await this.#chain?.close()
      await Promise.all(this.#lanes.map((lane) => lane.close().catch(() => {})))
    }
    const { reason } = this.#stop.signal
    if (reason instanceof Error && reason.name !== 'AbortError') throw reason
    return undefined
  }

  async #openSinks(): Promise<Start> {
    const names = this.#config.sinks.map(({ name }) => name)
    const running = this.#alone ?? names
    for (const config of this.#config.sinks) {
      if (running.includes(config.name)) this.#lanes.push(new Lane(config, this.#laneListener()))
    }
    this.#listener.observer?.lanes(this.#lanes)
    const storing = this.#lanes.filter(({ storesPosition }) => storesPosition).map(({ name }) => name)
    this.#inTurns = storing.length > 0 && storing.length < running.length
    this.#meets = storing.length > 1
    this.#recorder = await Recorder.read(this.#config.statePath, names, running, new Set(storing))
    for (const sink of this.#recorder.forgetOthers(names)) this.#listener.event({ type: 'sink-gone', sink })
    const failed = (lane: Lane, error: unknown) => this.#tellFailure(lane, error)
    const start = await openLanes(this.#lanes, this.#recorder, this.#config.statePath, failed)
    this.#together = start.least === undefined || !isPlain(start.least)
    return start
  }

  #tellFailure({ name }: Lane, error: unknown): void {
    this.failedSink = true
    if (SINK_REWOUND.is(error)) return
    if (!this.#signal.aborted) this.#listener.event({ type: 'sink-failed', sink: name, cause: error as Error })
  }

  async #read(position: StreamPosition | undefined): Promise<void> {
    this.#reading = true
    const { source: settings } = this.#config
    // The slot of the position stays it, whatever the pipeline would call one by itself.
    const slot = position === undefined ? settings.slot : (position.origin.slot ?? settings.slot)
    const source = new PostgresSource<Record<string, Record<string, unknown>>>({
      ...settings,
      slot,
      position,
      positionWithData: this.#lanes.every(({ isExact }) => isExact),
      signal: this.#stop.signal,
    })
    // What the others still need of the WAL stays.
    this.#recorder.resume(position, async (acked) => (this.#alone === undefined ? source.ack(acked) : undefined))
    // What is due goes on though nothing new comes.
    this.#latest = this.#given = position
    const listening = this.#listener.source(source)
    const replaying = this.#listener.replays?.attach((sink) => this.#replaySink(sink))
    this.#working = Promise.all(this.#lanes.map((lane) => this.#work(lane)))
    let waiting = true
    // What is durable is confirmed before the source ends, since its end is the slot's last chance to move.
    const end = () => {
      this.#move()
      if (waiting)
        this.#drain('stopped')
          .finally(() => this.#stop.abort())
          .catch(() => {})
    }
    this.#signal.addEventListener('abort', end, { once: true })
    const due = setInterval(() => this.#flushIfDue(), DUE_MS)
    if (this.#signal.aborted) end()
    try {
      if (this.#listener.pause?.isOn === true) await this.#untilRoom()
      for await (const batch of source) {
        // The end has begun: what comes now comes again at the next start.
        if (this.#drained !== undefined) break
        waiting = false
        // It was waited for when that was asked for.
        if (this.#listener.pause?.isOn === true) await this.#untilRoom()
        this.#counts.add(batch)
        this.#listener.observer?.took(batch)
        const processed = this.#chain === undefined ? batch : await this.#processed(this.#chain, batch)
        if (processed !== undefined) {
          batch.givesWayTo(processed)
          this.#give(processed)
        }
        await this.#untilRoom()
        if (this.#signal.aborted || (this.#alone !== undefined && isPlain(this.#latest!))) {
          await this.#drain('stopped')
          break
        }
        waiting = true
      }
      if (!this.#stop.signal.aborted) await this.#drain('complete')
      await this.#drained
    } finally {
      replaying?.()
      clearInterval(due)
      clearTimeout(this.#timer)
      this.#signal.removeEventListener('abort', end)
      await source.close()
      await listening
    }
  }

  /** Undefined: the end came before it was done, and the batch comes again at the next start. */
  async #processed(chain: ProcessorChain, batch: Batch): Promise<Batch | undefined> {
    const processing = chain.process(batch)
    if (!(processing instanceof Promise)) return processing
    const ended = deferred<undefined>()
    const end = () => ended.resolve(undefined)
    const signals = [this.#signal, this.#stop.signal]
    for (const signal of signals) signal.addEventListener('abort', end, { once: true })
    if (signals.some(({ aborted }) => aborted)) end()
    try {
      return await Promise.race([processing, ended.promise])
    } finally {
      processing.catch(() => {})
      for (const signal of signals) signal.removeEventListener('abort', end)
    }
  }

  #give(batch: Batch): void {
    const position = StreamPosition.parse(batch.position)
    this.#latest = position
    this.#together ||= !isPlain(position)
    // That there are no rows in a range is to be heard, too.
    if (batch.length > 0 || batch.range !== undefined) {
      this.#idle = undefined
      this.#giveLanes(batch)
      // Who gathers large batches has them cut by a barrier.
      this.#bytesSinceBarrier += this.#lanes.some((lane) => lane.gathers) ? batch.bytes : memoryOf(batch)
    } else this.#idle = batch
    if (this.#meets && isBeginning(position)) {
      // Found with none of the rows one sink can begin anew with another, found before it.
      this.#makeBarrier()
      this.#meeting = this.#barrier
    }
    // Nothing is made on the server before its intent is recorded.
    // Nor are rows read before a consumer that keeps positions apart has recorded where they begin.
    else if (this.#isNewBeginning(position) || isBeginning(position) || this.#goInTurns) this.#makeBarrier()
    else if (this.#bytesSinceBarrier >= this.#config.bufferBytes / this.#barriersInBuffer)
      this.#makeBarrier({ durable: this.#durableInMs === 0 })
    else this.#timer ??= setTimeout(() => this.#makeBarrier(), this.#delayMs)
  }

  /** Not where what was recorded of the place before it says already that all begins anew. */
  #isNewBeginning(position: StreamPosition): boolean {
    const before = this.#given
    const isKnown = position.isNothing && before?.isNothing === true && isOfOneHistory(position, before)
    return position.beginsAnew && !isKnown
  }

  /**
   * What may wait has so many barriers at least. What lies behind the last one is kept, and what is kept long costs its collection: a
   * quarter of a backlog's processor time with 4. Who gathers large batches would have them cut by more.
   */
  get #barriersInBuffer(): number {
    const [gathers, isSlow] = [this.#lanes.some((lane) => lane.gathers), this.#lanes.some((lane) => lane.isSlow)]
    return gathers && !isSlow ? 4 : 10
  }

  get #delayMs(): number {
    return Math.max(BARRIER_MS, REST_FACTOR * this.#recorder.milliseconds)
  }

  /** To make a few lines durable takes the disk as long as to write a megabyte of them. What a slow sink has would come once more after a crash. */
  get #durableInMs(): number {
    if (this.#lanes.some((lane) => lane.isSlow)) return 0
    return Math.max(0, this.#durableAt + this.#delayMs - performance.now())
  }

  #makeBarrier(options: Partial<Pick<Barrier, 'end' | 'durable'>> & { readonly always?: boolean } = {}): void {
    const { end, durable = true, always = end !== undefined } = options
    clearTimeout(this.#timer)
    this.#timer = undefined
    const position = this.#latest
    if (this.#drained !== undefined) return
    if (position === undefined || (position === this.#given && !always)) return
    if (this.#underWay >= MAX_UNDER_WAY && end === undefined) {
      this.#timer = setTimeout(() => this.#makeBarrier(), BARRIER_MS)
      return
    }
    const barrier: Barrier = { id: ++this.#barrier, position, together: this.#together, durable, end }
    if (durable) {
      this.#given = position
      this.#durableAt = performance.now()
    } else this.#timer = setTimeout(() => this.#makeBarrier(), this.#durableInMs)
    this.#bytesSinceBarrier = 0
    if (this.#idle !== undefined) this.#giveLanes(this.#idle)
    this.#idle = undefined
    if (isRecorded(barrier)) {
      this.#recorder.barriers.made(barrier)
      // The first plain one behind a snapshot still is for all: what stands before it cannot be compared.
      this.#together = !isPlain(position)
    }
    for (const lane of this.#lanes) lane.giveBarrier(barrier)
  }

  #giveLanes(batch: Batch): void {
    const position = StreamPosition.parse(batch.position)
    // What begins anew is not gone on with wherever it is found, and what repeats is not committed.
    const held = this.#inTurns && this.#together && !position.isNothing && isRecorded({ position, durable: true })
    let left = this.#lanes.length
    const done = () => {
      // Else what comes next would have memory of its own, too.
      if (--left === 0 && this.#lanes.every(({ releasesBatches }) => releasesBatches)) batch.rows.giveUpLines()
    }
    for (const lane of this.#lanes) lane.give(batch, { held: held && lane.storesPosition, done })
  }

  /** Each batch has a barrier of its own. */
  get #goInTurns(): boolean {
    return this.#inTurns && this.#together
  }

  get #underWay(): number {
    return this.#barrier - Math.min(...this.#lanes.map(({ passed }) => passed))
  }

  #flushIfDue(): void {
    const now = Date.now()
    if (this.#lanes.some((lane) => (lane.dueAt() ?? Number.POSITIVE_INFINITY) <= now))
      this.#makeBarrier({ always: true })
  }

  /** All that was read is durable, recorded and confirmed; after a signal as much as can be had in a while. */
  #drain(end: Barrier['end']): Promise<void> {
    this.#drained ??= this.#drainNow(end)
    return this.#drained
  }

  async #drainNow(end: Barrier['end']): Promise<void> {
    this.#makeBarrier({ end })
    const late = deferred<'late'>()
    let timer: NodeJS.Timeout | undefined
    const hurry = () => {
      timer = setTimeout(() => late.resolve('late'), DRAIN_MS)
    }
    if (this.#signal.aborted) hurry()
    else this.#signal.addEventListener('abort', hurry, { once: true })
    try {
      while (this.#lanes.some(({ done, passed }) => !done && passed < this.#barrier)) {
        if ((await Promise.race([this.#untilMoved(), late.promise])) === 'late') break
      }
      await this.#recorder.record(this.#lanes)
      for (const lane of this.#lanes) lane.end()
      await Promise.race([this.#working, late.promise])
    } finally {
      clearTimeout(timer)
      this.#signal.removeEventListener('abort', hurry)
    }
  }

  /** What hangs in a sink (a pipe that nobody reads) keeps no run from ending. */
  async #settle(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, this.#drained === undefined ? DRAIN_MS : 0)
    })
    await Promise.race([this.#working, late])
    clearTimeout(timer)
  }

  async #work(lane: Lane): Promise<void> {
    try {
      await lane.run()
    } catch (error) {
      this.#tellFailure(lane, error)
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    for (const lane of this.#lanes) lane.stop()
    this.#stop.abort(error)
    this.#move()
  }

  #laneListener() {
    const { observer } = this.#listener
    return {
      passed: (lane: Lane, passed: Passed) => {
        if (passed.barrier.durable) observer?.flushed(lane.name)
        if (!isRecorded(passed.barrier)) return
        this.#recorder.barriers.passed(lane.name, passed)
        this.#recorder.record(this.#lanes).catch((error) => this.#fail(error))
      },
      moved: () => this.#move(),
      event: (event: PipelineEvent) => this.#listener.event(event),
      wrote:
        observer && ((lane: Lane, records: number, seconds: number) => observer.wrote(lane.name, records, seconds)),
    }
  }

  #replaySink(name: string): ReplaySink | undefined {
    const lane = this.#lanes.find((one) => one.name === name)
    if (lane === undefined || this.#alone !== undefined) return undefined
    return { putsAside: lane.putsAside, write: (batches) => this.#replay(lane, batches) }
  }

  /** Letters stand between the batches of the stream, and are durable with the next barrier. */
  async #replay(lane: Lane, batches: readonly Batch[]): Promise<Rejected> {
    const busy = (problem: string) => DEAD_LETTERS_BUSY({ sink: lane.name, problem })
    // What begins anew takes back all that was written, these too.
    if (this.#latest === undefined || this.#latest.isNothing) throw busy('the run reads its first rows')
    const rejected = new Map<number, TailraceError>()
    for (const [index, batch] of batches.entries()) {
      lane.giveLetter(batch, (cause) => {
        if (cause === undefined) rejected.delete(index)
        else rejected.set(index, cause)
      })
    }
    const before = this.#barrier
    while (lane.recordedAt <= before) {
      if (lane.done || this.#stop.signal.aborted) throw busy('the run has ended meanwhile')
      if (this.#barrier === before) this.#makeBarrier({ always: true })
      await Promise.race([this.#untilMoved(), sleep(BARRIER_MS)])
    }
    return rejected
  }

  /** Waits while a sink is too far behind, or all is paused. */
  async #untilRoom(): Promise<void> {
    const isFull = () => this.#goInTurns && this.#underWay >= MAX_IN_TURNS
    const meet = () => this.#lanes.some(({ passed, done }) => !done && passed < this.#meeting)
    const { pause } = this.#listener
    while (
      pause?.isOn === true ||
      meet() ||
      isFull() ||
      this.#lanes.some(({ held }) => held >= this.#config.bufferBytes)
    ) {
      if (this.#signal.aborted || this.#stop.signal.aborted) return
      await this.#untilMoved()
    }
  }

  #untilMoved(): Promise<void> {
    this.#moved ??= deferred()
    return this.#moved.promise
  }

  #move(): void {
    this.#moved?.resolve()
    this.#moved = undefined
  }
}

/** Whoever resumes at a place that repeats gets rows once more: there the sinks only make durable what they have. */
function isRecorded({ position, durable }: Pick<Barrier, 'position' | 'durable'>): boolean {
  return durable && (!position.repeats || position.beginsAnew)
}
