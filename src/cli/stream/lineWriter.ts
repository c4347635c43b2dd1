import { availableParallelism } from 'node:os'
import { NdjsonEncoder, type NdjsonOptions } from '../../codec/ndjson.js'
import { ByteWriter } from '../../core/byteWriter.js'
import type { Position } from '../../core/record.js'
import { HEAD_OPERATION, type RowBatch, SNAPSHOT } from '../../core/rowBatch.js'
import { type Encoded, EncoderThread } from '../encoderThread.js'
import { log } from '../log.js'

/**
 * Batches of this size come when there is more to do than we get done, as of a large transaction that was spooled: of what
 * the socket brings 64 KB are handed on at once, and 192 KB at most behind them before it rests.
 */
const LARGE_BYTES = 224 * 1024
/** Where the thread makes the lines they need not be as large: we ask for the next one sooner then. */
const STILL_LARGE_BYTES = 128 * 1024
/** After so many large ones in a row the thread is begun, unless it was before: it costs as much as the lines of 8 MB. */
const BEGIN_BEHIND = 16
/** Batches whose lines are being made, or are not written yet. */
const JOBS = 6
/** So many that wait in the thread keep it busy while a batch is encoded here. */
const THREAD_JOBS = 3

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

/**
 * Makes lines of batches and writes them, in order. Where much is to be done the lines are made in a thread of their own
 * while the next rows are decoded here, and here too when the thread has enough to do; a batch that somebody waits for is
 * not sent around.
 */
export class LineWriter {
  readonly #options: LineWriterOptions
  readonly #encoder: NdjsonEncoder
  readonly #writer = new ByteWriter(1024 * 1024)
  #thread: EncoderThread | undefined
  #closed = false
  /** Lines that lie in `#writer` are not written yet. */
  #writerInUse = false
  #large = 0
  /** Each behind the one before it. */
  readonly #writing: Promise<void>[] = []
  #last: Promise<void> = Promise.resolve()

  constructor(options: LineWriterOptions) {
    this.#options = options
    this.#encoder = new NdjsonEncoder(options)
  }

  /** Large batches come, or will: the thread is begun, unless the machine has one processor. */
  expectLarge(): void {
    const { format, thread: { entry, processors = availableParallelism() } = {} } = this.#options
    if (processors === 1 || this.#thread !== undefined || this.#closed) return
    const onReady = () => log('debug', 'lines of large batches are made in a thread from now on')
    this.#thread = new EncoderThread({ format, onReady, entry })
  }

  /** Resolves when the next batch may come: the lines of this one may not be written yet. */
  async write({ rows, position }: Written): Promise<void> {
    if (!this.#isForThread(rows)) {
      await this.settled()
      return this.#writeHere(rows, position)
    }
    if (this.#writing.length === JOBS) await this.#writing.shift()
    const thread = this.#thread!
    const encoding = thread.jobs < THREAD_JOBS || this.#writerInUse ? thread.encode(rows) : this.#encodeHere(rows)
    rows.giveUp()
    encoding.catch(() => {}) // whoever writes them sees the rejection
    const before = this.#last
    this.#last = before.then(async () => {
      const { lines, release } = await encoding
      await this.#options.write(lines)
      this.#options.wrote(position, lines)
      release()
    })
    this.#last.catch(this.#options.failed)
    this.#writing.push(this.#last)
  }

  /** Everything that was given is written. */
  async settled(): Promise<void> {
    await this.#last
    this.#writing.length = 0
  }

  /** What is being written is, or has failed; the thread ends. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#last.catch(() => {})
    await this.#thread?.[Symbol.asyncDispose]()
  }

  async #writeHere(rows: RowBatch, position: Position): Promise<void> {
    const { write, wrote } = this.#options
    if (rows.count === 0) return wrote(position)
    this.#encoder.write(this.#writer, rows)
    rows.giveUp()
    const lines = this.#writer.take()
    await write(lines)
    wrote(position, lines)
    this.#writer.clear()
  }

  async #encodeHere(rows: RowBatch): Promise<Encoded> {
    this.#writerInUse = true
    this.#encoder.write(this.#writer, rows)
    const release = () => {
      this.#writer.clear()
      this.#writerInUse = false
    }
    return { lines: this.#writer.take(), release }
  }

  /** Rows of a snapshot come from a server that makes them no faster than we make lines of them. */
  #isForThread(rows: RowBatch): boolean {
    const ready = this.#thread?.ready === true
    const least = ready && this.#large > 0 ? STILL_LARGE_BYTES : LARGE_BYTES
    const large = rows.bytes >= least && rows.heads[HEAD_OPERATION] !== SNAPSHOT
    this.#large = large ? this.#large + 1 : 0
    if (this.#large >= BEGIN_BEHIND) this.expectLarge()
    return ready && large && EncoderThread.takes(rows)
  }
}
