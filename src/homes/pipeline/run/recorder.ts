import { STATE_MISMATCH } from '../../../core/errors.js'
import type { SinkMark } from '../../../sinks/sink.js'
import { comparePlaces, isOfOneHistory, StreamPosition } from '../../../source/position.js'
import { Barriers, type Passed, type Prepared } from './barriers.js'
import type { SinkProgress } from './events.js'
import type { Lane } from './lane.js'
import { type PendingPlace, type PipelineState, readPipelineState, writePipelineState } from './stateFile.js'

/** Keeps on disk how far each sink is: first that, then the acknowledgement. */
export class Recorder {
  readonly barriers: Barriers
  readonly #path: string
  readonly #sinks: Map<string, SinkProgress>
  #running: Promise<void> = Promise.resolve()
  #pending: readonly PendingPlace[]
  /** The last barrier that those which store positions may commit. */
  #prepared = 0
  #acknowledged: StreamPosition | undefined
  #ack: (position: StreamPosition) => Promise<void> = async () => {}
  /** How long the last one took. */
  milliseconds = 0

  /** What is recorded of a pipeline's sinks. `running`: those of them that get something now. */
  static async read(
    path: string,
    names: readonly string[],
    running: readonly string[],
    storing: ReadonlySet<string>,
  ): Promise<Recorder> {
    const state = await readPipelineState(path)
    const known = new Map(Object.entries(state?.sinks ?? {}))
    const missing = names.find((name) => !known.has(name))
    if (state !== undefined && missing !== undefined) {
      const problem = `it knows nothing of the sink ${missing}, which would miss what came before`
      throw STATE_MISMATCH({ path, problem })
    }
    return new Recorder(path, new Barriers(running, storing), known, state?.pending ?? [])
  }

  private constructor(
    path: string,
    barriers: Barriers,
    known: Map<string, SinkProgress>,
    pending: readonly PendingPlace[],
  ) {
    this.#path = path
    this.#sinks = known
    this.#pending = pending
    this.barriers = barriers
  }

  get isNew(): boolean {
    return this.#sinks.size === 0
  }

  /** What a sink is told at the start; undefined where nothing is recorded of any. */
  mark(sink: string): SinkMark | undefined {
    const progress = this.#sinks.get(sink)
    if (progress === undefined) return undefined
    const position = this.position(sink)
    return position === undefined || position.isNothing ? progress.start : progress.mark
  }

  /** Undefined: the sink has had nothing. */
  position(sink: string): StreamPosition | undefined {
    const position = this.#sinks.get(sink)?.position ?? null
    return position === null ? undefined : StreamPosition.parse(position)
  }

  /** Before anything is read: so that a crash leaves nothing that would be taken for somebody else's. */
  async begin(marks: ReadonlyMap<string, SinkMark>): Promise<void> {
    for (const [sink, mark] of marks) this.#sinks.set(sink, { position: null, mark, start: mark })
    await this.#write()
  }

  /**
   * What stores positions itself stands at `stored`. Where that was prepared, and not recorded before the run was killed,
   * the marks of the others are those that were prepared.
   */
  settle(stored: StreamPosition): void {
    const place = this.#pending.findLast(({ position }) => {
      const prepared = StreamPosition.parse(position)
      return isOfOneHistory(prepared, stored) && comparePlaces(prepared.place, stored.place) <= 0
    })
    for (const [sink, progress] of Object.entries(place?.sinks ?? {})) {
      if (this.#sinks.has(sink)) this.#sinks.set(sink, progress)
    }
  }

  /** As it stands, with what {@link settle} has found. */
  async save(): Promise<void> {
    this.#pending = []
    await this.#write()
  }

  /** From now on `ack` hears what all sinks have; it knows of `position`, where the source begins. */
  resume(position: StreamPosition | undefined, ack: (position: StreamPosition) => Promise<void>): void {
    this.#acknowledged = position
    this.#ack = ack
  }

  /** Sinks that are no longer there are forgotten with the next that is recorded; gives their names. */
  forgetOthers(names: readonly string[]): readonly string[] {
    const others = [...this.#sinks.keys()].filter((sink) => !names.includes(sink))
    for (const sink of others) this.#sinks.delete(sink)
    return others
  }

  /** Records what may be recorded by now, tells the sinks, and acknowledges what all of them have. */
  record(lanes: readonly Lane[]): Promise<void> {
    this.#running = this.#running.then(() => this.#record(lanes))
    return this.#running
  }

  async #record(lanes: readonly Lane[]): Promise<void> {
    const started = performance.now()
    const taken = this.barriers.take()
    const { prepared } = this.barriers
    const last = prepared.at(-1)?.barrier.id ?? 0
    if (taken.size > 0 || last > this.#prepared) {
      for (const [sink, passed] of taken) this.#sinks.set(sink, this.#progress(sink, passed))
      this.#pending = prepared.map((one) => this.#pendingPlace(one))
      await this.#write()
      this.#prepared = Math.max(this.#prepared, last)
      for (const lane of lanes) {
        const passed = taken.get(lane.name)
        if (passed !== undefined) lane.tellRecorded(this.#sinks.get(lane.name)!.mark, passed.barrier.id)
        lane.release(this.#prepared)
      }
    }
    const { least } = this.barriers
    if (least !== undefined && least !== this.#acknowledged) {
      await this.#ack(least)
      this.#acknowledged = least
    }
    this.milliseconds = performance.now() - started
  }

  #progress(sink: string, { barrier, position, mark }: Passed): SinkProgress {
    const { start } = this.#sinks.get(sink)!
    if (!position.isNothing) return { position: position.toJSON(), mark, start }
    // What stands there begins anew: nothing that was written counts, unless that was all there was to write.
    const stands = barrier.end === 'complete' ? mark : start
    return { position: position.toJSON(), mark: stands, start: stands }
  }

  #pendingPlace({ barrier, passed }: Prepared): PendingPlace {
    const sinks = [...passed].map(([sink, one]) => [sink, this.#progress(sink, one)] as const)
    return { position: barrier.position.toJSON(), sinks: Object.fromEntries(sinks) }
  }

  #write(): Promise<void> {
    const pending = this.#pending.length > 0 && { pending: this.#pending }
    const state: PipelineState = { version: 1, sinks: Object.fromEntries(this.#sinks), ...pending }
    return writePipelineState(this.#path, state)
  }
}
