import { userInfo } from 'node:os'
import { CONNECTION_MISSING } from '../core/errors.js'
import type { FailoverOptions } from './connection/failover.js'
import { type Given, invalid } from './connection/given.js'
import { describeHost, isSocket, readHosts } from './connection/hosts.js'
import { readKeyValues } from './connection/keyValues.js'
import { CHANNEL_BINDINGS, type ChannelBinding, type LoginMethod, readRequireAuth } from './connection/loginPolicy.js'
import { findPassword, readPasswordFile } from './connection/passwordFile.js'
import { type Environment, userFile } from './connection/places.js'
import { readService } from './connection/serviceFile.js'
import { TARGET_SESSIONS } from './connection/targetSession.js'
import { readTlsFiles } from './connection/tlsFiles.js'
import { readTlsParameters, type TlsParameters } from './connection/tlsParameters.js'
import { isUrl, readUrl } from './connection/url.js'
import { fromEnvironment, Values } from './connection/values.js'
import { startupOptions } from './sessionSettings.js'

/** Where to connect to and how; every field is explicit, so that nothing is left to a driver's reading. */
export interface ConnectionOptions extends FailoverOptions {
  readonly database: string
  readonly user: string
  /** As given; undefined where the password file is to be asked. */
  readonly password: string | undefined
  readonly passwordFile: string
  readonly tls: TlsParameters
  readonly channelBinding: ChannelBinding
  /** Undefined: every way to log in. */
  readonly acceptedLogins: ReadonlySet<LoginMethod> | undefined
  readonly applicationName: string
  /** The user's own `options` for the server. */
  readonly serverOptions: string
  readonly keepAlive: boolean
  readonly keepAliveIdleMs: number
  /** What is passed over, for people: a password file that others may read. */
  readonly warnings: readonly string[]
  /** Where the home folder and its files are looked for. */
  readonly env: Environment
}

/** Set by whoever means a connection by them; the rest of the variables only say how. */
const PLACES = ['PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER', 'PGSERVICE'] as const
const DEFAULT_TIMEOUT_S = 10

/**
 * Reads a connection string with libpq's meaning of everything in it: a URL, `postgres://user:password@host:port/database`,
 * or keywords and values, `host=db dbname=shop`; what it leaves out comes from the service that it names, then from the
 * `PG*` variables, then from libpq's defaults. Without a string the variables must say where to. A parameter that is not
 * known, or cannot be honoured, is an error, never ignored: a misread `sslmode` sends a password in the clear. No error
 * has a piece of a password in it. See docs/connections.md.
 */
export function parseConnectionString(text?: string, env: Environment = process.env): ConnectionOptions {
  if (text === undefined && PLACES.every((name) => !env[name])) throw CONNECTION_MISSING({})
  const values = collect(readString(text ?? ''), env)
  const hosts = readHosts(values)
  const user = readUser(values)
  const database = values.filled('dbname') ?? user
  const tls = readTlsParameters(values)
  const passwordFile = values.filled('passfile') ?? userFile('password', env)
  checkUnhonoured(values)
  if (values.filled('requirepeer') !== undefined && hosts.some(isSocket)) {
    throw values.wrong('requirepeer', 'cannot be honoured: Node does not tell who the server of a Unix socket runs as')
  }
  // To be told of a file that cannot be read now, not in the middle of a run.
  if (tls.mode !== 'disable' && hosts.some((host) => !isSocket(host))) readTlsFiles(tls, env)
  const password = values.filled('password')
  const { warning } =
    password === undefined
      ? readPasswordFile(passwordFile, values.isHidden('passfile') ? 'of passfile' : passwordFile)
      : { warning: undefined }
  return {
    hosts,
    drawsHosts: values.choice('load_balance_hosts', ['disable', 'random'], 'disable') === 'random',
    target: values.choice('target_session_attrs', TARGET_SESSIONS, 'any'),
    connectTimeoutMs: Math.min(Math.max(values.integer('connect_timeout', DEFAULT_TIMEOUT_S), 0), 2_000_000) * 1000,
    database,
    user,
    password,
    passwordFile,
    tls,
    channelBinding: values.choice('channel_binding', CHANNEL_BINDINGS, 'prefer'),
    acceptedLogins: readRequireAuth(values),
    applicationName: values.filled('application_name') ?? values.filled('fallback_application_name') ?? 'tailrace',
    serverOptions: `${env.PGGEQO ? startupOptions({ geqo: env.PGGEQO }) : ''} ${values.filled('options') ?? ''}`.trim(),
    keepAlive: values.integer('keepalives', 1) !== 0,
    keepAliveIdleMs: Math.max(values.integer('keepalives_idle', 0), 0) * 1000,
    warnings: warning === undefined ? [] : [warning],
    env,
  }
}

