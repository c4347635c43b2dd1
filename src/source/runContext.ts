import type { Acknowledgements } from './acknowledgements.js'
import type { Batch } from './batch.js'
import type { BatchQueue } from './batchQueue.js'
import type { Connections } from './connections.js'
import type { SourceEvent } from './events.js'
import type { ParsedOptions } from './options.js'
import type { RunWatch } from './runWatch.js'

/** What every part of one run shares. */
export interface RunContext {
  readonly options: ParsedOptions
  readonly connections: Connections
  readonly queue: BatchQueue<Batch>
  readonly acknowledgements: Acknowledgements
  /** Records are handed on in batches of about this size when the consumer is behind. */
  readonly batchBytes: number
  readonly watch: RunWatch
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}
