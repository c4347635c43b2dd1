import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2'
import { FrameReader, frameHead } from './frames.js'
import { DEADLINE_EXCEEDED, GrpcFailure, OK, UNAVAILABLE, UNKNOWN } from './status.js'

export interface UnaryCallMethod<Request, Response> {
  readonly path: string
  readonly requestSerialize: (request: Request) => Buffer
  readonly responseDeserialize: (bytes: Buffer) => Response
}

export interface CallWishes {
  /** Further header fields. */
  readonly metadata: Readonly<Record<string, string>>
  readonly deadlineMs: number
}

/** Unary calls of gRPC over HTTP/2 without TLS; connected by the first of them, and again when the connection is gone. */
export class GrpcClient {
  readonly #target: string
  #session: ClientHttp2Session | undefined

  /** `target`: host:port. */
  constructor(target: string) {
    this.#target = target
  }

  /** Rejects with a `GrpcFailure`: the status that was answered, UNAVAILABLE or DEADLINE_EXCEEDED. */
  call<Request, Response>(
    { path, requestSerialize, responseDeserialize }: UnaryCallMethod<Request, Response>,
    request: Request,
    { metadata, deadlineMs }: CallWishes,
  ): Promise<Response> {
    const message = requestSerialize(request)
    return new Promise((resolve, reject) => {
      const stream = this.#connect((error) => reject(new GrpcFailure(UNAVAILABLE, textOf(error)))).request({
        ...{ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' },
        ...metadata,
      })
      const deadline = setTimeout(() => {
        reject(new GrpcFailure(DEADLINE_EXCEEDED, `no answer in ${deadlineMs / 1000} s`))
        stream.close(constants.NGHTTP2_CANCEL)
      }, deadlineMs)
      let response: Buffer | undefined
      let headers: IncomingHttpHeaders = {}
      const frames = new FrameReader(Number.POSITIVE_INFINITY, (bytes, start, end) => {
        response = bytes.subarray(start, end)
      })
      stream.on('data', (chunk: Buffer) => {
        try {
          frames.push(chunk)
        } catch (error) {
          reject(error)
        }
      })
      stream.on('response', (came) => {
        headers = { ...headers, ...came }
      })
      stream.on('trailers', (came) => {
        headers = { ...headers, ...came }
      })
      stream.on('error', (error) => reject(new GrpcFailure(UNAVAILABLE, textOf(error))))
      stream.on('close', () => {
        clearTimeout(deadline)
        const failure = failureOf(headers)
        if (failure !== undefined) reject(failure)
        else if (response === undefined) reject(new GrpcFailure(UNKNOWN, 'an answer without a message'))
        else resolve(responseDeserialize(response))
      })
      stream.end(Buffer.concat([frameHead(message.length), message]))
    })
  }

  /** What the first call would else wait for; that it fails the next call tells. */
  connect(): void {
    this.#connect(() => {})
  }

  close(): void {
    this.#session?.destroy()
    this.#session = undefined
  }

  #connect(onError: (error: Error) => void): ClientHttp2Session {
    if (this.#session !== undefined && !this.#session.closed && !this.#session.destroyed) return this.#session
    const session = connect(`http://${this.#target}`)
    this.#session = session
    session.on('error', onError)
    session.on('close', () => {
      if (this.#session === session) this.#session = undefined
    })
    return session
  }
}

/** Undefined: the call went well. */
function failureOf(headers: IncomingHttpHeaders): GrpcFailure | undefined {
  const status = headers['grpc-status']
  if (status === undefined) return new GrpcFailure(UNAVAILABLE, 'the connection was closed without an answer')
  if (Number(status) === OK) return undefined
  return new GrpcFailure(Number(status), decoded(String(headers['grpc-message'] ?? `status ${status}`)))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Of several addresses that all failed Node's error has a code alone. */
function textOf(error: Error): string {
  return error.message || String((error as NodeJS.ErrnoException).code)
}
