import type { ConnectionOptions } from '../postgres/connectionString.js'
import type { Queryable } from '../postgres/queryable.js'
import { Session, type SessionOptions } from '../postgres/session.js'
import { ControlSession } from './controlSession.js'

/** So that a cut network frees a temporary slot, and with it WAL, before TCP's own two hours are over. */
const KEEPALIVE = { tcp_keepalives_idle: '30', tcp_keepalives_interval: '10', tcp_keepalives_count: '6' }
/** A read that row level security would cut fails instead. */
const READING = { row_security: 'off' }

/** How long after an abort a stream may take for its clean end, and a slot's creation to be given up. */
const LAST_WORDS_MS = 5000

/**
 * Every connection of one run, so that none outlives it. An abort of the run cuts them, whatever they wait for; of the
 * replication sessions only those that do nothing, since whoever streams or makes a slot ends that cleanly by himself.
 */
export class Connections {
  readonly control: ControlSession
  readonly #ordinary: ConnectionOptions
  readonly #replication: ConnectionOptions
  readonly #signal: AbortSignal
  /** Of those that are open: whether it is a replication session. */
  readonly #sessions = new Map<Session, boolean>()
  /** The control session's. */
  #asking: Session | undefined
  #kept: Session | undefined
  #lastWords: NodeJS.Timeout | undefined
  #closed = false

  constructor(ordinary: ConnectionOptions, replication: ConnectionOptions, signal: AbortSignal) {
    this.#ordinary = ordinary
    this.#replication = replication
    this.#signal = signal
    const connect = async (limit: AbortSignal) => {
      this.#asking = await Session.connect(ordinary, { settings: READING, signal: limit })
      return this.#asking
    }
    this.control = new ControlSession(connect, signal)
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** How many sessions are open, the control session left out. */
  get open(): number {
    return this.#sessions.size
  }

  isOpen(session: Session): boolean {
    return this.#sessions.has(session)
  }

  /** Of the server's processes that we have, or had a moment ago. */
  get pids(): readonly number[] {
    const sessions = [...this.#sessions.keys(), ...(this.#asking === undefined ? [] : [this.#asking])]
    return sessions.map(({ processId }) => processId)
  }

  /** For SQL and COPY. */
  ordinary(): Promise<Session> {
    return this.#connect(this.#ordinary, { settings: { ...READING, ...KEEPALIVE } })
  }

  /** Whether the host of this session takes connections: one that asks nothing. */
  probe({ host }: Session): Promise<Session> {
    return this.#connect({ ...this.#replication, hosts: [host], target: 'any' }, {})
  }

  /** For replication commands. */
  async replication(): Promise<Session> {
    const kept = this.#kept
    this.#kept = undefined
    if (kept !== undefined && this.isOpen(kept)) return kept
    return this.#connect(this.#replication, { settings: KEEPALIVE, replication: true })
  }

  /** A replication session that was asked something and is still as new: for who wants one next. */
  keep(session: Session): void {
    this.#kept = session
  }

  /** Nobody will want that one. */
  async letGo(): Promise<void> {
    const kept = this.#kept
    this.#kept = undefined
    await kept?.close()
  }

  /** Runs the clean-up of the run, which begins to end with it: on a fresh connection, for a few seconds at most. */
  async cleanup<T>(work: (queryable: Queryable) => Promise<T>): Promise<T> {
    this.control.end()
    return work(this.control)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#signal.removeEventListener('abort', this.#onAbort)
    clearTimeout(this.#lastWords)
    for (const session of this.#sessions.keys()) session.destroy()
    await this.control.close()
  }

  async #connect(to: ConnectionOptions, options: SessionOptions): Promise<Session> {
    const session = await Session.connect(to, { ...options, signal: this.#signal })
    if (this.#closed || this.#signal.aborted) {
      session.destroy()
      this.#signal.throwIfAborted()
      throw new Error('the run is over: nothing more is connected')
    }
    this.#sessions.set(session, options.replication === true)
    void session.gone.then(() => this.#sessions.delete(session))
    return session
  }

  readonly #onAbort = (): void => {
    for (const [session, replication] of this.#sessions) {
      if (!replication || !session.busy) this.control.abandon(session)
    }
    this.#lastWords = setTimeout(() => {
      for (const session of this.#sessions.keys()) this.control.abandon(session)
    }, LAST_WORDS_MS)
  }
}
