import type { Sink } from '../sinks/sink.js'
import type { ContractBatch } from './contractBatches.js'
import { Delivery } from './delivery.js'
import { require, within } from './failure.js'
import { disordered, missing, type TargetKind } from './judge.js'
import type { SinkTarget } from './sinkTarget.js'

/** What checks are told of a sink. */
export interface CheckOptions {
  readonly kind: TargetKind
  readonly rejectedNote: string | undefined
  readonly maxHeldBytes: number
  readonly timeoutMs: number
}

/** A target, and the sinks that a check has made for it. */
export class Check implements AsyncDisposable {
  readonly options: CheckOptions
  readonly target: SinkTarget
  readonly #sinks: Sink[] = []

  constructor(target: SinkTarget, options: CheckOptions) {
    this.target = target
    this.options = options
  }

  make(): Sink {
    const sink = this.target.make()
    this.#sinks.push(sink)
    return sink
  }

  delivery(batches: readonly ContractBatch[]): Delivery {
    return new Delivery(batches, this.options.timeoutMs)
  }

  /** The last sink is gone without a word; gives another one, of the next process. */
  async crash(): Promise<Sink> {
    await this.target.crash?.(this.#sinks.at(-1)!)
    return this.make()
  }

  /** All of that is at the target, and nothing else. */
  async expectAll(given: readonly ContractBatch[], { once = false } = {}): Promise<void> {
    const expected = { kind: this.options.kind, given, once }
    const found = await this.target.read()
    require(disordered(expected, found))
    require(missing(expected, found))
  }

  /** The last ones first: those that were left alone must not take anything away from them. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const sink of this.#sinks.reverse())
      await within(sink.close(), this.options.timeoutMs, 'close').catch(() => {})
    await this.target.dispose?.()
  }
}
