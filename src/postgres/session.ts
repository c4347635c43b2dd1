import pg from 'pg'
import { CONNECTION_FAILED, LOGIN_REFUSED } from '../core/errors.js'
import { type ConnectionOptions, describeConnection } from './connectionString.js'
import { FrameTail } from './frames.js'
import type { Queryable } from './queryable.js'
import { describeCause, fromDriver } from './serverError.js'
import { LATER_TIME_LIMITS, NO_TIME_LIMITS, SESSION_SETTINGS, startupOptions } from './sessionSettings.js'
import { Takeover, type TakeoverHandler } from './takeover.js'

export interface SessionOptions {
  /** Speak the replication protocol (`replication=database`): simple queries and replication commands only. */
  readonly replication?: boolean
  /** More settings for the start-up packet. */
  readonly settings?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** A server that is there ends a session in no time; one that is not must not hold the end of a run up. */
const CLOSE_MS = 2000

/** One connection to the server: `pg` connects, authenticates and runs ordinary queries, `takeOver` the rest. */
export class Session implements Queryable, AsyncDisposable {
  readonly #client: pg.Client
  readonly #tail: FrameTail
  readonly #to: string
  /** The last query asked, and how many are unanswered: pg must not get one while another runs. */
  #last: Promise<unknown> = Promise.resolve()
  #unanswered = 0
  #takeover: Takeover | undefined
  #failure: unknown
  #ended = false
  #closing: Promise<void> | undefined
  #onLost: ((cause: unknown) => void)[] = []

  static async connect(options: ConnectionOptions, session: SessionOptions = {}): Promise<Session> {
    const to = describeConnection(options)
    let refused: unknown
    for (const tls of tlsAttempts(options)) {
      session.signal?.throwIfAborted()
      try {
        const connected = new Session(options, session, tls, to)
        await connected.#connect(session.signal)
        return connected
      } catch (cause) {
        // What the server itself says tells more than that it has no TLS.
        if (!(refused instanceof pg.DatabaseError))
          refused = cause instanceof pg.DatabaseError ? cause : (refused ?? cause)
        if (!mayTryOtherwise(cause)) break
      }
    }
    session.signal?.throwIfAborted()
    if (refused instanceof pg.DatabaseError && /^(28|3D)/.test(refused.code ?? '')) {
      throw LOGIN_REFUSED({ to, problem: `${refused.message} [SQLSTATE ${refused.code}]` }, { cause: refused })
    }
    if (refused instanceof pg.DatabaseError) throw fromDriver(refused, to)
    throw CONNECTION_FAILED({ to, problem: describeCause(refused) }, { cause: refused })
  }

