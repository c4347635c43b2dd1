import { type Deferred, deferred } from '../core/deferred.js'

/**
 * Between whoever reads the server and the consumer: holds a bounded number of bytes. Producers ask `hungry` whether
 * somebody waits (then they hand on what they have, for latency) and `full` whether to pause (then they collect into
 * larger batches, and stop at the bound).
 *
 * Items may be promises: they keep their place, and whoever takes one waits for it.
 */
export class BatchQueue<Item> {
  readonly #limit: number
  #items: { readonly item: Item | Promise<Item>; readonly bytes: number }[] = []
  #bytes = 0
  /** Bytes of what the consumer took last: it holds them until it comes again. */
  #inHand = 0
  #waiting: Deferred<Item | undefined> | undefined
  #ended = false
  #abandoned = false
  #failure: { readonly error: unknown } | undefined
  /** Called when the consumer begins to wait, and when there is room again. */
  onDemand: () => void = () => {}

  constructor(limit: number) {
    this.#limit = limit
  }

  get hungry(): boolean {
    return this.#waiting !== undefined
  }

  /** Of what waits, and what the consumer took last. */
  get bytes(): number {
    return this.#bytes + this.#inHand
  }

  get full(): boolean {
    return this.bytes >= this.#limit
  }

  push(item: Item | Promise<Item>, bytes: number): void {
    if (this.#abandoned) return
    if (item instanceof Promise) item.catch(() => {}) // whoever takes it sees the rejection
    const waiting = this.#waiting
    if (waiting !== undefined) {
      this.#waiting = undefined
      this.#inHand = bytes
      // `resolve` follows a promise.
      waiting.resolve(item as Item)
      return
    }
    this.#items.push({ item, bytes })
    this.#bytes += bytes
  }

  /** Nothing more comes; what is held can still be taken. */
  end(): void {
    this.#ended = true
    this.#waiting?.resolve(undefined)
    this.#waiting = undefined
  }

  /** Nobody wants what is held, nor anything more. */
  abandon(): void {
    this.#abandoned = true
    this.#items = []
    this.#bytes = 0
    this.end()
  }

  /** More comes after an end. */
  reopen(): void {
    this.#ended = false
  }

  /** Rejects whoever waits or comes; what is held can still be taken first. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#waiting?.reject(error)
    this.#waiting = undefined
  }

  /** The next item; undefined after the end. */
  next(): Promise<Item | undefined> {
    const wasFull = this.full
    const first = this.#items.shift()
    this.#bytes -= first?.bytes ?? 0
    this.#inHand = first?.bytes ?? 0
    if (first !== undefined) {
      if (wasFull && !this.full) this.onDemand()
      return Promise.resolve(first.item)
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error)
    if (this.#ended) return Promise.resolve(undefined)
    this.#waiting = deferred()
    const { promise } = this.#waiting
    this.onDemand()
    return promise
  }
}
