export interface BackoffOptions {
  /** First wait, milliseconds. */
  readonly firstMs: number
  /** No wait is longer, milliseconds. */
  readonly maxMs: number
  /** For tests: a number in [0, 1). */
  readonly random?: () => number
}

/**
 * The wait before attempt `attempt` (1 is the first retry): doubled each time, with the upper half of it drawn at
 * random, so that many clients of a restarted server do not come back in step.
 */
export function backoffMs(attempt: number, { firstMs, maxMs, random = Math.random }: BackoffOptions): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(ceiling / 2 + (random() * ceiling) / 2)
}
