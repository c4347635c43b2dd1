import { sleep } from '../core/abort.js'
import { backoffMs } from '../core/backoff.js'
import { isPassing } from './failure.js'

const BACKOFF = { firstMs: 100, maxMs: 5000 }

export interface RetryOptions {
  readonly signal: AbortSignal | undefined
  /** How long is tried again what may pass. */
  readonly retryMs: number
  /** Puts right what a failure left. */
  readonly afterFailure: (error: unknown) => Promise<void>
  /** Asked after that: whether another attempt makes sense for an error that may pass. */
  readonly mayGoOn: (error: unknown) => boolean
  /** The error as it is told in the end. */
  readonly explain: (error: unknown) => unknown
}

/** Does `work`, again and anew while what fails may pass. */
export async function retrying<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, retryMs, afterFailure, mayGoOn, explain } = options
  let deadline: number | undefined
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      signal?.throwIfAborted()
      await afterFailure(error)
      const delayMs = backoffMs(attempt, BACKOFF)
      deadline ??= performance.now() + retryMs
      if (!isPassing(error) || !mayGoOn(error) || performance.now() + delayMs > deadline) throw explain(error)
      await sleep(delayMs, signal)
    }
  }
}
