import type { PositionJson } from '../core/record.js'
import type { Batch } from '../source/batch.js'
import type { DeadLetterCount, FlushOptions, Outages, Reject, Sink, SinkEvent, SinkMark } from './sink.js'

/**
 * A sink around another one. What a pipeline asks of a sink besides its calls is what the one inside says: here once, so that no
 * wrapper forgets a part of it.
 */
export abstract class WrappedSink implements Sink {
  readonly prepare?: (next: Batch) => void
  readonly #inside: Sink

  constructor(inside: Sink) {
    this.#inside = inside
    if (inside.prepare !== undefined) this.prepare = (next) => inside.prepare!(next)
  }

  get storesPosition(): boolean {
    return this.#inside.storesPosition === true
  }

  get takesBack(): boolean {
    return this.#inside.takesBack === true
  }

  get releasesBatches(): boolean {
    return this.#inside.releasesBatches === true
  }

  get closesWhileBusy(): boolean {
    return this.#inside.closesWhileBusy === true
  }

  get isSlow(): boolean {
    return this.#inside.isSlow === true
  }

  get gathersBytes(): number | undefined {
    return this.#inside.gathersBytes
  }

  get preparesBatches(): number {
    return this.#inside.preparesBatches ?? 1
  }

  get deadLetters(): DeadLetterCount | undefined {
    return this.#inside.deadLetters
  }

  get outages(): Outages | undefined {
    return this.#inside.outages
  }

  listen(tell: (event: SinkEvent) => void): void {
    this.#inside.listen?.(tell)
  }

  dueAt(): number | undefined {
    return this.#inside.dueAt?.()
  }

  abstract open(mark: SinkMark | undefined): Promise<PositionJson | null | undefined>
  abstract write(batch: Batch, reject?: Reject): Promise<void>
  abstract flush(options: FlushOptions): Promise<SinkMark>
  abstract close(): Promise<void>
}
