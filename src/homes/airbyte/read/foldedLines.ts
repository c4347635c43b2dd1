import { ByteWriter } from '../../../core/byteWriter.js'
import type { Batch } from '../../../source/batch.js'
import type { StreamPosition } from '../../../source/position.js'
import { isFirst, isWhole, type Lines, type LinesParts } from './batchLines.js'
import { HeldRecords } from './heldRecords.js'

/** Of what may be held, so much stays when there is more: what was touched last is touched again soonest. */
const KEPT = 0.75
/** Lines are written in pieces of this size. */
const PIECE_BYTES = 1024 * 1024
/** A place that can be stated is kept every so many records. */
const PLACE_RECORDS = 10_000
const MOST_PLACES = 1000

export interface FoldedLinesOptions extends LinesParts {
  /** Bytes that may be held. */
  readonly atMost: number
  /** The run has no end to wait for: nothing is held for longer than so many milliseconds. */
  readonly forAtMostMs: number | undefined
}

interface StatedPlace {
  readonly position: StreamPosition
  /** The number of the first record behind it. */
  readonly next: number
}

/**
 * Of each key the last record, until the run ends or there are too many: then those go whose keys were touched first. A
 * place is stated when nothing is held any more of what came before it.
 */
export class FoldedLines implements Lines {
  readonly #options: FoldedLinesOptions
  readonly #held = new HeldRecords()
  readonly #writer = new ByteWriter()
  #places: StatedPlace[] = []
  /** Writes what is held by then, or does. */
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(options: FoldedLinesOptions) {
    this.#options = options
  }

  /** Whatever fails, the next batch or the end meets it. */
  get failed(): AbortSignal {
    return this.#options.records.failed
  }

  async write(batch: Batch, position: StreamPosition): Promise<void> {
    const {
      records: { records },
      checkpoints,
      atMost,
      forAtMostMs,
      onReached,
    } = this.#options
    await this.#writing
    records.readAt(position.place)
    checkpoints.count(records.hold(this.#held, batch.rows, Date.now()))
    const first = isFirst(batch, position, checkpoints)
    if (!position.beginsAnew && isWhole(position)) this.#keepPlace(position, first)
    if (first) await this.#writeDownTo(0)
    else if (this.#held.bytes > atMost) await this.#writeDownTo(KEPT * atMost)
    if (!position.beginsAnew) onReached(position)
    if (forAtMostMs === undefined || this.#timer !== undefined || this.#held.bytes === 0) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#writing = this.#writeDownTo(0)
      this.#writing.catch(() => {}) // the next batch, or the end, meets it
    }, forAtMostMs)
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#writing
    await this.#writeDownTo(0)
  }

  #keepPlace(position: StreamPosition, first: boolean): void {
    const last = this.#places.at(-1)
    const { next } = this.#held
    if (last !== undefined && (last.next === next || this.#options.forAtMostMs !== undefined)) this.#places.pop()
    else if (!first && last !== undefined && next - last.next < PLACE_RECORDS) return
    this.#places.push({ position, next })
    if (this.#places.length > MOST_PLACES) this.#places = this.#places.filter((_, index) => index % 2 === 1)
  }

  async #writeDownTo(keep: number): Promise<void> {
    const writer = this.#writer
    writer.clear()
    while (!this.#held.write(writer, keep, PIECE_BYTES)) {
      await this.#options.output.lines(writer.take())
      writer.clear()
    }
    const covered = this.#places.filter(({ next }) => next <= this.#held.oldest)
    const last = covered.at(-1)
    if (last !== undefined) {
      writer.write(Buffer.from(this.#options.checkpoints.lines(last.position)))
      this.#places.splice(0, covered.length)
    }
    if (writer.size > 0) await this.#options.output.lines(writer.take())
  }
}
