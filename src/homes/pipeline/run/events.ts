import type { ProcessorEvent } from '../../../processors/chain.js'
import type { Outages, SinkEvent, SinkMark } from '../../../sinks/sink.js'

/** What a pipeline tells of its processors and sinks, besides what its source tells. */
export type PipelineEvent =
  | ProcessorEvent
  | {
      readonly type: 'sink-retrying'
      readonly sink: string
      readonly attempt: number
      readonly delayMs: number
      readonly cause: Error
    }
  | { readonly type: 'sink-recovered'; readonly sink: string; readonly attempts: number }
  /** It has put so many more records aside; `problem`: why the last one. */
  | { readonly type: 'sink-dead-letters'; readonly sink: string; readonly count: number; readonly problem: string }
  | (SinkEvent & { readonly sink: string })
  /** What the server says to what the file declares of it. */
  | { readonly type: 'declared-otherwise'; readonly warning: string }
  | { readonly type: 'sink-failed'; readonly sink: string; readonly cause: Error }
  /** A sink that the state knows is no longer in the pipeline's file. */
  | { readonly type: 'sink-gone'; readonly sink: string }
  /** They stand apart from the others within a snapshot, after a crash, and get what they lack of it first. */
  | { readonly type: 'sinks-alone'; readonly sinks: readonly string[] }

/** How a run went, when it has ended. */
export interface PipelineSummary {
  readonly seconds: number
  /** Taken from the source, by `schema.table`. */
  readonly tables: ReadonlyMap<string, number>
  readonly sinks: readonly SinkSummary[]
}

export interface SinkSummary {
  readonly name: string
  readonly type: string
  /** Durable by the end, of those that this run gave it. */
  readonly records: number
  readonly bytes: number
  /** Of these, put aside. */
  readonly deadLetters: number
  /** Of a sink with an endpoint that it may leave alone. */
  readonly outages?: Outages | undefined
}

/** How far a sink is, as it is recorded. */
export interface SinkProgress {
  /** Of the source, as its `toJSON` gave it; null before anything was recorded. */
  readonly position: object | null
  readonly mark: SinkMark
  /** Before anything was written: an unfinished snapshot that cannot be gone on with begins again there. */
  readonly start: SinkMark
}
