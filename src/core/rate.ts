const WINDOW_MS = 5000
/** What came at once says nothing about a second. */
const LEAST_MS = 1000

/** How fast a counter grows, over the last few seconds. */
export class Rate {
  readonly #seen: { readonly at: number; readonly amount: number }[]

  /** The counter was 0 at `since`, of performance.now(). */
  constructor(since = performance.now()) {
    this.#seen = [{ at: since, amount: 0 }]
  }

  /** The counter is at `amount` now; gives its growth a second. */
  add(amount: number): number {
    const now = performance.now()
    this.#seen.push({ at: now, amount })
    while (this.#seen.length > 2 && now - this.#seen[1]!.at > WINDOW_MS) this.#seen.shift()
    const first = this.#seen[0]!
    return ((amount - first.amount) * 1000) / Math.max(now - first.at, LEAST_MS)
  }
}
