import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { SIGNAL_INVALID, TABLE_PATTERN_INVALID } from '../../../core/errors.js'
import {
  HTTP_LISTEN_FAILED,
  REQUEST_FORBIDDEN,
  REQUEST_INVALID,
  REQUEST_NOT_FOUND,
  REQUEST_TOO_MANY,
  REQUEST_UNAUTHORIZED,
} from '../../../core/httpErrors.js'
import { TailraceError } from '../../../core/tailraceError.js'
import type { ApiError } from '../status/status.js'
import { refusal } from './access.js'
import { formatAddress, type HttpAddress } from './address.js'
import { type Answer, JSON_TYPE, json, type Route } from './route.js'

export interface HttpServerOptions {
  readonly address: HttpAddress
  /** Undefined: whoever is on this machine may ask. */
  readonly token: string | undefined
  readonly routes: readonly Route[]
  /** Of a fault of ours. */
  readonly onFault: (error: unknown) => void
}

/** More are not accepted: a monitor, and some browsers, of which each has up to six. */
export const MAX_CONNECTIONS = 128
const MAX_HEADER_BYTES = 8192
const MAX_BODY_BYTES = 64 * 1024
/** Changes that are asked for and not done. */
const MAX_CHANGES = 16
/** Answers that read much, and are under way. */
const MAX_COSTLY = 8
const HEADERS_MS = 10_000
const REQUEST_MS = 20_000
/** Longer than who polls every few seconds waits: else a request meets the end of its connection. */
const KEEP_ALIVE_MS = 30_000
/** Whoever asked, and takes nothing of the answer for so long, is closed. */
const UNREAD_MS = 30_000
const CHECK_MS = 2000
/** At the end, for what was answered last. */
const FAREWELL_MS = 500

const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}

const STATUS_CODES: readonly (readonly [{ is(error: unknown): boolean }, number])[] = [
  [REQUEST_INVALID, 400],
  [SIGNAL_INVALID, 400],
  [TABLE_PATTERN_INVALID, 400],
  [REQUEST_UNAUTHORIZED, 401],
  [REQUEST_FORBIDDEN, 403],
  [REQUEST_NOT_FOUND, 404],
  [REQUEST_TOO_MANY, 503],
]
/** What was asked for can not be done. */
const CONFLICT = 409

/** Answers over HTTP what its routes say. Whatever is asked, or however, pipelines go on, and it never keeps the process. */
export class HttpServer implements AsyncDisposable {
  readonly #options: HttpServerOptions
  readonly #server: Server
  #changes = 0
  #costly = 0

