import { sleep } from '../../../core/abort.js'
import { DEAD_LETTERS_BUSY } from '../../../core/deadLetterErrors.js'
import { type Deferred, deferred } from '../../../core/deferred.js'
import { SINK_REWOUND } from '../../../core/pipelineErrors.js'
import type { TailraceError } from '../../../core/tailraceError.js'
import { ProcessorChain } from '../../../processors/chain.js'
import type { Batch } from '../../../source/batch.js'
import type { StreamPosition } from '../../../source/position.js'
import { PostgresSource } from '../../../source/postgresSource.js'
import type { PipelineConfig } from '../config/pipelineConfig.js'
import type { Barrier, Passed } from './barriers.js'
import type { PipelineEvent, SinkSummary } from './events.js'
import { Lane } from './lane.js'
import { BARRIER_MS, isRecorded, LaneFeed } from './laneFeed.js'
import type { RunObserver } from './observer.js'
import { openLanes } from './openLanes.js'
import type { PauseSwitch } from './pauseSwitch.js'
import { Recorder } from './recorder.js'
import type { Rejected, ReplaySink, Replays } from './replays.js'
import { isPlain, type Start } from './resume.js'
import type { TableCounts } from './tableCounts.js'

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
  #feed!: LaneFeed
  #moved: Deferred<void> | undefined
  #working: Promise<unknown> = Promise.resolve()
  #drained: Promise<void> | undefined
  #reading = false
  readonly #alone: readonly string[] | undefined
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
    this.#recorder = await Recorder.read(this.#config.statePath, names, running, new Set(storing))
    for (const sink of this.#recorder.forgetOthers(names)) this.#listener.event({ type: 'sink-gone', sink })
    const failed = (lane: Lane, error: unknown) => this.#tellFailure(lane, error)
    const start = await openLanes(this.#lanes, this.#recorder, this.#config.statePath, failed)
    const { bufferBytes } = this.#config
    this.#feed = new LaneFeed({ lanes: this.#lanes, recorder: this.#recorder, bufferBytes, start: start.least })
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
    const due = setInterval(() => this.#feed.flushIfDue(), DUE_MS)
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
          this.#feed.give(processed)
        }
        await this.#untilRoom()
        if (this.#signal.aborted || (this.#alone !== undefined && isPlain(this.#feed.latest!))) {
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
      this.#feed.close()
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

  /** All that was read is durable, recorded and confirmed; after a signal as much as can be had in a while. */
  #drain(end: Barrier['end']): Promise<void> {
    this.#drained ??= this.#drainNow(end)
    return this.#drained
  }

  async #drainNow(end: Barrier['end']): Promise<void> {
    this.#feed.end(end)
    const late = deferred<'late'>()
    let timer: NodeJS.Timeout | undefined
    const hurry = () => {
      timer = setTimeout(() => late.resolve('late'), DRAIN_MS)
    }
    if (this.#signal.aborted) hurry()
    else this.#signal.addEventListener('abort', hurry, { once: true })
    try {
      while (this.#lanes.some(({ done, passed }) => !done && passed < this.#feed.barrier)) {
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
    const { latest, barrier: before } = this.#feed
    if (latest === undefined || latest.isNothing) throw busy('the run reads its first rows')
    const rejected = new Map<number, TailraceError>()
    for (const [index, batch] of batches.entries()) {
      lane.giveLetter(batch, (cause) => {
        if (cause === undefined) rejected.delete(index)
        else rejected.set(index, cause)
      })
    }
    while (lane.recordedAt <= before) {
      if (lane.done || this.#stop.signal.aborted) throw busy('the run has ended meanwhile')
      if (this.#feed.barrier === before) this.#feed.makeBarrier({ always: true })
      await Promise.race([this.#untilMoved(), sleep(BARRIER_MS)])
    }
    return rejected
  }

  /** Waits while a sink is too far behind, or all is paused. */
  async #untilRoom(): Promise<void> {
    const { pause } = this.#listener
    while (pause?.isOn === true || !this.#feed.hasRoom) {
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
