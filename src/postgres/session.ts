import type { Socket } from 'node:net'
import pg from 'pg'
import { LOGIN_METHOD_REFUSED, PASSWORD_MISSING, REPLICATION_DENIED } from '../core/errors.js'
import type { TailraceError } from '../core/tailraceError.js'
import { type Attempt, openFirst } from './connection/failover.js'
import { LoginPolicy, type LoginRequest } from './connection/loginPolicy.js'
import { openTransport } from './connection/transport.js'
import { type ConnectionOptions, describeConnection, passwordFor } from './connectionString.js'
import { FrameTail } from './frames.js'
import type { Queryable } from './queryable.js'
import { fromDriver, sqlstateOf } from './serverError.js'
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
const INSUFFICIENT_PRIVILEGE = '42501'

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

  /** To the first of the hosts that answers and fits; anew at each call, so that a failover is followed. */
  static async connect(options: ConnectionOptions, session: SessionOptions = {}): Promise<Session> {
    const open = async (attempt: Attempt) => {
      const { socket, encrypted } = await openTransport({ ...options, ...attempt })
      if (attempt.encrypted && !encrypted) attempt.onPlain()
      const connected = new Session(options, session, { ...attempt, encrypted }, socket)
      await connected.#connect(attempt.signal)
      return connected
    }
    const opened = openFirst(options, describeConnection(options), open, session.signal)
    return session.replication === true
      ? opened.catch((error) => Promise.reject(asDenied(error, options.user)))
      : opened
  }

  /** Of those of the connection string the one that it is connected to. */
  readonly host: ConnectionOptions['hosts'][number]

  private constructor(options: ConnectionOptions, session: SessionOptions, attempt: Attempt, socket: Socket) {
    const { host, encrypted } = attempt
    this.host = host
    this.#to = describeConnection({ ...options, hosts: [host] })
    // pg begins with a connection; this one is there already.
    const connected = Object.assign(socket, {
      connect: () => {
        process.nextTick(() => socket.emit('connect'))
        return socket
      },
    })
    this.#client = new pg.Client({
      host: host.name || host.address,
      port: host.port,
      database: options.database,
      user: options.user,
      // As a function it keeps pg from looking for one by itself.
      password: () => this.#password(options, attempt),
      ssl: false,
      sslnegotiation: 'postgres',
      stream: () => connected,
      enableChannelBinding: options.channelBinding !== 'disable',
      scramMaxIterations: 0,
    } as pg.ClientConfig)
    const startup = {
      user: options.user,
      database: options.database,
      application_name: options.applicationName,
      // Of two values of one setting the later one counts: ours.
      options:
        `${options.serverOptions} ${startupOptions({ ...SESSION_SETTINGS, ...NO_TIME_LIMITS, ...session.settings })}`.trim(),
      ...(session.replication === true && { replication: 'database' }),
    }
    // pg would add what it finds in the environment.
    Object.assign(this.#client, { getStartupConf: () => startup })
    this.#tail = new FrameTail()
    this.#followFrames()
    this.#followLogin(new LoginPolicy(options.channelBinding, options.acceptedLogins, encrypted))
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
      const failure = this.#failure ?? cause
      await this.#ready()
      throw fromDriver(failure, this.#to)
    }
  }

  /**
   * pg rejects a query at its ErrorResponse. The ReadyForQuery behind it often comes in a packet of its own, and would be
   * taken for the end of what took the socket over.
   */
  async #ready(): Promise<void> {
    const client = this.#client as unknown as { readonly readyForQuery: boolean }
    if (client.readyForQuery || this.#failure !== undefined) return
    const connection = connectionOf(this.#client)
    await Promise.race([new Promise<void>((resolve) => connection.once('readyForQuery', resolve)), this.#gone])
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

  async #connect(signal: AbortSignal): Promise<void> {
    const abort = () => connectionOf(this.#client).stream.destroy()
    signal.addEventListener('abort', abort, { once: true })
    try {
      signal.throwIfAborted()
      await this.#client.connect()
      if (this.#refusal !== undefined) throw this.#refusal
      for (const { since, name } of LATER_TIME_LIMITS) {
        if (this.serverVersion >= since) await this.#client.query(`SET ${name} = 0`)
      }
    } catch (cause) {
      this.destroy()
      throw this.#refusal ?? cause
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  async #password(options: ConnectionOptions, { host }: Attempt): Promise<string> {
    if (this.#refusal !== undefined) throw this.#refusal
    const password = passwordFor(options, host)
    if (password !== undefined) return password
    this.#refusal = PASSWORD_MISSING({ to: this.#to, note: options.warnings[0] })
    throw this.#refusal
  }

  #followFrames(): void {
    const connection = connectionOf(this.#client)
    connection.once('connect', () => {
      const { stream } = connection
      const parsers = stream.listeners('data')
      stream.removeAllListeners('data')
      stream.on('data', (chunk: Buffer) => {
        this.#tail.push(chunk)
        try {
          for (const parse of parsers) parse.call(stream, chunk)
        } catch (cause) {
          // pg throws into the socket's event, which would end the process.
          const request = UNKNOWN_LOGIN.exec((cause as Error).message)?.[1]
          if (request !== undefined)
            this.#refuse(`the server asks for ${UNKNOWN_LOGINS[request] ?? `login method ${request}`}`)
          else stream.destroy(new Error('what answers does not speak the PostgreSQL protocol', { cause }))
        }
      })
    })
    connection.on('parameterStatus', (status: { parameterName: string; parameterValue: string }) => {
      if (status.parameterName === 'server_version') this.#serverVersion = versionNumber(status.parameterValue)
    })
  }

  /** Before pg answers a request, whose listeners come later. */
  #followLogin(policy: LoginPolicy): void {
    const connection = connectionOf(this.#client)
    const check = (problem: string | undefined) => {
      if (problem !== undefined) this.#refuse(problem)
    }
    const asked = (request: LoginRequest) => check(policy.asked(request))
    connection.on('authenticationCleartextPassword', () => asked({ method: 'password' }))
    connection.on('authenticationMD5Password', () => asked({ method: 'md5' }))
    connection.on('authenticationSASL', ({ mechanisms }) => asked({ method: 'sasl', mechanisms }))
    connection.on('authenticationSASLFinal', () => policy.proved())
    connection.on('authenticationOk', () => check(policy.letIn()))
  }

  #refuse(problem: string): void {
    this.#refusal ??= LOGIN_METHOD_REFUSED({ to: this.#to, problem })
    connectionOf(this.#client).stream.destroy(this.#refusal)
  }
  #refusal: TailraceError | undefined

  #lost(cause: unknown): void {
    if (this.#ended) return
    this.#failure ??= cause
    for (const callback of this.#onLost.splice(0)) callback(this.#failure)
  }
}

interface DriverConnection {
  readonly stream: Socket
  once(event: 'connect' | 'readyForQuery', listener: () => void): void
  on(event: 'parameterStatus', listener: (status: { parameterName: string; parameterValue: string }) => void): void
  on(event: 'authenticationSASL', listener: (request: { readonly mechanisms: readonly string[] }) => void): void
  on(event: `authentication${'CleartextPassword' | 'MD5Password' | 'SASLFinal' | 'Ok'}`, listener: () => void): void
}

/** Where the server looks at it, whose words are in its own language; the right to connect to the database it looks at elsewhere. */
const LOOKS_AT_REPLICATION = 'InitPostgres'

function asDenied(error: unknown, user: string): unknown {
  const sqlstate = sqlstateOf(error)
  const { message, cause } = error as TailraceError
  if (sqlstate !== INSUFFICIENT_PRIVILEGE || (cause as pg.DatabaseError)?.routine !== LOOKS_AT_REPLICATION) return error
  const problem = message.replace(/^the server says: | \[SQLSTATE \w+\]$/g, '')
  return REPLICATION_DENIED({ user, problem, sqlstate }, { cause: error })
}

function connectionOf(client: pg.Client): DriverConnection {
  return (client as unknown as { connection: DriverConnection }).connection
}

/** What pg throws at an authentication request that it does not know, and those that there are. */
const UNKNOWN_LOGIN = /^Unknown authenticationOk message type (\d+)/
const UNKNOWN_LOGINS: Readonly<Record<string, string>> = {
  2: 'a Kerberos V5 login, which tailrace cannot do',
  7: 'a GSSAPI login, which tailrace cannot do',
  9: 'an SSPI login, which tailrace cannot do',
}

/** `17.10 (Debian 17.10-1)` → 170010, as `server_version_num` has it; betas and development versions too. */
function versionNumber(text: string): number {
  const match = /^(\d+)(?:\.(\d+))?/.exec(text)
  return match === null ? 0 : Number(match[1]) * 10_000 + Number(match[2] ?? 0)
}
