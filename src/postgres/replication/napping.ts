/** Received within {@link RUSH_MS}, this much means that the server sends as fast as it can. */
const RUSH_BYTES = 16 * 1024
const RUSH_MS = 4
const NAP_MS = 1

/**
 * Reads lazily under load. While the receive window is open the walsender pays a `send()` and a TCP segment of its own
 * for every row, which costs it more than decoding the row; while nobody reads, rows travel together. So when data
 * rushes in, the socket rests for a millisecond after each look. A reader that is faster than the server never sees a
 * full read, so it is the rate that decides; a stream of single commits stays far below it, and its latency untouched.
 *
 * PostgreSQL 15 on loopback, 1 M rows in 1,000-row transactions, ratio to pg_recvlogical on two loaded cores: eager 1.1;
 * naps of 1 ms from 16 kB on 0.46 to 0.53, from 64 kB on 0.7; naps of 2 ms 0.8, since the window shuts in them.
 */
export class Napping {
  readonly #pause: () => void
  readonly #resume: () => void
  #timer: NodeJS.Timeout | undefined
  #held = false
  #bytes = 0
  #since = 0

  constructor(pause: () => void, resume: () => void) {
    this.#pause = pause
    this.#resume = resume
  }

  /** `length` bytes were read. */
  chunkEnd(length: number): void {
    this.#bytes += length
    if (this.#bytes < RUSH_BYTES || this.#timer !== undefined) return
    const now = performance.now()
    const rush = now - this.#since < RUSH_MS
    this.#bytes = 0
    this.#since = now
    if (!rush) return
    if (!this.#held) this.#pause()
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (!this.#held) this.#resume()
    }, NAP_MS)
  }

  /** Back-pressure: nothing is read until `release`, whatever a nap would do. */
  hold(): void {
    if (this.#held) return
    this.#held = true
    if (this.#timer === undefined) this.#pause()
  }

  release(): void {
    if (!this.#held) return
    this.#held = false
    if (this.#timer === undefined) this.#resume()
  }

  get held(): boolean {
    return this.#held
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