/** The same place for people: no password in it. */
export function describeConnection({
  user,
  hosts,
  database,
}: Pick<ConnectionOptions, 'user' | 'hosts' | 'database'>): string {
  return `postgres://${user}@${hosts.map(describeHost).join(',')}/${database}`
}

/** The password for one of the hosts: the one given, else the password file's, as it is now. */
export function passwordFor(options: ConnectionOptions, host: ConnectionOptions['hosts'][number]): string | undefined {
  if (options.password !== undefined) return options.password
  const { database, user } = options
  const question = { host: host.name || (host.address ?? ''), port: host.port, database, user }
  return findPassword(readPasswordFile(options.passwordFile).text, question) || undefined
}

function readString(text: string): Given {
  const trimmed = text.trim()
  if (isUrl(trimmed)) return readUrl(trimmed)
  if (/^\w+:\/\//.test(trimmed)) throw invalid('it does not begin with postgres:// or postgresql://')
  if (trimmed !== '' && !text.includes('=')) {
    throw invalid('it does not begin with postgres://, nor is it a list such as host=db dbname=shop')
  }
  // Its last blank may be escaped.
  return readKeyValues(text)
}

/** libpq's order: the string, the service that it or PGSERVICE names, the variables. */
function collect(written: Given, env: Environment): Values {
  const environment = fromEnvironment(env)
  const values = new Values([written, environment])
  const service = values.filled('service')
  if (service === undefined) return values
  const hidden = values.isHidden('service') || values.isHidden('servicefile')
  return new Values([written, readService(service, values.filled('servicefile'), env, hidden), environment])
}

function readUser(values: Values): string {
  const user = values.text('user')
  if (user !== undefined && user !== '') return user
  try {
    if (user === undefined) return userInfo().username
  } catch {
    // An account without a name, as in containers.
  }
  throw invalid('no user is given, and this account has no name to take instead')
}

/** What is accepted in some values only, since nothing here can honour the others. */
function checkUnhonoured(values: Values): void {
  if (!/^(|utf-?8|auto|unicode)$/i.test(values.text('client_encoding') ?? '')) {
    throw values.wrong('client_encoding', 'cannot be honoured: rows are read as UTF8')
  }
  if (values.choice('gssencmode', ['disable', 'prefer', 'require'], 'prefer') === 'require') {
    throw values.wrong('gssencmode', 'cannot be honoured: tailrace encrypts by TLS, not by GSSAPI')
  }
  if (!/^(|false|off|no|0)$/i.test(values.text('replication') ?? '')) {
    throw values.wrong('replication', 'cannot be honoured: tailrace decides which of its sessions replicate')
  }
  if (values.choice('min_protocol_version', ['3.0', '3.2', 'latest'], '3.0') !== '3.0') {
    throw values.wrong('min_protocol_version', 'cannot be honoured: tailrace speaks protocol 3.0')
  }
  values.choice('max_protocol_version', ['3.0', '3.2', 'latest'], '3.0')
  values.choice('sslcompression', ['0', '1'], '0')
  for (const name of ['keepalives_interval', 'keepalives_count', 'tcp_user_timeout']) values.integer(name, 0)
}