  /** Listens; throws `HTTP_LISTEN_FAILED`. */
  static async listen(options: HttpServerOptions): Promise<HttpServer> {
    // Not loaded by who does not listen.
    const { createServer } = await import('node:http')
    const limits = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_MS,
    }
    const server = new HttpServer(options, createServer(limits))
    await server.#listen()
    return server
  }

  private constructor(options: HttpServerOptions, server: Server) {
    this.#options = options
    this.#server = server
    server.maxConnections = MAX_CONNECTIONS
    server.timeout = UNREAD_MS
    server.on('request', (request, response) => void this.#answer(request, response))
    server.on('clientError', (_, socket) => (socket as Socket).destroy())
    // Nothing here speaks anything else.
    server.on('upgrade', (_, socket) => socket.destroy())
  }

  async #listen(): Promise<void> {
    const { address } = this.#options
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject)
        this.#server.listen({ host: address.host, port: address.port }, () => resolve())
      })
    } catch (cause) {
      throw HTTP_LISTEN_FAILED({ address: formatAddress(address), problem: (cause as Error).message }, { cause })
    }
    this.#server.removeAllListeners('error')
    // A failed accept (no file descriptor left) is no reason to end a run.
    this.#server.on('error', () => {})
    this.#server.unref()
  }

  /** Where it listens. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://${formatAddress({ ...this.#options.address, port })}/`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeIdleConnections()
    const timer = setTimeout(() => this.#server.closeAllConnections(), FAREWELL_MS)
    await closed
    clearTimeout(timer)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {})
    let answer: Answer
    try {
      answer = await this.#find(request, response)
    } catch (error) {
      answer = this.#failed(error)
    }
    if (response.destroyed) return
    const { status = 200, type = JSON_TYPE, body, headers } = answer
    // What follows a request that was not read to its end is none.
    const close = request.complete ? {} : { connection: 'close' }
    const challenge = status === 401 ? { 'www-authenticate': 'Bearer' } : {}
    response.writeHead(status, {
      ...HEADERS,
      'content-type': type,
      'content-length': Buffer.byteLength(body),
      ...headers,
      ...close,
      ...challenge,
    })
    response.end(request.method === 'HEAD' ? undefined : body)
    if (!request.complete) request.resume()
  }

  async #find(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    const { method = '' } = request
    const url = urlOf(request)
    const wanted = method === 'HEAD' ? 'GET' : method
    const ofPath = this.#options.routes.filter(({ path }) => path === url.pathname)
    const route = ofPath.find((one) => one.method === wanted)
    const refused = refusal(this.#options.token, request.headers, {
      open: route?.open === true,
      changes: wanted !== 'GET',
    })
    if (refused !== undefined) throw refused
    if (route === undefined) {
      if (ofPath.length === 0) throw REQUEST_NOT_FOUND({ problem: `there is nothing at ${shown(url.pathname)}` })
      const methods = ofPath.map((one) => one.method).join(', ')
      const error = json({ error: told(REQUEST_INVALID({ problem: `${shown(url.pathname)} takes ${methods}` })) }, 405)
      return { ...error, headers: { allow: methods } }
    }
    const gone = () => response.destroyed
    const { searchParams: query } = url
    if (wanted === 'GET') {
      const answer = () => route.answer({ query, body: {}, gone })
      return route.costly === true ? this.#oneOfFew(answer) : answer()
    }
    if (this.#changes === MAX_CHANGES) throw REQUEST_TOO_MANY({ limit: MAX_CHANGES })
    this.#changes++
    try {
      const body = await readBody(request)
      // What is asked for may take its time.
      request.socket.setTimeout(0)
      return await route.answer({ query, body, gone })
    } finally {
      this.#changes--
      request.socket.setTimeout(UNREAD_MS)
    }
  }

  async #oneOfFew(answer: () => Answer | Promise<Answer>): Promise<Answer> {
    if (this.#costly === MAX_COSTLY) throw REQUEST_TOO_MANY({ limit: MAX_COSTLY })
    this.#costly++
    try {
      return await answer()
    } finally {
      this.#costly--
    }
  }

  #failed(error: unknown): Answer {
    if (error instanceof TailraceError) {
      const [, status = CONFLICT] = STATUS_CODES.find(([one]) => one.is(error)) ?? []
      return json({ error: told(error) }, status)
    }
    this.#options.onFault(error)
    const hint = 'The log of the run has more. Please report it.'
    return json({ error: { code: 'INTERNAL', message: 'internal error', hint } }, 500)
  }
}

function told({ code, message, hint }: TailraceError): ApiError['error'] {
  return { code, message, hint }
}

function urlOf({ url = '' }: IncomingMessage): URL {
  try {
    return new URL(url, 'http://localhost')
  } catch {
    throw REQUEST_INVALID({ problem: 'its path is none' })
  }
}

function shown(path: string): string {
  return path.length > 100 ? `${path.slice(0, 100)}…` : path
}

async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  // What is left unread must not take the answer with it.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw REQUEST_INVALID({ problem: `its body has more than ${MAX_BODY_BYTES} bytes` })
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString()
  let body: unknown
  try {
    body = text === '' ? {} : JSON.parse(text)
  } catch {
    throw REQUEST_INVALID({ problem: 'its body is no JSON' })
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw REQUEST_INVALID({ problem: 'its body is no JSON object' })
  }
  return body as Readonly<Record<string, unknown>>
}
