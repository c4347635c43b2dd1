import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { FrameReader, frameHead } from './frames.js'
import { GrpcFailure, OK, statusHeaders, UNIMPLEMENTED } from './status.js'
import { RESPONSE_HEADERS, RESPONSE_OPTIONS, StreamCall, type StreamListener } from './streamCall.js'

/** Windows of HTTP/2 as large as what is sent in one go: the default of 64 kB would be asked for again and again. */
const WINDOW_BYTES = 4 * 1024 * 1024

interface UnaryMethod<Request, Response> {
  readonly path: string
  readonly requestDeserialize: (bytes: Buffer) => Request
  readonly responseSerialize: (response: Response) => Buffer
}

/** Where a service's messages are made by hand, or never come, its path is enough. */
interface StreamMethod {
  readonly path: string
}

export interface GrpcServerWishes {
  /** Bytes of the largest message that is taken. */
  readonly maxReceiveBytes: number
  /** The text of an error for whoever has called. */
  readonly describe: (error: unknown) => string
  /** Each call, before it is answered. */
  readonly onCall: () => void
}

/**
 * gRPC over HTTP/2 without TLS, as much of it as hosts of plugins use: unary calls, and streams of bytes. By hand, since a
 * host may acknowledge each record with a message of its own: here that is two function calls and no object.
 */
export class GrpcServer {
  readonly #server: Http2Server
  readonly #wishes: GrpcServerWishes
  readonly #handlers = new Map<string, (stream: ServerHttp2Stream) => void>()
  readonly #sessions = new Set<ServerHttp2Session>()

  constructor(wishes: GrpcServerWishes) {
    this.#wishes = wishes
    this.#server = createServer({
      settings: { initialWindowSize: WINDOW_BYTES },
      // What is sent waits for whoever reads it; the text of an error is no attack.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
      maxSendHeaderBlockLength: Number.MAX_SAFE_INTEGER,
    })
    this.#server.on('session', (session) => {
      session.setLocalWindowSize(WINDOW_BYTES)
      this.#sessions.add(session)
      session.on('close', () => this.#sessions.delete(session))
      // A host that is gone: its calls are cancelled.
      session.on('error', () => {})
    })
    this.#server.on('stream', (stream, headers) => {
      stream.on('error', () => {})
      wishes.onCall()
      const handle = this.#handlers.get(String(headers[':path']))
      if (handle !== undefined) handle(stream)
      else this.#answerFailure(stream, new GrpcFailure(UNIMPLEMENTED, `there is no method ${headers[':path']}`))
    })
  }

  /** `onAnswered`: a call is over that was not refused, and its answer handed to the system. */
  unary<Request, Response>(
    { path, requestDeserialize, responseSerialize }: UnaryMethod<Request, Response>,
    handle: (request: Request) => Response | Promise<Response>,
    onAnswered: () => void = () => {},
  ): void {
    this.#handlers.set(path, (stream) => {
      readMessage(stream, this.#wishes.maxReceiveBytes)
        .then(async (request) => {
          const response = responseSerialize(await handle(requestDeserialize(request)))
          stream.once('close', onAnswered)
          answer(stream, response)
        })
        .catch((error) => this.#answerFailure(stream, error))
    })
  }

  /** What `begin` throws ends the call. */
  stream({ path }: StreamMethod, begin: (call: StreamCall) => StreamListener): void {
    this.#handlers.set(path, (stream) => {
      const call = new StreamCall(stream, this.#wishes)
      try {
        call.listen(begin(call))
      } catch (error) {
        call.fail(error)
      }
    })
  }

  /** Gives the port; 0 of a socket with a path. */
  listen(where: { readonly path: string } | { readonly host: string; readonly port: number }): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(where, () => {
        this.#server.off('error', reject)
        const address = this.#server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
  }

  /** A response of trailers alone. */
  #answerFailure(stream: ServerHttp2Stream, error: unknown): void {
    if (stream.closed || stream.headersSent) return
    stream.respond({ ...RESPONSE_HEADERS, ...statusHeaders(error, this.#wishes.describe) }, { endStream: true })
  }

  /** Cuts what there is. */
  close(): void {
    this.#server.close()
    for (const session of this.#sessions) session.destroy(undefined, constants.NGHTTP2_CANCEL)
  }
}

/** The one message of a request; never fulfilled when the call is cancelled before it came. */
function readMessage(stream: ServerHttp2Stream, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let message: Buffer | undefined
    const frames = new FrameReader(maxBytes, (bytes, start, end) => {
      message = bytes.subarray(start, end)
    })
    stream.on('data', (chunk: Buffer) => {
      try {
        frames.push(chunk)
      } catch (error) {
        reject(error)
      }
    })
    stream.on('end', () => {
      if (message === undefined) reject(new GrpcFailure(UNIMPLEMENTED, 'a request without a message'))
      else resolve(message)
    })
  })
}

function answer(stream: ServerHttp2Stream, response: Buffer): void {
  if (stream.closed) return
  stream.respond(RESPONSE_HEADERS, RESPONSE_OPTIONS)
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(OK) }))
  stream.write(frameHead(response.length))
  stream.end(response)
}
