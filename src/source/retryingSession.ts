import { sleep } from '../core/abort.js'
import { backoffMs } from '../core/backoff.js'
import type { Queryable } from '../postgres/queryable.js'
import { isTransient } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'

export type Connect = (signal: AbortSignal) => Promise<Session>

const BACKOFF = { firstMs: 200, maxMs: 5000 }
/** A server that restarts is back by then; one that is not is told of. */
const RETRY_MS = 60_000

/**
 * A session opened when it is needed, and anew when it was lost: a query that fails with it is asked again, with
 * backoff, until the signal aborts. The very first connection is not retried: its failure is a mistake more often.
 */
export class RetryingSession implements Queryable {
  readonly signal: AbortSignal
  /** Called when the session ends without our closing it. */
  onLost: () => void = () => {}
  readonly #connect: Connect
  #session: Promise<Session> | undefined
  #wasConnected = false

  constructor(connect: Connect, signal: AbortSignal) {
    this.#connect = connect
    this.signal = signal
  }

  async query<Row extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    let deadline: number | undefined
    for (let attempt = 1; ; attempt++) {
      this.signal.throwIfAborted()
      const opening = this.#open()
      let session: Session | undefined
      try {
        session = await opening
        return await session.query<Row>(sql, values)
      } catch (error) {
        this.signal.throwIfAborted()
        if (session !== undefined && !isTransient(error)) throw error
        if (this.#session === opening) this.#session = undefined
        session?.destroy()
        const delayMs = backoffMs(attempt, BACKOFF)
        deadline ??= performance.now() + RETRY_MS
        if (!isTransient(error) || !this.#wasConnected || performance.now() + delayMs > deadline) throw error
        await sleep(delayMs, this.signal)
      }
    }
  }

  /** The session that is open or being opened: from now on the caller's. */
  async take(): Promise<Session | undefined> {
    const opening = this.#session
    this.#session = undefined
    return opening?.catch(() => undefined)
  }

  #open(): Promise<Session> {
    if (this.#session === undefined) {
      this.#session = this.#connect(this.signal)
      this.#session.then(
        (session) => {
          this.#wasConnected = true
          session.onLost(() => this.onLost())
        },
        () => {},
      )
    }
    return this.#session
  }
}
