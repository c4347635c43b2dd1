import { type Deferred, deferred } from '../../../core/deferred.js'
import type { SinkMark } from '../../../sinks/sink.js'
import type { Batch } from '../../../source/batch.js'
import { StreamPosition } from '../../../source/position.js'
import { PostgresSource } from '../../../source/postgresSource.js'
import type { PipelineConfig } from '../config/pipelineConfig.js'
import type { Barrier, Passed } from './barriers.js'
import type { PipelineEvent, SinkSummary } from './events.js'
import { Lane } from './lane.js'
import { Recorder } from './recorder.js'
import { isPlain, leastPosition } from './resume.js'
import type { TableCounts } from './tableCounts.js'

/** At most this long after a record was read its sinks are asked to make it durable. */
const BARRIER_MS = 200
/** A slow disk gets more time between two. */
const REST_FACTOR = 4
/** So many barriers are under way to the slowest sink at most. */
const MAX_UNDER_WAY = 1000
/** Whether a sink wants to be flushed though nothing comes is looked at so often. */
const DUE_MS = 500
/** After a signal the sinks have so long for what was read. */
const DRAIN_MS = 10_000

export interface RunListener {
  event(event: PipelineEvent): void
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
  readonly #stop = new AbortController()
  readonly #lanes: Lane[] = []
  #recorder!: Recorder
  #barrier = 0
  #bytesSinceBarrier = 0
  #latest: StreamPosition | undefined
  #given: StreamPosition | undefined
  /** Since the last barrier, or at it, something was read that cannot be compared. */
  #together = false
  #timer: NodeJS.Timeout | undefined
  #moved: Deferred<void> | undefined
  #working: Promise<unknown> = Promise.resolve()
  #drained: Promise<void> | undefined
  #reading = false
  /** It was a sink that ended the run: its own policy has been followed. */
  failedSink = false

  constructor(config: PipelineConfig, listener: RunListener, counts: TableCounts, signal: AbortSignal) {
    this.#config = config
    this.#listener = listener
    this.#counts = counts
    this.#signal = signal
  }

  get summaries(): readonly SinkSummary[] {
    return this.#lanes.map(({ summary }) => summary)
  }

  async run(): Promise<void> {
    const giveUp = () => {
      for (const lane of this.#lanes) lane.hurry()
    }
    this.#signal.addEventListener('abort', giveUp, { once: true })
    try {
      const position = await this.#openSinks()
      if (!this.#signal.aborted) await this.#read(position)
    } catch (error) {
      // A sink that was waited for at the start gets what it is missing at the next one.
      if (!this.#signal.aborted || this.#reading) throw error
    } finally {
      this.#signal.removeEventListener('abort', giveUp)
      for (const lane of this.#lanes) lane.stop()
      await this.#settle()
      await Promise.all(this.#lanes.map((lane) => lane.close().catch(() => {})))
    }
    const { reason } = this.#stop.signal
    if (reason instanceof Error && reason.name !== 'AbortError') throw reason
  }

  /** Where the source is to go on. */
  async #openSinks(): Promise<StreamPosition | undefined> {
    const names = this.#config.sinks.map(({ name }) => name)
    const recorder = await Recorder.read(this.#config.statePath, names)
    this.#recorder = recorder
    for (const sink of recorder.sinks) {
      if (names.includes(sink)) continue
      recorder.forget(sink)
      this.#listener.event({ type: 'sink-gone', sink })
    }
    const positions = new Map<string, StreamPosition | undefined>()
    for (const config of this.#config.sinks) {
      const lane = new Lane(config, this.#laneListener(), recorder.mark(config.name))
      this.#lanes.push(lane)
      const stored = await this.#told(lane, () => lane.open())
      positions.set(lane.name, stored ?? recorder.position(lane.name))
    }
    const least = leastPosition(positions, this.#config.statePath)
    for (const lane of this.#lanes) {
      const position = positions.get(lane.name)
      if (position !== undefined && position !== least) lane.startAt(position)
    }
    if (recorder.isNew) {
      const marks = new Map<string, SinkMark>()
      for (const lane of this.#lanes) {
        marks.set(lane.name, await this.#told(lane, () => lane.firstMark()))
      }
      await recorder.begin(marks)
    }
    this.#together = least === undefined || !isPlain(least)
    return least
  }

  /** An error of a sink at its start is one of its failures. */
  async #told<Result>(lane: Lane, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      this.#tellFailure(lane, error)
      throw error
    }
  }

  #tellFailure({ name }: Lane, error: unknown): void {
    this.failedSink = true
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
      signal: this.#stop.signal,
    })
    this.#recorder.resume(position, (acked) => source.ack(acked))
    // What is due goes on though nothing new comes.
    this.#latest = this.#given = position
    const listening = this.#listener.source(source)
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
      for await (const batch of source) {
        waiting = false
        this.#give(batch)
        await this.#untilRoom()
        if (this.#signal.aborted) {
          await this.#drain('stopped')
          break
        }
        waiting = true
      }
      if (!this.#stop.signal.aborted) await this.#drain('complete')
      await this.#drained
    } finally {
      clearInterval(due)
      clearTimeout(this.#timer)
      this.#signal.removeEventListener('abort', end)
      await source.close()
      await listening
    }
  }

  #give(batch: Batch): void {
    const position = StreamPosition.parse(batch.position)
    this.#latest = position
    this.#together ||= !isPlain(position)
    if (batch.length > 0) {
      for (const lane of this.#lanes) lane.give(batch)
      this.#counts.add(batch)
      this.#bytesSinceBarrier += batch.bytes
    }
    // Nothing is made on the server before its intent is recorded.
    if (position.beginsAnew || this.#bytesSinceBarrier >= this.#config.bufferBytes / 4) this.#makeBarrier()
    else this.#timer ??= setTimeout(() => this.#makeBarrier(), this.#delayMs)
  }

  get #delayMs(): number {
    return Math.max(BARRIER_MS, REST_FACTOR * this.#recorder.milliseconds)
  }

  #makeBarrier(options: { readonly end?: Barrier['end']; readonly always?: boolean } = {}): void {
    const { end, always = end !== undefined } = options
    clearTimeout(this.#timer)
    this.#timer = undefined
    const position = this.#latest
    if (position === undefined || (position === this.#given && !always)) return
    if (this.#barrier - Math.min(...this.#lanes.map(({ passed }) => passed)) >= MAX_UNDER_WAY && end === undefined) {
      this.#timer = setTimeout(() => this.#makeBarrier(), BARRIER_MS)
      return
    }
    const barrier: Barrier = { id: ++this.#barrier, position, together: this.#together, end }
    this.#given = position
    this.#bytesSinceBarrier = 0
    if (isRecorded(barrier)) {
      this.#recorder.barriers.made(barrier)
      // The first plain one behind a snapshot still is for all: what stands before it cannot be compared.
      this.#together = !isPlain(position)
    }
    for (const lane of this.#lanes) lane.giveBarrier(barrier)
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
    return {
      passed: (lane: Lane, passed: Passed) => {
        if (!isRecorded(passed.barrier)) return
        this.#recorder.barriers.passed(lane.name, passed)
        this.#recorder.record(this.#lanes).catch((error) => this.#fail(error))
      },
      moved: () => this.#move(),
      event: (event: PipelineEvent) => this.#listener.event(event),
    }
  }

  /** Waits while a sink is too far behind. */
  async #untilRoom(): Promise<void> {
    while (this.#lanes.some(({ bytes }) => bytes >= this.#config.bufferBytes)) {
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
function isRecorded({ position }: Barrier): boolean {
  return !position.repeats || position.beginsAnew
}