  private constructor(options: ConnectionOptions, session: SessionOptions, tls: boolean, to: string) {
    this.#to = to
    this.#client = new pg.Client({
      host: options.host,
      port: options.port,
      database: options.database,
      user: options.user,
      password: options.password,
      ssl: tls ? { ...options.ssl } : false,
      application_name: options.applicationName,
      connectionTimeoutMillis: options.connectTimeoutMs,
      keepAlive: true,
      enableChannelBinding: true,
      options: startupOptions({ ...SESSION_SETTINGS, ...NO_TIME_LIMITS, ...session.settings }),
      ...(session.replication === true && { replication: 'database' }),
    } as pg.ClientConfig)
    this.#tail = new FrameTail()
    this.#followFrames(tls)
    this.#client.on('error', (error) => this.#lost(error))
    this.#client.on('end', () => this.#lost(this.#failure ?? new Error('the server closed the connection')))
    this.#gone = new Promise((resolve) => this.#client.once('end', resolve))
  }

  /** The server's version as a number: 170010 for 17.10. */
  get serverVersion(): number {
    return this.#serverVersion
  }
  #serverVersion = 0

  /** Of the server's process, as it said when it let us in: for pg_terminate_backend by another session. */
  get processId(): number {
    return (this.#client as unknown as { readonly processID: number }).processID
  }

  /** A query or what took the socket over is not finished. */
  get busy(): boolean {
    return this.#unanswered > 0 || this.#takeover?.active === true
  }

  /** Resolves when the connection is gone, whoever closed it. */
  get gone(): Promise<void> {
    return this.#gone
  }
  readonly #gone: Promise<void>

  /** Several asked at once are run one after another. */
  async query<Row extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    const asked = this.#last.then(() => this.#query<Row>(sql, values))
    this.#last = asked.catch(() => {})
    this.#unanswered++
    try {
      return await asked
    } finally {
      this.#unanswered--
    }
  }

  async #query<Row extends object>(sql: string, values: readonly unknown[] | undefined): Promise<Row[]> {
    try {
      const result = values === undefined ? await this.#client.query(sql) : await this.#client.query(sql, [...values])
      // Several statements in one string give several results: the last one is what was asked for.
      return (Array.isArray(result) ? result.at(-1).rows : result.rows) as Row[]
    } catch (cause) {
      throw fromDriver(this.#failure ?? cause, this.#to)
    }
  }

  /** Calls `callback` once when the connection is gone without our closing it (at once, if it is gone already). */
  onLost(callback: (cause: unknown) => void): void {
    if (this.#failure !== undefined) callback(this.#failure)
    else this.#onLost.push(callback)
  }

  /** Takes the socket from `pg`: from now on, until `release`, every message goes to `handler`. No query may be running. */
  takeOver(handler: TakeoverHandler): Takeover {
    // pg's Connection is public but hardly documented; this and #followFrames are the only places that touch it.
    const { stream } = connectionOf(this.#client)
    this.#takeover = new Takeover(stream, this.#tail.bytes, this.#to, handler)
    return this.#takeover
  }

  /** Closes the connection, cuts it if the server does not answer in time; never throws, may be called again. */
  async close(): Promise<void> {
    if (this.#closing === undefined && this.#ended) return
    this.#ended = true
    this.#closing ??= this.#end()
    await this.#closing
  }

  /** Cuts the connection at once, also while a query runs. */
  destroy(): void {
    this.#ended = true
    connectionOf(this.#client).stream.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #end(): Promise<void> {
    const cut = setTimeout(() => this.destroy(), CLOSE_MS)
    await this.#client.end().catch(() => {})
    clearTimeout(cut)
  }

  async #connect(signal: AbortSignal | undefined): Promise<void> {
    const abort = () => connectionOf(this.#client).stream.destroy()
    signal?.addEventListener('abort', abort, { once: true })
    try {
      await this.#client.connect()
      for (const { since, name } of LATER_TIME_LIMITS) {
        if (this.serverVersion >= since) await this.#client.query(`SET ${name} = 0`)
      }
    } catch (cause) {
      this.destroy()
      throw cause
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  #followFrames(tls: boolean): void {
    const connection = connectionOf(this.#client)
    connection.once(tls ? 'sslconnect' : 'connect', () => {
      const { stream } = connection
      const parsers = stream.listeners('data')
      stream.removeAllListeners('data')
      stream.on('data', (chunk: Buffer) => {
        this.#tail.push(chunk)
        try {
          for (const parse of parsers) parse.call(stream, chunk)
        } catch (cause) {
          // pg throws into the socket's event, which would end the process.
          stream.destroy(new Error('what answers does not speak the PostgreSQL protocol', { cause }))
        }
      })
    })
    connection.on('parameterStatus', (status: { parameterName: string; parameterValue: string }) => {
      if (status.parameterName === 'server_version') this.#serverVersion = versionNumber(status.parameterValue)
    })
  }

  #lost(cause: unknown): void {
    if (this.#ended) return
    this.#failure ??= cause
    for (const callback of this.#onLost.splice(0)) callback(this.#failure)
  }
}

interface DriverConnection {
  readonly stream: import('node:net').Socket
  once(event: 'connect' | 'sslconnect', listener: () => void): void
  on(event: 'parameterStatus', listener: (status: { parameterName: string; parameterValue: string }) => void): void
}

function connectionOf(client: pg.Client): DriverConnection {
  return (client as unknown as { connection: DriverConnection }).connection
}

/** With or without TLS, in the order in which libpq tries for the sslmode. */
function tlsAttempts({ sslMode }: ConnectionOptions): readonly boolean[] {
  if (sslMode === 'disable') return [false]
  if (sslMode === 'allow') return [false, true]
  if (sslMode === 'prefer') return [true, false]
  return [true]
}

/** A server that is not there, or a wrong password, is the same with and without TLS. */
function mayTryOtherwise(cause: unknown): boolean {
  if (cause instanceof pg.DatabaseError) return cause.code === '28000'
  return !/ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ENOENT|EHOSTUNREACH|ENETUNREACH|timeout/.test(describeCause(cause))
}

/** `17.10 (Debian 17.10-1)` → 170010, as `server_version_num` has it; betas and development versions too. */
function versionNumber(text: string): number {
  const match = /^(\d+)(?:\.(\d+))?/.exec(text)
  return match === null ? 0 : Number(match[1]) * 10_000 + Number(match[2] ?? 0)
}
