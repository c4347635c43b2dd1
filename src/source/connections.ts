import type { ConnectionOptions } from '../postgres/connectionString.js'
import { Session } from '../postgres/session.js'
import { ControlSession } from './controlSession.js'

/** So that a cut network frees a temporary slot, and with it WAL, before TCP's own two hours are over. */
const KEEPALIVE = { tcp_keepalives_idle: '30', tcp_keepalives_interval: '10', tcp_keepalives_count: '6' }
/** A read that row level security would cut fails instead. */
const READING = { row_security: 'off' }

/** Every connection of one run, so that none outlives it. */
export class Connections {
  readonly control: ControlSession
  readonly #ordinary: ConnectionOptions
  readonly #replication: ConnectionOptions
  readonly #signal: AbortSignal
  readonly #open = new Set<Session>()

  constructor(ordinary: ConnectionOptions, replication: ConnectionOptions, signal: AbortSignal) {
    this.#ordinary = ordinary
    this.#replication = replication
    this.#signal = signal
    // Its last work is the clean-up after an abort, so it can be asked after the signal, too.
    this.control = new ControlSession(() => Session.connect(ordinary, { settings: READING }), signal)
  }

  /** For SQL and COPY. */
  ordinary(): Promise<Session> {
    return this.#track(
      Session.connect(this.#ordinary, { settings: { ...READING, ...KEEPALIVE }, signal: this.#signal }),
    )
  }

  /** For replication commands. */
  replication(): Promise<Session> {
    return this.#track(
      Session.connect(this.#replication, { settings: KEEPALIVE, replication: true, signal: this.#signal }),
    )
  }

  /**
   * Waits for what may take the server without a limit, for a lock or for others' transactions: an abort ends it there,
   * too.
   */
  async interruptible<T>(session: Session, waiting: Promise<T>): Promise<T> {
    const cut = () => this.control.abandon(session)
    this.#signal.addEventListener('abort', cut, { once: true })
    if (this.#signal.aborted) cut()
    try {
      return await waiting
    } finally {
      this.#signal.removeEventListener('abort', cut)
    }
  }

  async close(): Promise<void> {
    for (const session of this.#open) session.destroy()
    await this.control.close()
  }

  async #track(connecting: Promise<Session>): Promise<Session> {
    const session = await connecting
    this.#open.add(session)
    return session
  }
}
