import { connect, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls } from 'node:tls'
import { type Host, isSocket } from './hosts.js'
import type { Environment } from './places.js'
import { readTlsFiles } from './tlsFiles.js'
import type { TlsParameters } from './tlsParameters.js'

/** SSLRequest ("Message Formats" in the PostgreSQL docs): Int32 length, Int32 80877103. */
const SSL_REQUEST = Buffer.from('0000000804d2162f', 'hex')
const ACCEPTED = 0x53 // 'S'
const REFUSED = 0x4e // 'N'

/** What the protocol of a connection begins on. */
export interface TransportOptions {
  readonly host: Host
  /** One of the host's addresses, or the path of its Unix socket. */
  readonly address: string
  readonly encrypted: boolean
  readonly tls: TlsParameters
  readonly keepAlive: boolean
  /** Before the first probe; 0: the system's. */
  readonly keepAliveIdleMs: number
  readonly env: Environment
  readonly signal: AbortSignal
}

/** TLS failed, or is not to be had: going on without it may help, another host (where it was not just cut) will not. */
export class TlsError extends Error {
  readonly cut: boolean

  constructor(message: string, options: ErrorOptions & { readonly cut?: boolean } = {}) {
    super(message, options)
    this.cut = options.cut ?? false
  }
}

export interface Transport {
  readonly socket: Socket
  readonly encrypted: boolean
}

/** A connected socket, with TLS where it is wanted. Nothing of the protocol was sent but the request for TLS. */
export async function openTransport(options: TransportOptions): Promise<Transport> {
  const { host, address, encrypted, tls, signal } = options
  signal.throwIfAborted()
  // Before a connection is made: a file that cannot be read is no fault of the server.
  const material = encrypted ? readTlsFiles(tls, options.env) : undefined
  const socket = connect(isSocket(host) ? { path: address } : { host: address, port: host.port })
  const abort = () => socket.destroy(asError(signal.reason))
  signal.addEventListener('abort', abort, { once: true })
  try {
    await settled(socket, 'connect')
    socket.setNoDelay(true)
    if (options.keepAlive) socket.setKeepAlive(true, options.keepAliveIdleMs)
    if (material === undefined) return { socket, encrypted }
    if (!tls.direct && !(await askForTls(socket))) {
      // As libpq: the server waits for what comes instead.
      if (tls.mode === 'prefer') return { socket, encrypted: false }
      throw new TlsError('the server has no TLS')
    }
    const verifiesName = tls.mode === 'verify-full'
    if (verifiesName && host.name === '')
      throw new TlsError('sslmode=verify-full needs the name of the host, and only hostaddr is given')
    const secure = connectTls({
      socket,
      host: host.name,
      secureContext: material.context,
      rejectUnauthorized: material.verifies,
      checkServerIdentity: verifiesName ? checkServerIdentity : () => undefined,
      ...(tls.namesHost && host.name !== '' && isIP(host.name) === 0 && { servername: host.name }),
      ...(tls.direct && { ALPNProtocols: ['postgresql'] }),
    })
    await settled(secure, 'secureConnect').catch((cause: Error) => {
      throw new TlsError(cause.message, { cause, cut: CUT.test((cause as NodeJS.ErrnoException).code ?? '') })
    })
    if (tls.direct && secure.alpnProtocol !== 'postgresql') {
      throw new TlsError(
        'the server did not agree to speak PostgreSQL in TLS from the first byte (sslnegotiation=direct)',
      )
    }
    return { socket: secure, encrypted }
  } catch (cause) {
    socket.destroy()
    throw cause
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** False: the server has none. */
async function askForTls(socket: Socket): Promise<boolean> {
  const answer = new Promise<Buffer>((resolve, reject) => {
    socket.once('data', resolve)
    socket.once('error', reject)
    const closed = 'the server closed the connection when it was asked for TLS'
    socket.once('close', () => reject(new TlsError(closed, { cut: true })))
  })
  socket.write(SSL_REQUEST)
  const bytes = await answer
  if (bytes[0] === REFUSED && bytes.length === 1) return false
  if (bytes[0] !== ACCEPTED) throw new TlsError('what answers does not speak the PostgreSQL protocol')
  // Somebody on the way put it there, to have it taken for the server's (CVE-2021-23222).
  if (bytes.length > 1) throw new TlsError('unencrypted bytes came after the answer to the request for TLS')
  return true
}

function settled(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve())
    // Stays: what comes between this and the next listener must not end the process.
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the server closed the connection')))
  })
}

const CUT = /^(ECONNRESET|EPIPE|ETIMEDOUT|ECONNABORTED)$/

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
