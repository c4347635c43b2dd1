import type { Queryable } from '../postgres/queryable.js'
import { isTransient } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'

/**
 * The session for questions to the catalog, over the whole run: opened anew when it was lost, since the server may be
 * restarted while the stream goes on by itself. Only for queries that may be repeated.
 */
export class ControlSession implements Queryable {
  readonly #connect: () => Promise<Session>
  #session: Promise<Session> | undefined
  #closed = false

  constructor(connect: () => Promise<Session>) {
    this.#connect = connect
  }

  async query<Row extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    const fresh = this.#session === undefined
    try {
      return await (await this.#open()).query<Row>(sql, values)
    } catch (error) {
      if (!isTransient(error)) throw error
      this.#session = undefined
      if (fresh || this.#closed) throw error
      return (await this.#open()).query<Row>(sql, values)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const session = await this.#session?.catch(() => undefined)
    await session?.close()
  }

  #open(): Promise<Session> {
    this.#session ??= this.#connect()
    this.#session.catch(() => {
      this.#session = undefined
    })
    return this.#session
  }
}
