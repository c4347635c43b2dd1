import { LATENCY_WRITES, type LatencyStatus } from './status.js'

/** How long the last writes took. */
export class Latency {
  readonly #seconds = new Float64Array(LATENCY_WRITES)
  #writes = 0

  add(seconds: number): void {
    this.#seconds[this.#writes++ % LATENCY_WRITES] = seconds
  }

  get status(): LatencyStatus {
    const sorted = this.#seconds.slice(0, Math.min(this.#writes, LATENCY_WRITES)).sort()
    return { p50Seconds: quantile(sorted, 0.5), p99Seconds: quantile(sorted, 0.99) }
  }
}

/** The least of which so large a share is no greater. */
function quantile(sorted: Float64Array, share: number): number | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null
}
