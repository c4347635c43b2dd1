import type { Queryable } from '../postgres/queryable.js'
import { isTransient } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'

/**
 * The session for questions to the catalog, over the whole run: opened anew when it was lost, since the server may be
 * restarted while the stream goes on by itself. Only for queries that may be repeated.
 */
export class ControlSession implements Queryable {
  readonly #connect: () => Promise<Session>
  readonly #signal: AbortSignal
  #session: Promise<Session> | undefined
  readonly #abandoned: Promise<unknown>[] = []
  #closed = false

  /** An abort cuts the query that runs at that moment, which may wait for a lock; later ones are asked all the same. */
  constructor(connect: () => Promise<Session>, signal: AbortSignal) {
    this.#connect = connect
    this.#signal = signal
  }

  async query<Row extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    const fresh = this.#session === undefined
    const aborted = this.#signal.aborted
    try {
      return await this.#ask(sql, values)
    } catch (error) {
      if (!isTransient(error)) throw error
      this.#session = undefined
      if (fresh || this.#closed || aborted !== this.#signal.aborted) throw error
      return this.#ask(sql, values)
    }
  }

  /** Cuts a session in the middle of a command. Its process would notice only when a wait is over, and act then. */
  abandon(session: Session): void {
    session.destroy()
    const ended = this.query('SELECT pg_catalog.pg_terminate_backend($1)', [session.processId])
    this.#abandoned.push(ended.catch(() => {}))
  }

  async close(): Promise<void> {
    await Promise.all(this.#abandoned)
    this.#closed = true
    const session = await this.#session?.catch(() => undefined)
    await session?.close()
  }

  async #ask<Row extends object>(sql: string, values: readonly unknown[] | undefined): Promise<Row[]> {
    const session = await this.#open()
    const cut = () => {
      this.#session = undefined
      this.abandon(session)
    }
    this.#signal.addEventListener('abort', cut, { once: true })
    try {
      return await session.query<Row>(sql, values)
    } finally {
      this.#signal.removeEventListener('abort', cut)
    }
  }

  #open(): Promise<Session> {
    this.#session ??= this.#connect()
    this.#session.catch(() => {
      this.#session = undefined
    })
    return this.#session
  }
}
