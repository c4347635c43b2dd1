import type { Queryable } from '../postgres/queryable.js'
import type { Session } from '../postgres/session.js'
import { type Connect, RetryingSession } from './retryingSession.js'

/** How long all that is asked at a run's end may take: a network that is gone must not keep `close()`. */
const ENDING_MS = 5000

const TERMINATE = `
  SELECT pg_catalog.pg_terminate_backend(a.pid)
    FROM pg_catalog.pg_stat_activity AS a
   WHERE a.pid = $1 AND a.application_name = pg_catalog.current_setting('application_name')`

/**
 * For questions to the catalog over the whole run, through lost connections and restarts of the server: only for
 * statements that may be repeated. An abort cuts what runs at that moment, on the server too; what is asked after it is
 * the run's clean-up, on a connection of its own that has little time.
 */
export class ControlSession implements Queryable {
  readonly #connect: Connect
  readonly #aborted: AbortSignal
  readonly #over = new AbortController()
  readonly #done = new AbortController()
  readonly #running: RetryingSession
  #ending: RetryingSession | undefined
  #closing: Promise<void> | undefined
  readonly #terminating = new Set<Promise<unknown>>()
  #closed = false

  constructor(connect: Connect, signal: AbortSignal) {
    this.#connect = connect
    this.#aborted = signal
    this.#running = new RetryingSession(connect, AbortSignal.any([signal, this.#over.signal]))
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Called when the server or the network ends the session of the run; another one is opened when it is needed. */
  set onLost(callback: () => void) {
    this.#running.onLost = callback
  }

  async query<Row extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    if (this.#closed) throw new Error('the run is over: nothing more can be asked of the server')
    const session = this.#running.signal.aborted ? this.#clean() : this.#running
    return session.query<Row>(sql, values)
  }

  /**
   * Cuts a session whatever it does, and ends its process: one that waits for a lock would not notice before it has
   * got it, and act then.
   */
  abandon(session: Session): void {
    const { busy, processId } = session
    session.destroy()
    if (!busy || this.#closed) return
    const terminating = this.#clean().query(TERMINATE, [processId])
    const settled = () => this.#terminating.delete(terminating)
    this.#terminating.add(terminating)
    terminating.then(settled, settled)
  }

  /**
   * Something on the same network was lost: the connection may be dead, too, without having said so. What is being asked
   * is asked once more on a new one.
   */
  renew(): void {
    if (!this.#running.signal.aborted) void this.#running.take().then((session) => session?.destroy())
  }

  /** What is asked from now on is the clean-up. */
  end(): void {
    this.#over.abort(new Error('the run is over'))
    this.#closing ??= this.#running.take().then((session) => session?.close())
  }

  /** Nothing can be asked any more, and no connection is left. */
  async close(): Promise<void> {
    this.#aborted.removeEventListener('abort', this.#onAbort)
    await Promise.allSettled(this.#terminating)
    this.#closed = true
    this.end()
    const last = await this.#ending?.take()
    // What is still being asked there (a look of a watch) is not to be asked again on a connection that nobody closes.
    this.#done.abort(new Error('the run is over'))
    await Promise.all([this.#closing, last?.close()])
  }

  readonly #onAbort = (): void => {
    void this.#running.take().then((session) => {
      if (session !== undefined) this.abandon(session)
    })
  }

  #clean(): RetryingSession {
    const over = this.#running.signal.aborted
    // Once it is over there is no more time than this, whatever is asked.
    if (this.#ending === undefined || (this.#ending.signal.aborted && !over)) {
      const limit = AbortSignal.timeout(ENDING_MS)
      const ending = new RetryingSession(this.#connect, AbortSignal.any([limit, this.#done.signal]))
      limit.addEventListener('abort', () => void ending.take().then((session) => session?.destroy()), { once: true })
      this.#ending = ending
    }
    return this.#ending
  }
}
