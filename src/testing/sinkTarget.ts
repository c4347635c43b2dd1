import type { Sink } from '../sinks/sink.js'
import type { Change } from './contractBatches.js'

/** Where the sinks of one check write to: empty at its beginning, and nobody else's. */
export interface SinkTarget {
  /** Makes a sink that writes there, as each start of a pipeline does. Not opened yet. */
  make(): Sink
  /**
   * What somebody else finds there now who reads the target itself, never the sink: of a log each change, in order, again if it
   * is there again; else the rows as they are. Only rows of the table `contract` count.
   */
  read(): Promise<readonly Change[]>
  /**
   * The process of the sink was killed: cuts what the system would, such as its connections. Default: the sink is only
   * left alone, which is enough where it has nothing that goes on by itself.
   */
  crash?(sink: Sink): void | Promise<void>
  /** The target takes nothing until the function that this gives is called: `back-pressure` needs it. */
  hold?(): Promise<() => void | Promise<void>>
  /** What is written or flushed next fails, until the function that this gives is called. Without it `close` meets no error. */
  fail?(): Promise<() => void | Promise<void>>
  /** Called at the end of the check, when all sinks are closed. */
  dispose?(): void | PromiseLike<void>
}
