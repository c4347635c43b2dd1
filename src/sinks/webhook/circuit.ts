export interface CircuitOptions {
  /** After so many failures in a row, of whatever requests, it opens; 0: never. */
  readonly failures: number
  /** So long nothing is sent then, milliseconds; behind that one request is, to see. */
  readonly openMs: number
}

/**
 * Whether an endpoint is to be asked at all. Closed: yes. Open: no, for a while; then one request finds out, and closes it or has it
 * open once more. Told of times, in milliseconds, by whoever asks: no clock, no timer.
 */
export class Circuit {
  readonly #options: CircuitOptions
  #state: 'closed' | 'open' | 'probing' = 'closed'
  #failures = 0
  /** Of an open one. */
  #probeAt = 0
  /** The endpoint asked to be left alone until then. */
  #heldUntil = 0
  #openedAt = 0
  #outages = 0
  #outageMs = 0

  constructor(options: CircuitOptions) {
    this.#options = options
  }

  /** 0: a request may be sent, and has to be told of; else how long to wait before asking again, at most. */
  admit(now: number): number {
    if (now < this.#heldUntil) return this.#heldUntil - now
    if (this.#state === 'closed') return 0
    if (this.#state === 'probing') return Number.POSITIVE_INFINITY
    if (now < this.#probeAt) return this.#probeAt - now
    this.#state = 'probing'
    return 0
  }

  /** An answer that says that the endpoint works. Gives for how long it was open, milliseconds; undefined: it was not. */
  succeeded(now: number): number | undefined {
    this.#failures = 0
    if (this.#state === 'closed') return undefined
    this.#state = 'closed'
    const openMs = now - this.#openedAt
    this.#outageMs += openMs
    return openMs
  }

  /** Gives after how many failures it opened just now; undefined: it did not, or was open already. */
  failed(now: number): number | undefined {
    this.#failures++
    const { failures, openMs } = this.#options
    if (this.#state === 'closed') {
      if (failures === 0 || this.#failures < failures) return undefined
      this.#openedAt = now
      this.#outages++
    } else if (this.#state === 'open') return undefined
    const opens = this.#state === 'closed'
    this.#state = 'open'
    this.#probeAt = now + openMs
    return opens ? this.#failures : undefined
  }

  /** A request has ended without a word about the endpoint. */
  released(now: number): void {
    if (this.#state !== 'probing') return
    this.#state = 'open'
    this.#probeAt = now
  }

  /** Nobody sends anything until then. */
  hold(until: number): void {
    this.#heldUntil = Math.max(this.#heldUntil, until)
  }

  /** How often it was open, and for how long in all. */
  outages(now: number): { readonly count: number; readonly seconds: number } {
    const open = this.#state === 'closed' ? 0 : now - this.#openedAt
    return { count: this.#outages, seconds: (this.#outageMs + open) / 1000 }
  }
}
