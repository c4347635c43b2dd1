import { setTimeout as sleep } from 'node:timers/promises'
import type { PositionJson } from '../../src/core/record.js'
import { TailraceError } from '../../src/core/tailraceError.js'
import type { Batch } from '../../src/source/batch.js'
import type { SourceOptions } from '../../src/source/options.js'
import { readSource, recordsOf, type SourceReader, type SourceRecord } from './sourceReader.js'
import { waitFor } from './waitFor.js'

const AGAIN_MS = 200

/**
 * A consumer as it should be: keeps records and position together, and begins a new run with it where an error says that
 * trying again may help. A snapshot that begins anew replaces what came of the one before.
 */
export class SupervisedSource implements AsyncDisposable {
  records: SourceRecord[] = []
  /** What ended the runs so far. */
  readonly errors: TailraceError[] = []
  position: PositionJson | undefined
  readonly #options: SourceOptions
  readonly #onBatch: ((batch: Batch) => Promise<unknown> | undefined) | undefined
  readonly #running: Promise<void>
  #reader: SourceReader | undefined
  #snapshot: string | undefined
  #failure: unknown
  #stopped = false

  /** `onBatch`: when the batch is kept, before it is acknowledged. */
  constructor(options: SourceOptions, onBatch?: (batch: Batch) => Promise<unknown> | undefined) {
    this.#options = options
    this.#onBatch = onBatch
    this.#running = this.#run()
  }

  /** The run that is under way. */
  get reader(): SourceReader {
    return this.#reader!
  }

  async until(condition: () => unknown, what: string, timeoutMs = 30_000, intervalMs?: number): Promise<void> {
    await waitFor(
      async () => {
        if (this.#failure !== undefined) throw this.#failure
        return condition()
      },
      { what, timeoutMs, intervalMs },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    await this.#reader?.close()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const reader = readSource(
        { ...this.#options, position: this.position, positionWithData: true },
        {
          onBatch: async (batch) => {
            this.#keep(batch)
            await this.#onBatch?.(batch)
          },
        },
      )
      this.#reader = reader
      try {
        await reader.ended
        return
      } catch (error) {
        if (!(error instanceof TailraceError) || error.retry !== 'later') {
          this.#failure = error
          return
        }
        this.errors.push(error)
        await sleep(AGAIN_MS)
      }
    }
  }

  #keep(batch: Batch): void {
    this.position = batch.position.toJSON()
    const snapshot = (this.position as { snapshot?: { id?: string } }).snapshot?.id
    if (snapshot !== undefined && snapshot !== this.#snapshot) {
      this.#snapshot = snapshot
      this.records = []
    }
    this.records.push(...recordsOf(batch))
  }
}
