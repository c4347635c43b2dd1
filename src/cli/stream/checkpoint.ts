import type { Position } from '../../core/record.js'
import type { Output } from '../../sinks/files/output.js'
import { StreamPosition } from '../../source/position.js'
import type { AheadFile } from './aheadFile.js'
import { type State, writeState } from './stateFile.js'

export interface CheckpointOptions {
  readonly output: Output
  /** Of `--state`; undefined when the slot alone holds the place. */
  readonly statePath: string | undefined
  /** What the state says of the output, without its length. */
  readonly file: string | null
  readonly start: number
  /** Told of what is not durable yet. */
  readonly ahead?: AheadFile | undefined
  readonly ack: (position: Position) => Promise<void>
}

function repeats(position: Position): boolean {
  return position instanceof StreamPosition && position.repeats && !position.beginsAnew
}

/** At most this long after a line was written it is durable and confirmed. */
const FIRST_DELAY_MS = 200
/** A slow disk gets more time between two, so that syncing never takes more than a fifth of it. */
const REST_FACTOR = 4

/**
 * Makes what was written durable, then records how far that is, then confirms it: in this order, so that a crash at any
 * moment repeats or cuts off, and never skips.
 */
export class Checkpoint {
  readonly #options: CheckpointOptions
  #written: { readonly position: Position; readonly bytes: number } | undefined
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #delayMs = FIRST_DELAY_MS
  #failed: (error: unknown) => void

  /** `failed` is called when a checkpoint by timer fails. */
  constructor(options: CheckpointOptions, failed: (error: unknown) => void) {
    this.#options = options
    this.#failed = failed
  }

  /** The lines up to `position` are written, the last of them just now. */
  wrote(position: Position, lines: readonly Uint8Array[] = []): void {
    const { ahead, output } = this.#options
    if (position instanceof StreamPosition) ahead?.wrote(lines, position, output.bytes)
    // What is resumed there repeats rows: they are cut off, with the position before them.
    if (output.isFile && repeats(position)) return
    this.#written = { position, bytes: output.bytes }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.now().catch(this.#failed)
    }, this.#delayMs)
  }

  /** Does it now, behind one that is under way. */
  now(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#running = this.#running.then(() => this.#run())
    return this.#running
  }

  /** None comes by itself any more, and what is under way has ended: what it records would be of a run that is over. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#running.catch(() => {})
  }

  async #run(): Promise<void> {
    const written = this.#written
    if (written === undefined) return
    this.#written = undefined
    const started = performance.now()
    const { output, statePath, file, start, ahead, ack } = this.#options
    ahead?.records(written.bytes)
    await output.sync()
    if (statePath !== undefined) {
      const state: State = {
        version: 1,
        position: written.position.toJSON(),
        output: { file, start, bytes: written.bytes },
      }
      await writeState(statePath, state)
      ahead?.recorded(state.position)
    }
    await ack(written.position)
    this.#delayMs = Math.max(FIRST_DELAY_MS, REST_FACTOR * (performance.now() - started))
  }
}
