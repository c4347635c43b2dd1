import { STATE_MISMATCH } from '../../../core/errors.js'
import type { SinkMark } from '../../../sinks/sink.js'
import { StreamPosition } from '../../../source/position.js'
import { Barriers, type Passed } from './barriers.js'
import type { SinkProgress } from './events.js'
import type { Lane } from './lane.js'
import { type PipelineState, readPipelineState, writePipelineState } from './stateFile.js'

/** Keeps on disk how far each sink is: first that, then the acknowledgement. */
export class Recorder {
  readonly barriers: Barriers
  readonly #path: string
  readonly #sinks: Map<string, SinkProgress>
  #running: Promise<void> = Promise.resolve()
  #acknowledged: StreamPosition | undefined
  #ack: (position: StreamPosition) => Promise<void> = async () => {}
  /** How long the last one took. */
  milliseconds = 0

  /** What is recorded of the sinks with these names, of others nothing; undefined where there is no state. */
  static async read(path: string, names: readonly string[]): Promise<Recorder> {
    const state = await readPipelineState(path)
    const known = new Map(Object.entries(state?.sinks ?? {}))
    const missing = names.find((name) => !known.has(name))
    if (state !== undefined && missing !== undefined) {
      const problem = `it knows nothing of the sink ${missing}, which would miss what came before`
      throw STATE_MISMATCH({ path, problem })
    }
    return new Recorder(path, names, known)
  }

  private constructor(path: string, names: readonly string[], known: Map<string, SinkProgress>) {
    this.#path = path
    this.#sinks = known
    this.barriers = new Barriers(names)
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
    if (taken.size > 0) {
      for (const [sink, passed] of taken) this.#sinks.set(sink, this.#progress(sink, passed))
      await this.#write()
      for (const lane of lanes) {
        if (taken.has(lane.name)) lane.tellRecorded(this.#sinks.get(lane.name)!.mark)
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

  #write(): Promise<void> {
    const state: PipelineState = { version: 1, sinks: Object.fromEntries(this.#sinks) }
    return writePipelineState(this.#path, state)
  }
}
