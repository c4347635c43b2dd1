/** How many records a second may be written: a bucket of tokens, one a record, that fills at a steady rate. */
export class RateLimit {
  readonly #perMs: number
  /** Most that may be written at once. */
  readonly burst: number
  readonly #now: () => number
  #tokens: number
  #at: number

  /** `burst` 0: those of a second. */
  constructor(perSecond: number, burst: number, now: () => number = () => performance.now()) {
    this.#perMs = perSecond / 1000
    this.burst = Math.max(1, burst === 0 ? Math.ceil(perSecond) : burst)
    this.#now = now
    this.#tokens = this.burst
    this.#at = now()
  }

  /** Takes tokens for `count` records, {@link burst} at most, and gives the milliseconds to wait before they are written. */
  take(count: number): number {
    const now = this.#now()
    this.#tokens = Math.min(this.burst, this.#tokens + (now - this.#at) * this.#perMs)
    this.#at = now
    this.#tokens -= count
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs
  }
}
