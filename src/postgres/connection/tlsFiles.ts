import { createPrivateKey } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext, type SecureContext, type SecureVersion } from 'node:tls'
import { invalid } from './given.js'
import { type Environment, userFile } from './places.js'
import type { NamedFile, TlsParameters } from './tlsParameters.js'

/** Where systems keep the authorities they trust: Debian, Red Hat, Alpine and the BSDs, macOS. */
const SYSTEM_BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem']

/** What one connection's TLS is made of, from its files as they are now. */
export interface TlsMaterial {
  readonly context: SecureContext
  /** The server's certificate is checked. */
  readonly verifies: boolean
}

/**
 * Reads the files of TLS as libpq does ("SSL Support" in the libpq docs), and checks that they fit together. Throws
 * `CONNECTION_STRING_INVALID`, without the password of a key.
 */
export function readTlsFiles(tls: TlsParameters, env: Environment): TlsMaterial {
  const { ca, verifies } = readRoots(tls, env)
  const list = tls.revoked ?? tls.revokedFolder
  if (list !== undefined && !verifies) {
    throw invalid(`a list of revoked certificates${list.shown} is given, and no authority to verify with (sslrootcert)`)
  }
  const client = tls.sendsCertificate ? readClient(tls, env) : undefined
  try {
    const context = createSecureContext({
      // To read the authorities that Node brings takes 25 ms, and nobody would ask them; but for those of a certificate of ours, they may be.
      ca: verifies || client !== undefined ? ca : [],
      cert: client?.cert,
      key: client?.key,
      ...(client !== undefined && tls.keyPassword !== undefined && { passphrase: tls.keyPassword }),
      ...(verifies && { crl: readRevocations(tls, env) }),
      minVersion: tls.minVersion as SecureVersion,
      ...(tls.maxVersion !== undefined && { maxVersion: tls.maxVersion as SecureVersion }),
    })
    return { context, verifies }
  } catch (cause) {
    throw invalid(`the TLS files cannot be used together: ${(cause as Error).message}`, { cause })
  }
}

function readRoots(
  tls: TlsParameters,
  env: Environment,
): { readonly ca: string | undefined; readonly verifies: boolean } {
  if (tls.root === 'system') {
    const bundle = env.SSL_CERT_FILE ?? SYSTEM_BUNDLES.find((path) => existsSync(path))
    const ca = bundle === undefined ? undefined : readText('the bundle of the system', usual(bundle))
    return { ca, verifies: true }
  }
  const file = tls.root ?? usual(userFile('root.crt', env))
  if (tls.root !== undefined || existsSync(file.path)) {
    const ca = readText('sslrootcert', file)
    if (!ca.includes('-----BEGIN ')) throw invalid(`sslrootcert${file.shown} holds no certificate in PEM`)
    return { ca, verifies: true }
  }
  if (tls.mode.startsWith('verify')) {
    throw invalid(
      `sslmode=${tls.mode} needs the authority's certificate, and ${file.path} is not there: name it with sslrootcert, or trust the system's with sslrootcert=system`,
    )
  }
  return { ca: undefined, verifies: false }
}

function readRevocations(tls: TlsParameters, env: Environment): string[] {
  const { revoked, revokedFolder } = tls
  const files = revoked === undefined ? [] : [revoked]
  if (revokedFolder !== undefined) {
    const names = reading('sslcrldir', revokedFolder, (path) => readdirSync(path))
    const paths = names.filter((name) => /^[0-9a-f]{8}\.r\d+$/.test(name)).map((name) => join(revokedFolder.path, name))
    files.push(...paths.map((path) => ({ path, shown: revokedFolder.shown })))
  }
  const own = userFile('root.crl', env)
  if (revoked === undefined && revokedFolder === undefined && existsSync(own)) files.push(usual(own))
  // Node reads one of each text only.
  const lists = files.flatMap((file) => readText('sslcrl', file).match(REVOCATION_LISTS) ?? [])
  if (revoked !== undefined && lists.length === 0) throw invalid(`sslcrl${revoked.shown} holds no list in PEM`)
  return lists
}

const REVOCATION_LISTS = /-----BEGIN X509 CRL-----[\s\S]*?-----END X509 CRL-----/g

interface ClientCertificate {
  readonly cert: string
  readonly key: string | Buffer
}

function readClient(tls: TlsParameters, env: Environment): ClientCertificate | undefined {
  const certificate = tls.certificate ?? usual(userFile('postgresql.crt', env))
  if (tls.certificate === undefined && !existsSync(certificate.path)) {
    if (tls.key === undefined) return undefined
    throw invalid(`sslkey${tls.key.shown} is given, and no certificate for it (sslcert)`)
  }
  const key = tls.key ?? usual(userFile('postgresql.key', env))
  return { cert: readText('sslcert', certificate), key: readKey(key, tls.keyPassword) }
}

function readKey(file: NamedFile, passphrase: string | undefined): string | Buffer {
  const bytes = reading('sslkey', file, (path) => readFileSync(path))
  const { mode, uid } = statSync(file.path)
  if ((mode & 0o170000) !== 0o100000) throw invalid(`sslkey${file.shown} is not a plain file`)
  // As libpq: a key of root's may be read by a group too.
  if (process.platform !== 'win32' && (mode & (uid === 0 ? 0o037 : 0o077)) !== 0) {
    const found = (mode & 0o777).toString(8).padStart(4, '0')
    throw invalid(`sslkey${file.shown} may be read by others (mode ${found}): chmod 0600, or 0640 when root owns it`)
  }
  if (bytes[0] !== DER_SEQUENCE) return bytes
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      const options = { key: bytes, format: 'der' as const, type, ...(passphrase !== undefined && { passphrase }) }
      return createPrivateKey(options).export({ format: 'pem', type: 'pkcs8' }) as string
    } catch {
      // one of the others, then
    }
  }
  throw invalid(`sslkey${file.shown} is no private key in PEM or DER, or sslpassword is not its password`)
}

const DER_SEQUENCE = 0x30

function usual(path: string): NamedFile {
  return { path, shown: ` "${path}"` }
}

function readText(what: string, file: NamedFile): string {
  return reading(what, file, (path) => readFileSync(path, 'utf8'))
}

function reading<T>(what: string, { path, shown }: NamedFile, read: (path: string) => T): T {
  try {
    return read(path)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw invalid(`${what}${shown} cannot be read (${code})`, shown === '' ? undefined : { cause })
  }
}
