import { availableParallelism } from 'node:os'
import { ByteWriter } from '../../core/byteWriter.js'
import { HEAD_OPERATION, type RowBatch, SNAPSHOT } from '../../core/rowBatch.js'
import { type Encoded, EncoderThread } from './encoderThread.js'

/**
 * Batches of this size come when there is more to do than we get done, as of a large transaction that was spooled: of what
 * the socket brings 64 KB are handed on at once, and 192 KB at most behind them before it rests.
 */
const LARGE_BYTES = 224 * 1024
/** Where the thread makes the lines they need not be as large: we ask for the next one sooner then. */
const STILL_LARGE_BYTES = 128 * 1024
/** After so many large ones in a row the thread is begun, unless it was before: it costs as much as the lines of 8 MB. */
const BEGIN_BEHIND = 16
/** Rows of a snapshot come in batches of this size, but for the last ones. */
const LARGE_LINES_BYTES = 64 * 1024
/** Batches whose lines are being made, or are not written yet. */
const JOBS = 6
/** So many that wait in the thread keep it busy while a batch is encoded here. */
const THREAD_JOBS = 3

export interface LineWriterOptions {
  /** Undefined: there is none, all is done here. */
  readonly thread:
    | {
        /** The thread's own file, and what it is told when it begins. */
        readonly entry: URL
        readonly data: () => unknown
        readonly onReady?: (() => void) | undefined
        /** How many threads the machine runs at once. */
        readonly processors?: number | undefined
      }
    | undefined
  /**
   * Rows of a snapshot go to the thread too, from where it is begun on: as the server sent them, so that nobody reads them
   * here.
   */
  readonly rowsToo: boolean
  /** Lines of one batch can be made while others are not written yet; else each is made behind what was written. */
  readonly ahead: boolean
  /** Lines that were made meanwhile could not be written, or not be made. `settled` rejects then, too. */
  readonly failed: (error: unknown) => void
}

/** What becomes of one batch. */
export interface LineJob<Task, Told> {
  /** Makes its lines here. */
  readonly here: (writer: ByteWriter) => void
  /** What the thread is told of it. */
  readonly task: () => Task
  /** Does here what the thread would do. Without it nothing is made here while lines before it are not written, but `ahead`. */
  readonly alike?: (writer: ByteWriter) => Told
  /** Writes its lines, behind those of the batches before it. `told`: what the thread says of them; undefined: made here. */
  readonly write: (lines: readonly Uint8Array[], told: { readonly of: Told } | undefined) => Promise<void>
}

/**
 * Makes lines of batches and has them written, in order. Where much is to be done the lines are made in a thread of their own
 * while the next rows are decoded here, and here too when the thread has enough to do; a batch that somebody waits for is
 * not sent around.
 */
export class LineWriter<Task, Told> {
  readonly #options: LineWriterOptions
  readonly #writer = new ByteWriter(1024 * 1024)
  #thread: EncoderThread<Task, Told> | undefined
  #closed = false
  /** Lines that lie in `#writer` are not written yet. */
  #writerInUse = false
  #large = 0
  /** Each behind the one before it. */
  readonly #writing: Promise<void>[] = []
  #last: Promise<void> = Promise.resolve()

  constructor(options: LineWriterOptions) {
    this.#options = options
  }

  /** Large batches come, or will: the thread is begun, unless the machine has one processor. */
  expectLarge(): void {
    const { thread } = this.#options
    if (thread === undefined || this.#thread !== undefined || this.#closed) return
    const { entry, data, onReady, processors = availableParallelism() } = thread
    if (processors === 1) return
    this.#thread = new EncoderThread({ entry, data: data(), onReady })
  }

  /** Resolves when the next batch may come: the lines of this one may not be written yet. */
  async write(rows: RowBatch, job: LineJob<Task, Told>): Promise<void> {
    if (!this.#isForThread(rows)) {
      await this.settled()
      return this.#writeHere(rows, job)
    }
    if (this.#writing.length === JOBS) await this.#writing.shift()
    const thread = this.#thread!
    const canBeHere = this.#options.ahead || job.alike !== undefined
    const there = !canBeHere || thread.jobs < THREAD_JOBS || this.#writerInUse
    const encoding = there ? this.#encodeThere(thread, rows, job) : this.#encodeHere(job)
    rows.giveUp()
    encoding.catch(() => {}) // whoever writes them sees the rejection
    const before = this.#last
    this.#last = before.then(async () => {
      const { lines, told, release } = await encoding
      await job.write(lines, told)
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

  async #writeHere(rows: RowBatch, { here, write }: LineJob<Task, Told>): Promise<void> {
    here(this.#writer)
    if (rows.count > 0) rows.giveUp()
    await write(this.#writer.take(), undefined)
    this.#writer.clear()
  }

  async #encodeThere(
    thread: EncoderThread<Task, Told>,
    rows: RowBatch,
    { task }: LineJob<Task, Told>,
  ): Promise<Encoded<{ readonly of: Told }>> {
    const { lines, told, release } = await thread.encode(rows, task())
    return { lines, told: { of: told }, release }
  }

  async #encodeHere({ here, alike }: LineJob<Task, Told>): Promise<Encoded<{ readonly of: Told } | undefined>> {
    this.#writerInUse = true
    const told = alike && { of: alike(this.#writer) }
    if (alike === undefined) here(this.#writer)
    const release = () => {
      this.#writer.clear()
      this.#writerInUse = false
    }
    return { lines: this.#writer.take(), told, release }
  }

  #isForThread(rows: RowBatch): boolean {
    const { rowsToo } = this.#options
    if (rowsToo && (rows.areLines || rows.heads[HEAD_OPERATION] === SNAPSHOT)) return this.#areForThread(rows)
    const ready = this.#thread?.ready === true
    const least = ready && this.#large > 0 ? STILL_LARGE_BYTES : LARGE_BYTES
    // Rows of a snapshot come from a server that makes them no faster than we make lines of them.
    const large = rows.bytes >= least && rows.heads[HEAD_OPERATION] !== SNAPSHOT
    this.#large = large ? this.#large + 1 : 0
    if (this.#large >= BEGIN_BEHIND) this.expectLarge()
    return ready && large && EncoderThread.takes(rows)
  }

  /** The thread is begun, and will take what comes once it is loaded. */
  get isLoading(): boolean {
    return this.#thread !== undefined && !this.#thread.ready
  }

  #areForThread(rows: RowBatch): boolean {
    if (this.#thread?.ready !== true || rows.count === 0) return false
    const isSmall = rows.bytes < LARGE_LINES_BYTES && this.#thread.jobs === 0
    return !isSmall && EncoderThread.takes(rows)
  }
}
