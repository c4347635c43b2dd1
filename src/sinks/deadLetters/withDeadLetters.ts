import type { PositionJson } from '../../core/record.js'
import type { DeadLetterRow } from '../../destination/deadLetters.js'
import type { Batch } from '../../source/batch.js'
import type { DeadLetterCount, FlushOptions, Reject, Sink, SinkMark } from '../sink.js'
import { WrappedSink } from '../wrappedSink.js'
import { deadLetterOf } from './deadLetter.js'
import type { LetterStore } from './letterStore.js'

const LETTERS = 'deadLetters'

/** Within a sink's mark that of its dead letters. */
function lettersMark(mark: SinkMark | undefined): SinkMark | undefined {
  return (mark?.[LETTERS] ?? undefined) as SinkMark | undefined
}

/**
 * A sink whose rejected records are put aside. Both have their marks together, so that a record is at one of them when
 * it is recorded as delivered, and at none of them beyond that. The letters' mark stands within the sink's own, so that
 * the policy may be changed between two runs.
 */
export class WithDeadLetters extends WrappedSink {
  readonly #sink: Sink
  readonly #store: LetterStore
  #count = 0
  /** Since the last `flush`. */
  #written = 0
  #problem = ''
  /** Not written yet. */
  #letters: DeadLetterRow[] = []
  #open = false
  /** The last call of the store: it is not closed under its hands. */
  #storing: Promise<unknown> = Promise.resolve()

  constructor(sink: Sink, store: LetterStore) {
    super(sink)
    this.#sink = sink
    this.#store = store
  }

  override get deadLetters(): DeadLetterCount {
    return { count: this.#count, problem: this.#problem }
  }

  async open(mark: SinkMark | undefined): Promise<PositionJson | null | undefined> {
    this.#written = 0
    this.#letters = []
    this.#open = true
    await this.#store.open(lettersMark(mark))
    return (await this.#sink.open(mark)) as PositionJson | null | undefined
  }

  async write(batch: Batch, reject?: Reject): Promise<void> {
    const letters = this.#letters
    await this.#sink.write(batch, (index, cause) => {
      letters.push(deadLetterOf(batch, index, cause))
      reject?.(index, cause)
    })
    await this.#writeLetters()
  }

  async flush(options: FlushOptions): Promise<SinkMark> {
    const mark = await this.#sink.flush(options)
    // A sink that sends is told by now what was wrong with what it was given before.
    await this.#writeLetters()
    const letters = await this.#stored(this.#store.flush())
    this.#count += this.#written
    this.#written = 0
    return { ...mark, [LETTERS]: letters }
  }

  #stored<Result>(call: Promise<Result>): Promise<Result> {
    this.#storing = call
    return call
  }

  async #writeLetters(): Promise<void> {
    const letters = this.#letters.splice(0)
    if (letters.length === 0) return
    if (!this.#open) throw new Error('the sink was closed')
    await this.#stored(this.#store.write(letters))
    this.#written += letters.length
    this.#problem = letters.at(-1)!.problem
  }

  async recorded(mark: SinkMark): Promise<void> {
    await this.#sink.recorded?.(mark)
  }

  async close(): Promise<void> {
    this.#open = false
    try {
      await this.#sink.close()
    } finally {
      await this.#storing.catch(() => {})
      await this.#store.close()
    }
  }
}
