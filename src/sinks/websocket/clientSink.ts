import type { IncomingMessage } from 'node:http'
import type { RawData, WebSocket } from 'ws'
import { deferred } from '../../core/deferred.js'
import type { TailraceError } from '../../core/tailraceError.js'
import { readTrust, type TlsOptions } from '../../core/tls.js'
import { untrusted } from '../../core/tlsErrors.js'
import {
  WEBSOCKET_CLOSED,
  WEBSOCKET_PEER_INVALID,
  WEBSOCKET_REFUSED,
  WEBSOCKET_SILENT,
  WEBSOCKET_UNREACHABLE,
} from '../../core/websocketErrors.js'
import type { Batch } from '../../source/batch.js'
import { shownUrl } from '../shownUrl.js'
import type { Reject, Sink, SinkMark } from '../sink.js'
import { closeSocket } from './closeSocket.js'
import { type FrameLines, readAck, recordsFrame, singleFrames } from './frames.js'
import { loadWs } from './loadWs.js'

export interface ClientOptions {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly acks: boolean
  readonly tls: TlsOptions
  readonly windowBytes: number
  readonly ackTimeoutMs: number
  /** The first frame. */
  readonly hello: string
  readonly lines: FrameLines
}

const CONNECT_MS = 10_000
/** Twice without a pong, and the peer is gone. */
const PING_MS = 15_000
/** What a peer sends is short. */
const MAX_PAYLOAD = 64 * 1024

/**
 * Sends records to a peer, which acknowledges each frame when it has it safe. A connection that was lost is an error:
 * opened anew the sink gets, and sends, all since its last `flush`.
 */
export class WebsocketClientSink implements Sink {
  readonly releasesBatches = true
  readonly closesWhileBusy = true
  readonly #options: ClientOptions
  /** Without what may be secret in it. */
  readonly #shown: string
  #socket: WebSocket | undefined
  #failure: TailraceError | undefined
  #pinger: NodeJS.Timeout | undefined
  #sent = 0
  #acknowledged = 0
  /** Bytes of each frame that is not acknowledged, in order. */
  #sizes: number[] = []
  #bytes = 0
  #progress = deferred()

  constructor(options: ClientOptions) {
    this.#options = options
    this.#shown = shownUrl(new URL(options.url))
  }

