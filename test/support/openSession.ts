import { parseConnectionString } from '../../src/postgres/connectionString.js'
import type { Queryable } from '../../src/postgres/queryable.js'
import { Session, type SessionOptions } from '../../src/postgres/session.js'

/** A session of ours, with its settings (an empty search_path among them): `await using session = …`. */
export function openSession(url: string, options: SessionOptions = {}): Promise<Session> {
  return Session.connect(parseConnectionString(url), options)
}

/** The URL for another user of the server (`trust` asks for no password). */
export function urlAs(url: string, user: string): string {
  return Object.assign(new URL(url), { username: encodeURIComponent(user) }).href
}

/** Counts what is asked. */
export class CountingQueryable implements Queryable {
  queries = 0
  readonly #inner: Queryable

  constructor(inner: Queryable) {
    this.#inner = inner
  }

  query<Row extends object>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    this.queries++
    return this.#inner.query<Row>(sql, values)
  }
}
