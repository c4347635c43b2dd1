import { readFileSync } from 'node:fs'
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { CONNECTION_STRING_INVALID } from '../core/errors.js'
import { nearest } from '../core/nearest.js'

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
 * error, never ignored: a misread `sslmode` sends a password in the clear.
 */
export function parseConnectionString(text: string): ConnectionOptions {
  const url = parseUrl(text)
  const parameters = new Map<string, string>()
  for (const [name, value] of url.searchParams) {
    if (!PARAMETERS.includes(name)) {
      const near = nearest(name, PARAMETERS)
      throw CONNECTION_STRING_INVALID({
        problem: `unknown parameter "${name}"${near === undefined ? '' : `; did you mean "${near}"?`}`,
      })
    }
    parameters.set(name, value)
  }
  const user = parameters.get('user') ?? (decode(url.username) || process.env.PGUSER || process.env.USER || 'postgres')
  const host = parameters.get('host') ?? (decode(url.hostname.replace(/^\[(.*)\]$/, '$1')) || 'localhost')
  const sslMode = parameters.get('sslmode') ?? 'prefer'
  if (!SSL_MODES.includes(sslMode)) {
    throw CONNECTION_STRING_INVALID({ problem: `sslmode "${sslMode}" is none of ${SSL_MODES.join(', ')}` })
  }
  return {
    host,
    port: integer('port', parameters.get('port') ?? (url.port || '5432'), 1, 65535),
    database: parameters.get('dbname') ?? (decode(url.pathname.slice(1)) || user),
    user,
    password: parameters.get('password') ?? (decode(url.password) || process.env.PGPASSWORD || undefined),
    sslMode: host.startsWith('/') ? 'disable' : (sslMode as SslMode),
    ssl: tlsOptions(sslMode as SslMode, parameters),
    applicationName: parameters.get('application_name') ?? 'tailrace',
    connectTimeoutMs: integer('connect_timeout', parameters.get('connect_timeout') ?? '10', 0, 86_400) * 1000,
  }
}

/** The same place for people: no password in it. */
export function describeConnection({ user, host, port, database }: ConnectionOptions): string {
  return `postgres://${user}@${host}:${port}/${database}`
}

function parseUrl(text: string): URL {
  if (!/^postgres(ql)?:\/\//.test(text)) {
    throw CONNECTION_STRING_INVALID({ problem: 'it does not begin with postgres:// or postgresql://' })
  }
  try {
    // An empty host is legal (`postgres:///shop?host=/run/postgresql`), for the URL class only with a name in it.
    return new URL(text.replace(/^([a-z]+:\/\/(?:[^/?#]*@)?)(?=[/?#]|$)/, '$1localhost'))
  } catch {
    // Node's error holds the text, and with it the password.
    throw CONNECTION_STRING_INVALID({ problem: 'it is no URL' })
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw CONNECTION_STRING_INVALID({ problem: 'a "%" in it does not begin an escape of two hex digits' })
  }
}

function integer(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw CONNECTION_STRING_INVALID({ problem: `${name} "${text}" is no whole number from ${min} to ${max}` })
  }
  return value
}

function tlsOptions(mode: SslMode, parameters: ReadonlyMap<string, string>): TlsOptions {
  const read = (name: string) => {
    const path = parameters.get(name)
    if (path === undefined) return undefined
    try {
      return readFileSync(path)
    } catch (cause) {
      throw CONNECTION_STRING_INVALID({ problem: `${name} "${path}" cannot be read` }, { cause })
    }
  }
  const root = parameters.get('sslrootcert')
  const options: TlsOptions = { cert: read('sslcert'), key: read('sslkey') }
  if (parameters.has('sslpassword')) options.passphrase = parameters.get('sslpassword')
  if (root !== undefined && root !== 'system') options.ca = read('sslrootcert')
  // libpq: with a root certificate `require` verifies the chain like `verify-ca`; only `verify-full` looks at the name.
  const verifies = mode === 'verify-full' || mode === 'verify-ca' || (mode === 'require' && root !== undefined)
  if (!verifies) options.rejectUnauthorized = false
  else if (mode !== 'verify-full') options.checkServerIdentity = () => undefined
  return options
}