  async open(): Promise<undefined> {
    const { WebSocket } = await loadWs()
    const { url, headers, acks, tls, hello, lines } = this.#options
    const trust = readTrust(tls)
    lines.clear()
    this.#failure = undefined
    this.#sent = this.#acknowledged = this.#bytes = 0
    this.#sizes = []
    const socket = new WebSocket(url, {
      headers: { ...headers },
      ...trust,
      handshakeTimeout: CONNECT_MS,
      perMessageDeflate: false,
      maxPayload: MAX_PAYLOAD,
    })
    this.#socket = socket
    await this.#connected(socket)
    const ended = (problem: string) => this.#fail(socket, WEBSOCKET_CLOSED({ url: this.#shown, problem }))
    socket.on('error', ({ message }) => ended(message))
    socket.on('close', (code, reason) => ended(describeClose(code, reason.toString())))
    socket.on('message', (data, isBinary) => this.#hear(socket, data, isBinary))
    this.#keepAlive(socket)
    if (acks) socket.send(hello)
  }

  async write(batch: Batch, reject?: Reject): Promise<void> {
    for (const lines of this.#options.lines.of(batch, reject)) {
      const frames = this.#options.acks ? [recordsFrame(this.#sent + 1, lines)] : singleFrames(lines)
      for (const frame of frames) {
        await this.#until(() => this.#bytes === 0 || this.#bytes + frame.length <= this.#options.windowBytes)
        this.#send(frame)
      }
    }
  }

  async flush(): Promise<SinkMark> {
    await this.#until(() => this.#acknowledged === this.#sent)
    return null
  }

  /** A connection that ended while nothing was to be sent is opened anew before something is. */
  dueAt(): number | undefined {
    return this.#failure === undefined ? undefined : 0
  }

  async close(): Promise<void> {
    const socket = this.#socket
    this.#socket = undefined
    clearInterval(this.#pinger)
    this.#wake()
    if (socket === undefined) return
    socket.removeAllListeners()
    await closeSocket(socket, 1000, 'the sink is closed')
  }

  async #connected(socket: WebSocket): Promise<void> {
    const opened = deferred()
    socket.on('open', opened.resolve)
    socket.on('unexpected-response', (_, response: IncomingMessage) => {
      const status = response.statusCode ?? 0
      const passes = status >= 500 || status === 429 || status === 408
      const problem = `it answered ${status}`
      const details = { url: this.#shown, status, problem }
      opened.reject(passes ? WEBSOCKET_UNREACHABLE(details) : WEBSOCKET_REFUSED(details))
    })
    socket.on('error', (cause) => {
      const { code, message } = cause as NodeJS.ErrnoException
      const details = { url: this.#shown, problem: message || String(code) }
      opened.reject(untrusted(this.#shown, cause) ?? WEBSOCKET_UNREACHABLE(details, { cause }))
    })
    try {
      await opened.promise
    } finally {
      socket.removeAllListeners()
      socket.on('error', () => {})
    }
  }

  #send(frame: Buffer): void {
    const socket = this.#socket
    if (socket === undefined) return
    this.#sent++
    this.#sizes.push(frame.length)
    this.#bytes += frame.length
    const { acks } = this.#options
    const id = this.#sent
    // What fails is told by the socket's own events.
    socket.send(frame, { binary: !acks }, (error) => {
      if (!acks && error == null && socket === this.#socket) this.#acknowledge(id)
    })
  }

  #hear(socket: WebSocket, data: RawData, isBinary: boolean): void {
    if (!this.#options.acks) return
    const ack = readAck(data as Buffer, isBinary)
    if (ack === undefined) return
    const invalid = (problem: string) => this.#fail(socket, WEBSOCKET_PEER_INVALID({ url: this.#shown, problem }))
    if (ack === 'invalid') invalid('it sent what is no frame of JSON with a type')
    else if (ack.id > this.#sent || ack.id < 0) invalid(`it acknowledged frame ${ack.id}, and ${this.#sent} were sent`)
    else this.#acknowledge(ack.id)
  }

  /** All up to that. */
  #acknowledge(id: number): void {
    if (id <= this.#acknowledged) return
    for (const size of this.#sizes.splice(0, id - this.#acknowledged)) this.#bytes -= size
    this.#acknowledged = id
    this.#wake()
  }

  /** Waits for it, as long as the peer goes on acknowledging. */
  async #until(condition: () => boolean): Promise<void> {
    const { ackTimeoutMs } = this.#options
    for (;;) {
      const socket = this.#socket
      if (this.#failure !== undefined) throw this.#failure
      if (condition()) return
      // Nobody has acknowledged it.
      if (socket === undefined) throw new Error('the sink was closed')
      const what = this.#options.acks ? 'ack' : 'more room'
      const silent = WEBSOCKET_SILENT({ url: this.#shown, what, ms: ackTimeoutMs })
      const timer = setTimeout(() => this.#fail(socket, silent), ackTimeoutMs)
      await this.#progress.promise
      clearTimeout(timer)
    }
  }

  #keepAlive(socket: WebSocket): void {
    let heard = true
    const hear = () => {
      heard = true
    }
    socket.on('pong', hear)
    socket.on('message', hear)
    this.#pinger = setInterval(() => {
      if (!heard) this.#fail(socket, WEBSOCKET_SILENT({ url: this.#shown, what: 'pong', ms: PING_MS }))
      heard = false
      if (socket.readyState === socket.OPEN) socket.ping()
    }, PING_MS)
  }

  #fail(socket: WebSocket, error: TailraceError): void {
    if (socket !== this.#socket || this.#failure !== undefined) return
    this.#failure = error
    clearInterval(this.#pinger)
    socket.terminate()
    this.#wake()
  }

  #wake(): void {
    this.#progress.resolve()
    this.#progress = deferred()
  }
}

function describeClose(code: number, reason: string): string {
  if (code === 1006) return 'it was cut off'
  return `the peer closed it with code ${code}${reason === '' ? '' : ` (${reason})`}`
}
