import { DEAD_LETTERS_BUSY } from '../../../core/deadLetterErrors.js'
import type { TailraceError } from '../../../core/tailraceError.js'
import type { Batch } from '../../../source/batch.js'

/** What of some letters a sink has rejected again, by index. */
export type Rejected = ReadonlyMap<number, TailraceError>

/** A sink that writes text, asked to write dead letters again. */
export interface ReplaySink {
  /** What it rejects it puts aside itself, as another letter. */
  readonly putsAside: boolean
  /** Each batch is a letter. Resolves when all of them are durable, and recorded. */
  write(batches: readonly Batch[]): Promise<Rejected>
}

/** Who runs a pipeline; undefined: it has no such sink now. */
export type Replayer = (sink: string) => ReplaySink | undefined

/** The way of dead letters to the sinks of a pipeline that runs, from whoever is asked for that in the same process. */
export class Replays {
  #run: Replayer | undefined

  /** Gives what ends it. */
  attach(run: Replayer): () => void {
    this.#run = run
    return () => {
      if (this.#run === run) this.#run = undefined
    }
  }

  /** Throws DEAD_LETTERS_BUSY where it does not run. */
  sink(name: string): ReplaySink {
    const found = this.#run?.(name)
    if (found !== undefined) return found
    throw DEAD_LETTERS_BUSY({
      sink: name,
      problem: 'its pipeline is not at work, as when it has failed, or waits to try again',
    })
  }
}
