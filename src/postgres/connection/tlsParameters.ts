import { invalid } from './given.js'
import type { Values } from './values.js'

export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof SSL_MODES)[number]

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

/** A file that was named. */
export interface NamedFile {
  readonly path: string
  /** For messages: empty where the path may hold a piece of a password. */
  readonly shown: string
}

/** How TLS is asked for; the files are read when a connection is made, so that they may be renewed meanwhile. */
export interface TlsParameters {
  readonly mode: SslMode
  /** TLS begins with the first byte, without asking for it. */
  readonly direct: boolean
  readonly root: NamedFile | 'system' | undefined
  readonly revoked: NamedFile | undefined
  readonly revokedFolder: NamedFile | undefined
  readonly certificate: NamedFile | undefined
  readonly key: NamedFile | undefined
  readonly keyPassword: string | undefined
  readonly sendsCertificate: boolean
  /** The host's name is told at the start. */
  readonly namesHost: boolean
  readonly minVersion: string
  readonly maxVersion: string | undefined
}

export function readTlsParameters(values: Values): TlsParameters {
  const root = values.filled('sslrootcert')
  const system = root === 'system'
  const mode = values.choice('sslmode', SSL_MODES, system ? 'verify-full' : 'prefer')
  if (system && mode !== 'verify-full') {
    throw invalid(`sslmode=${mode} is too weak for sslrootcert=system, which trusts every authority: use verify-full`)
  }
  const direct = values.choice('sslnegotiation', ['postgres', 'direct'], 'postgres') === 'direct'
  if (direct && ['disable', 'allow', 'prefer'].includes(mode)) {
    throw invalid(`sslmode=${mode} is too weak for sslnegotiation=direct: use require, verify-ca or verify-full`)
  }
  if (values.choice('sslcertmode', ['disable', 'allow', 'require'], 'allow') === 'require') {
    throw values.wrong(
      'sslcertmode',
      'cannot be honoured: Node does not tell whether the server asked for a certificate',
    )
  }
  const minVersion = version(values, 'ssl_min_protocol_version') ?? 'TLSv1.2'
  const maxVersion = version(values, 'ssl_max_protocol_version')
  if (maxVersion !== undefined && VERSIONS.indexOf(maxVersion) < VERSIONS.indexOf(minVersion)) {
    throw invalid(`ssl_min_protocol_version ${minVersion} is above ssl_max_protocol_version ${maxVersion}`)
  }
  return {
    mode,
    direct,
    root: system ? 'system' : file(values, 'sslrootcert'),
    revoked: file(values, 'sslcrl'),
    revokedFolder: file(values, 'sslcrldir'),
    certificate: file(values, 'sslcert'),
    key: file(values, 'sslkey'),
    keyPassword: values.filled('sslpassword'),
    sendsCertificate: values.text('sslcertmode') !== 'disable',
    namesHost: values.choice('sslsni', ['0', '1'], '1') === '1',
    minVersion,
    maxVersion,
  }
}

function file(values: Values, name: string): NamedFile | undefined {
  const path = values.filled(name)
  return path === undefined ? undefined : { path, shown: values.isHidden(name) ? '' : ` "${path}"` }
}

function version(values: Values, name: string): (typeof VERSIONS)[number] | undefined {
  const text = values.filled(name)
  if (text === undefined) return undefined
  const found = VERSIONS.find((one) => one.toLowerCase() === text.toLowerCase())
  if (found === undefined) throw values.wrong(name, `is none of ${VERSIONS.join(', ')}`)
  return found
}
