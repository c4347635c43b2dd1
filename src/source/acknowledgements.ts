import { sleep } from '../core/abort.js'
import { type Deferred, deferred } from '../core/deferred.js'
import type { ChunkRange } from '../core/record.js'
import { RowBatch } from '../core/rowBatch.js'
import type { Lsn } from '../postgres/lsn.js'
import { AckLedger } from './ackLedger.js'
import { Batch } from './batch.js'
import type { Origin, StreamPosition } from './position.js'
import type { ProgressAt } from './scan/progress.js'
import { slotMark } from './slotMark.js'
import type { Piece } from './snapshot/pieces.js'

/** How long an acknowledgement is waited for before an empty batch asks for it again. */
const ASK_MS = 1000
/** A consumer that does not say for so long what is durable keeps no table from leaving: its publication follows later. */
export const RECORDED_MS = 10_000

/** What the consumer says is durable, and whoever waits for that. */
export class Acknowledgements {
  readonly #marked: boolean
  #ledger = new AckLedger(0n)
  #next: Deferred<void> | undefined
  #count = 0
  #durable: StreamPosition | undefined
  /** Called after each acknowledgement. */
  onAck: () => void = () => {}

  /** `marked`: what is confirmed bears the mark of its epoch. */
  constructor(marked = false) {
    this.#marked = marked
  }

  get ledger(): AckLedger {
    return this.#ledger
  }

  /** How many there were. */
  get count(): number {
    return this.#count
  }

  /** A slot of which everything before `start` is confirmed. */
  begin(start: Lsn, origin: Origin): void {
    this.#ledger = new AckLedger(start, origin, this.#marked ? slotMark(origin.epoch) : 0n)
  }

  ack(position: StreamPosition): void {
    this.#ledger.ack(position)
    this.#count++
    this.#durable = position
    this.onAck()
    this.#next?.resolve()
    this.#next = undefined
  }

  /** A batch of `rows` up to `position`, which acknowledges here. */
  batch(rows: RowBatch, position: StreamPosition, snapshotAt?: ProgressAt, range?: ChunkRange, piece?: Piece): Batch {
    return new Batch(rows, position, (acked) => this.ack(acked), { snapshotAt, range, piece })
  }

  /**
   * Waits until everything handed out is durable, but no longer than `limitMs`. Whoever acks only now and then is asked
   * by empty batches, the first of them at once. Rejects when `signal` is aborted.
   */
  async *settle(signal: AbortSignal, limitMs = Number.POSITIVE_INFINITY): AsyncGenerator<Batch, void, void> {
    const deadline = performance.now() + limitMs
    yield* this.#asking()
    while (!this.#ledger.settled && performance.now() < deadline) {
      const done = new AbortController()
      const asking = sleep(Math.min(ASK_MS, limitMs), AbortSignal.any([signal, done.signal])).then(() => true)
      asking.catch(() => {})
      try {
        let ask = false
        while (!ask && !this.#ledger.settled) ask = await Promise.race([asking, this.#acked().then(() => false)])
      } finally {
        done.abort()
      }
      yield* this.#asking()
    }
  }

  *#asking(): Generator<Batch, void, void> {
    const last = this.#ledger.offered
    if (!this.#ledger.settled && last !== undefined) yield this.batch(new RowBatch(), last)
  }

  /** Waits until a position is durable for which this holds; `ask` has the consumer get one. */
  async until(holds: (durable: StreamPosition) => boolean, ask: () => void, signal: AbortSignal): Promise<void> {
    while (this.#durable === undefined || !holds(this.#durable)) {
      ask()
      await Promise.race([this.#acked(), sleep(ASK_MS, signal)])
    }
  }

  #acked(): Promise<void> {
    this.#next ??= deferred()
    return this.#next.promise
  }
}
