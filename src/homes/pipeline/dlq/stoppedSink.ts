import { DEAD_LETTERS_BUSY, DEAD_LETTERS_OF_RUN } from '../../../core/deadLetterErrors.js'
import { STATE_LOCKED } from '../../../core/errors.js'
import type { TailraceError } from '../../../core/tailraceError.js'
import { rejection } from '../../../sinks/custom/rejection.js'
import { StateLock } from '../../../sinks/files/stateLock.js'
import type { Sink, SinkMark } from '../../../sinks/sink.js'
import type { Batch } from '../../../source/batch.js'
import { StreamPosition } from '../../../source/position.js'
import type { PipelineConfig, SinkConfig } from '../config/pipelineConfig.js'
import type { Rejected, ReplaySink } from '../run/replays.js'
import { type PipelineState, readPipelineState, writePipelineState } from '../run/stateFile.js'

/** A sink of a pipeline that does not run, and cannot meanwhile: what it writes is recorded in the pipeline's state. */
export class StoppedSink implements ReplaySink {
  readonly #lock: StateLock
  readonly #statePath: string
  readonly #name: string
  readonly #sink: Sink
  #state: PipelineState | undefined

  /** Errors: DEAD_LETTERS_OF_RUN, DEAD_LETTERS_BUSY, and those of the sink. */
  static async open({ statePath }: PipelineConfig, config: SinkConfig): Promise<StoppedSink> {
    const lock = await lockFor(config.name, statePath)
    const sink = config.create()
    try {
      const state = await readPipelineState(statePath)
      if ((state?.pending ?? []).length > 0) {
        const problem =
          'its run was killed in the middle of a snapshot, and has to be started once to say what the sink has'
        throw DEAD_LETTERS_BUSY({ sink: config.name, problem })
      }
      const stopped = new StoppedSink(lock, statePath, config.name, sink, state)
      await sink.open(stopped.#mark)
      return stopped
    } catch (error) {
      await sink.close().catch(() => {})
      await lock[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(lock: StateLock, statePath: string, name: string, sink: Sink, state: PipelineState | undefined) {
    this.#lock = lock
    this.#statePath = statePath
    this.#name = name
    this.#sink = sink
    this.#state = state
  }

  get putsAside(): boolean {
    return this.#sink.deadLetters !== undefined
  }

  async write(batches: readonly Batch[]): Promise<Rejected> {
    const rejected = new Map<number, TailraceError>()
    for (const [index, batch] of batches.entries()) {
      await this.#sink.write(batch, (_, cause) => rejected.set(index, rejection(cause)))
    }
    const mark = await this.#sink.flush({ end: true })
    await this.#record(mark)
    await this.#sink.recorded?.(mark)
    return rejected
  }

  async close(): Promise<void> {
    try {
      await this.#sink.close()
    } finally {
      await this.#lock[Symbol.asyncDispose]()
    }
  }

  /** As a run would be told it. */
  get #mark(): SinkMark | undefined {
    const progress = this.#state?.sinks[this.#name]
    return progress && (this.#hasNothing ? progress.start : progress.mark)
  }

  get #hasNothing(): boolean {
    const position = this.#state?.sinks[this.#name]?.position ?? null
    return position === null || StreamPosition.parse(position).isNothing
  }

  /** Its place in the stream stays; what the sink has is more. */
  async #record(mark: SinkMark): Promise<void> {
    const progress = this.#state?.sinks[this.#name]
    if (this.#state === undefined || progress === undefined) return
    const start = this.#hasNothing ? mark : progress.start
    const sinks = { ...this.#state.sinks, [this.#name]: { ...progress, mark, start } }
    this.#state = { ...this.#state, sinks }
    await writePipelineState(this.#statePath, this.#state)
  }
}

async function lockFor(sink: string, statePath: string): Promise<StateLock> {
  try {
    return await StateLock.take(statePath)
  } catch (error) {
    if (!STATE_LOCKED.is(error)) throw error
    throw DEAD_LETTERS_OF_RUN({ sink, pid: Number(error.details.pid) }, { cause: error })
  }
}
