import { problemOfMark } from '../sinks/custom/guardedSink.js'
import type { FlushOptions, Reject, Sink, SinkMark } from '../sinks/sink.js'
import type { ContractBatch } from './contractBatches.js'
import { ContractFailure, within } from './failure.js'

interface Recorded {
  readonly mark: SinkMark
  /** How many batches it stands behind. */
  readonly batches: number
}

/** Gives batches to a sink as a pipeline does, and keeps what outlives a crash of it. */
export class Delivery {
  readonly batches: readonly ContractBatch[]
  #sink!: Sink
  /** What a pipeline has in its state file. */
  #recorded: Recorded | undefined
  #flushed: Recorded | undefined
  #next = 0
  readonly #timeoutMs: number

  /** `timeoutMs`: so long each call may take. */
  constructor(batches: readonly ContractBatch[], timeoutMs: number) {
    this.batches = batches
    this.#timeoutMs = timeoutMs
  }

  /** What the sink was given, and has not taken back. */
  get given(): readonly ContractBatch[] {
    return this.batches.slice(0, this.#next)
  }

  get isDone(): boolean {
    return this.#next === this.batches.length
  }

  /** As at the start of a pipeline, whatever became of the sink before. */
  async start(sink: Sink): Promise<void> {
    this.#sink = sink
    sink.listen?.(() => {})
    await this.#open(this.#recorded)
    this.#flushed = this.#recorded ??= await this.#flush({ end: false })
    await this.#tellRecorded(this.#recorded)
  }

  /** As a pipeline does behind an error: the same sink, closed and opened with what its last flush gave. */
  async startAgain(): Promise<void> {
    await this.close()
    await this.#open(this.#flushed)
  }

  /** The next batch, or so many of them. */
  async write(count = 1, reject?: Reject): Promise<void> {
    for (let index = 0; index < count; index++) {
      const one = this.batches[this.#next]
      if (one === undefined) return
      const next = this.batches[this.#next + 1]
      const writing = within(this.#sink.write(one.batch, reject), this.#timeoutMs, 'write')
      if (next !== undefined) this.#sink.prepare?.(next.batch)
      await writing
      this.#next++
    }
  }

  async flush({ end = false, durable = true }: Partial<FlushOptions> = {}): Promise<void> {
    this.#flushed = await this.#flush({ end, durable })
  }

  /** Flushes, and puts that into what outlives a crash. */
  async record(end = false): Promise<void> {
    await this.flush({ end })
    this.#recorded = this.#flushed
    await this.#tellRecorded(this.#recorded!)
  }

  /** The same, and of a sink that says so the next batches come meanwhile; else behind it. */
  async recordAndWrite(count: number): Promise<void> {
    if (this.#sink.writesDuringFlush !== true) {
      await this.record()
      return this.write(count)
    }
    const flushing = this.#flush({ end: false })
    flushing.catch(() => {})
    await this.write(count)
    this.#recorded = this.#flushed = await flushing
    await this.#tellRecorded(this.#recorded)
  }

  /** All that is left, to the end of the pipeline. */
  async finish(): Promise<void> {
    while (!this.isDone) {
      await this.write(3)
      await this.record()
    }
    await this.record(true)
    await this.close()
  }

  close(): Promise<void> {
    return within(this.#sink.close(), this.#timeoutMs, 'close')
  }

  async #open(known: Recorded | undefined): Promise<void> {
    const position = await within(Promise.resolve<unknown>(this.#sink.open(known?.mark)), this.#timeoutMs, 'open')
    this.#next = known?.batches ?? 0
    this.#flushed = known
    if (this.#sink.storesPosition !== true) {
      if (position !== undefined) throw new ContractFailure('open gave a position, and storesPosition is not true')
      return
    }
    if (position === undefined) throw new ContractFailure('open gave undefined, and storesPosition is true')
    const text = JSON.stringify(position)
    const at = position === null ? -1 : this.batches.findIndex(({ batch }) => String(batch.position) === text)
    if (position !== null && at < 0) throw new ContractFailure(`open gave a position that no batch had: ${text}`)
    if (at + 1 < this.#next) {
      const problem = `open gave the position of batch ${at + 1}, and ${this.#next} were flushed and recorded`
      throw new ContractFailure(problem)
    }
    this.#next = at + 1
  }

  async #flush(options: FlushOptions): Promise<Recorded> {
    const batches = this.#next
    const mark = await within(this.#sink.flush(options), this.#timeoutMs, 'flush')
    const problem = problemOfMark(mark)
    if (problem !== undefined) throw new ContractFailure(`the mark that flush gave is ${problem}`)
    return { mark: JSON.parse(JSON.stringify(mark)), batches }
  }

  async #tellRecorded({ mark }: Recorded): Promise<void> {
    const told = this.#sink.recorded?.(mark)
    if (told !== undefined) await within(told, this.#timeoutMs, 'recorded')
  }
}
