import { readFileSync } from 'node:fs'
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { CONNECTION_STRING_INVALID } from '../core/errors.js'
import { nearest } from '../core/nearest.js'
import type { TailraceError } from '../core/tailraceError.js'

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/** Where to connect to and how; every field is explicit, so that nothing is left to a driver's reading. */
export interface ConnectionOptions {
  /** A host name, an address, or the directory of a Unix socket (starting with `/`). */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string | undefined
  readonly sslMode: SslMode
  readonly ssl: TlsOptions
  readonly applicationName: string
  /** Milliseconds; 0 waits for ever. */
  readonly connectTimeoutMs: number
}

const SSL_MODES: readonly string[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']
const PARAMETERS = [
  'host',
  'port',
  'dbname',
  'user',
  'password',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslpassword',
  'application_name',
  'connect_timeout',
]

/**
 * Reads a connection URL, `postgres://user:password@host:port/database?sslmode=…`, with libpq's meaning of every
 * parameter ("Connection URIs" and "Parameter Key Words" in the PostgreSQL docs). A parameter we do not know is an
 * error, never ignored: a misread `sslmode` sends a password in the clear. No error has a piece of a password in it.
 */
export function parseConnectionString(text: string): ConnectionOptions {
  const url = parseUrl(text.trim())
  const parameters = new Parameters(url.search.slice(1))
  const user = parameters.get('user') ?? (decode(url.username) || process.env.PGUSER || process.env.USER || 'postgres')
  const host = parameters.get('host') ?? (decode(url.hostname.replace(/^\[(.*)\]$/, '$1')) || 'localhost')
  const sslMode = parameters.get('sslmode') ?? 'prefer'
  if (!SSL_MODES.includes(sslMode)) {
    throw invalid(`sslmode${parameters.quote(sslMode)} is none of ${SSL_MODES.join(', ')}`)
  }
  return {
    host,
    port: parameters.integer('port', url.port || '5432', 1, 65535),
    database: parameters.get('dbname') ?? (decode(url.pathname.slice(1)) || user),
    user,
    password: parameters.get('password') ?? (decode(url.password) || process.env.PGPASSWORD || undefined),
    sslMode: host.startsWith('/') ? 'disable' : (sslMode as SslMode),
    ssl: tlsOptions(sslMode as SslMode, parameters),
    applicationName: parameters.get('application_name') ?? 'tailrace',
    connectTimeoutMs: parameters.integer('connect_timeout', '10', 0, 86_400) * 1000,
  }
}

/** The same place for people: no password in it. */
export function describeConnection({ user, host, port, database }: ConnectionOptions): string {
  return `postgres://${user}@${host}:${port}/${database}`
}

function parseUrl(text: string): URL {
  if (!/^postgres(ql)?:\/\//.test(text)) throw invalid('it does not begin with postgres:// or postgresql://')
  // `postgres://u:1/2@db/shop` is a legal URL of host `u`, in which half a password passes for the database's name.
  if (/^[a-z]+:\/\/[^/?#]*[/?#].*@/s.test(text)) {
    throw invalid(
      'an "@" stands behind a "/", "?" or "#": in user and password escape these as %2F, %3F and %23, behind the host the "@" as %40',
    )
  }
  if (text.includes('#')) throw invalid('a "#" has no meaning in it: escape it as %23')
  // The URL class drops them without a word.
  if (/[\t\n\r]/.test(text)) throw invalid('a tab or line break stands in it: escape it as %09, %0A or %0D')
  try {
    // An empty host is legal (`postgres:///shop?host=/run/postgresql`), for the URL class only with a name in it.
    return new URL(text.replace(/^([a-z]+:\/\/(?:[^/?#]*@)?)(?=[/?#]|$)/, '$1localhost'))
  } catch {
    // Node's error holds the text, and with it the password.
    throw invalid('it is no URL')
  }
}

/** What stands behind the "?", as libpq reads it: a "+" is a plus, and the last of a name counts. */
class Parameters {
  readonly #values = new Map<string, string>()
  /** A "&" in a password that is not escaped makes names and values of its rest: none is printed beside a password. */
  readonly #hidden: boolean

  constructor(query: string) {
    const entries = query === '' ? [] : query.split('&').map(readParameter)
    this.#hidden = entries.some(([name]) => name === 'password' || name === 'sslpassword')
    for (const [name, value] of entries) {
      if (!PARAMETERS.includes(name)) {
        const near = nearest(name, PARAMETERS)
        const suggestion = near === undefined ? '' : `; did you mean "${near}"?`
        throw invalid(`unknown parameter${this.quote(name)}${suggestion}`)
      }
      this.#values.set(name, value)
    }
  }

  get(name: string): string | undefined {
    return this.#values.get(name)
  }

  integer(name: string, fallback: string, min: number, max: number): number {
    const text = this.get(name) ?? fallback
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw invalid(`${name}${this.quote(text)} is no whole number from ${min} to ${max}`)
    }
    return value
  }

  /** The file that a parameter names. */
  file(name: string): Buffer | undefined {
    const path = this.get(name)
    if (path === undefined) return undefined
    try {
      return readFileSync(path)
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      throw invalid(`${name}${this.quote(path)} cannot be read (${code})`, this.#hidden ? undefined : { cause })
    }
  }

  quote(text: string): string {
    return this.#hidden ? '' : ` "${text}"`
  }
}

function readParameter(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals < 0) throw invalid('a parameter behind the "?" has no "="')
  return [decode(text.slice(0, equals)), decode(text.slice(equals + 1))]
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('a "%" in it does not begin an escape of two hex digits')
  }
}

function invalid(problem: string, options?: ErrorOptions): TailraceError {
  return CONNECTION_STRING_INVALID({ problem }, options)
}

function tlsOptions(mode: SslMode, parameters: Parameters): TlsOptions {
  const root = parameters.get('sslrootcert')
  const options: TlsOptions = { cert: parameters.file('sslcert'), key: parameters.file('sslkey') }
  const passphrase = parameters.get('sslpassword')
  if (passphrase !== undefined) options.passphrase = passphrase
  if (root !== undefined && root !== 'system') options.ca = parameters.file('sslrootcert')
  // libpq: with a root certificate `require` verifies the chain like `verify-ca`; only `verify-full` looks at the name.
  const verifies = mode === 'verify-full' || mode === 'verify-ca' || (mode === 'require' && root !== undefined)
  if (!verifies) options.rejectUnauthorized = false
  else if (mode !== 'verify-full') options.checkServerIdentity = () => undefined
  return options
}
