import { TailraceError } from '../core/tailraceError.js'
import { VERIFY_INTERRUPTED, VERIFY_SIDE_FAILED } from '../core/verifyErrors.js'
import { type ConnectionOptions, describeConnection } from '../postgres/connectionString.js'
import type { Queryable } from '../postgres/queryable.js'
import { Session } from '../postgres/session.js'

export type SideName = 'source' | 'target'

/**
 * Rows that are hidden are an error, not a difference. The groups of a table's checksums stay in memory, and compiling
 * our many small statements would take longer than they do.
 */
const SETTINGS = { row_security: 'off', work_mem: '32MB', jit: 'off' }
const READ_ONLY = { default_transaction_read_only: 'on' }

/** One of the two databases: a session whose errors say which side they are from. */
export class Side implements Queryable, AsyncDisposable {
  readonly name: SideName
  /** For people: no password in it. */
  readonly to: string
  readonly #session: Session
  readonly #signal: AbortSignal
  readonly #cut = () => this.#session.destroy()

  static async connect(
    name: SideName,
    options: ConnectionOptions,
    { signal, writable }: { readonly signal: AbortSignal; readonly writable: boolean },
  ): Promise<Side> {
    const to = describeConnection(options)
    const settings = writable ? SETTINGS : { ...SETTINGS, ...READ_ONLY }
    const session = await Session.connect(options, { settings, signal }).catch((cause: unknown) => {
      throw ofSide(cause, { name, to, signal })
    })
    const side = new Side(name, to, session, signal)
    await side.#noticeOurEnd()
    return side
  }

  private constructor(name: SideName, to: string, session: Session, signal: AbortSignal) {
    this.name = name
    this.to = to
    this.#session = session
    this.#signal = signal
    signal.addEventListener('abort', this.#cut, { once: true })
  }

  async query<Row extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    try {
      this.#signal.throwIfAborted()
      return await this.#session.query<Row>(sql, values)
    } catch (cause) {
      throw ofSide(cause, { name: this.name, to: this.to, signal: this.#signal })
    }
  }

  /** The error, as one of this side. */
  says(error: TailraceError): TailraceError {
    return sideFailed(error, this)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#cut)
    await this.#session.close()
  }

  /** A statement over a whole table would go on for minutes after we are gone; not every platform can look. */
  async #noticeOurEnd(): Promise<void> {
    await this.#session.query(`SET client_connection_check_interval = '1s'`).catch(() => {})
  }
}

interface Place {
  readonly name: SideName
  readonly to: string
  readonly signal: AbortSignal
}

function ofSide(cause: unknown, place: Place): unknown {
  if (place.signal.aborted) return VERIFY_INTERRUPTED({}, { cause })
  return cause instanceof TailraceError ? sideFailed(cause, place) : cause
}

function sideFailed(cause: TailraceError, { name, to }: Omit<Place, 'signal'>): TailraceError {
  return VERIFY_SIDE_FAILED({ side: name, to, problem: cause.message, hint: cause.hint }, { cause })
}
