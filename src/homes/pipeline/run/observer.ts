import type { Batch } from '../../../source/batch.js'
import type { Lane } from './lane.js'
import type { TableCounts } from './tableCounts.js'

/** Looks on while a pipeline runs, for who wants to know more than events tell. It is told once a batch at most, never for a row. */
export interface RunObserver {
  /** All that is read from now on, over all tries, is counted there. */
  counts(counts: TableCounts): void
  /** A try begins: these are its sinks. */
  lanes(lanes: readonly Lane[]): void
  /** A batch came from the source. */
  took(batch: Batch): void
  /** A sink has taken so many records at once. */
  wrote(sink: string, records: number, seconds: number): void
  /** All that a sink has up to a barrier is durable. */
  flushed(sink: string): void
}
