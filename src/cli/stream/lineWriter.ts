import { NdjsonEncoder, type NdjsonOptions } from '../../codec/ndjson.js'
import type { Position } from '../../core/record.js'
import type { RowBatch } from '../../core/rowBatch.js'
import * as lines from '../../sinks/lines/lineWriter.js'
import { log } from '../log.js'
import { ENCODER_WORKER } from '../threads.js'

export interface LineWriterOptions extends NdjsonOptions {
  readonly write: (lines: readonly Uint8Array[]) => Promise<void>
  /** The lines up to `position` are written, these the last of them. */
  readonly wrote: (position: Position, lines?: readonly Uint8Array[]) => void
  /** Lines that were made meanwhile could not be written, or not be made. `settled` rejects then, too. */
  readonly failed: (error: unknown) => void
  /** The thread's file, and how many threads the machine runs at once. */
  readonly thread?: { readonly entry?: URL; readonly processors?: number }
}

interface Written {
  readonly rows: RowBatch
  readonly position: Position
}

/** Lines of NDJSON of a run's batches, in order, where much is to be done in a second thread. */
export class LineWriter {
  readonly #options: LineWriterOptions
  readonly #encoder: NdjsonEncoder
  readonly #lines: lines.LineWriter<void, void>

  constructor(options: LineWriterOptions) {
    const { format, failed, thread: { entry = ENCODER_WORKER, processors } = {} } = options
    this.#options = options
    this.#encoder = new NdjsonEncoder(options)
    const onReady = () => log('debug', 'lines of large batches are made in a thread from now on')
    const data = (): NdjsonOptions => ({ format })
    this.#lines = new lines.LineWriter({
      thread: { entry, data, onReady, processors },
      rowsToo: false,
      ahead: true,
      failed,
    })
  }

  /** Large batches come, or will: the thread is begun, unless the machine has one processor. */
  expectLarge(): void {
    this.#lines.expectLarge()
  }

  /** Resolves when the next batch may come: the lines of this one may not be written yet. */
  write({ rows, position }: Written): Promise<void> {
    const { write, wrote } = this.#options
    return this.#lines.write(rows, {
      here: (writer) => this.#encoder.write(writer, rows),
      task: () => {},
      write: async (lines) => {
        if (lines.length > 0) await write(lines)
        wrote(position, lines)
      },
    })
  }

  /** Everything that was given is written. */
  settled(): Promise<void> {
    return this.#lines.settled()
  }

  /** What is being written is, or has failed; the thread ends. */
  close(): Promise<void> {
    return this.#lines.close()
  }
}
