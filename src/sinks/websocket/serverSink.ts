import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server, STATUS_CODES } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { WebSocketServer } from 'ws'
import { deferred } from '../../core/deferred.js'
import type { TailraceError } from '../../core/tailraceError.js'
import { readPem } from '../../core/tls.js'
import { TLS_FILE_UNREADABLE } from '../../core/tlsErrors.js'
import { WEBSOCKET_LISTEN_FAILED } from '../../core/websocketErrors.js'
import type { Batch } from '../../source/batch.js'
import type { Reject, Sink, SinkEvent, SinkMark } from '../sink.js'
import { admit, type Refusal } from './admission.js'
import { Deliveries } from './deliveries.js'
import { type FrameLines, recordsFrame } from './frames.js'
import { loadWs } from './loadWs.js'
import { CLOSE_GOING, CLOSE_REPLACED, Reader } from './reader.js'

export interface ServerOptions {
  readonly host: string
  readonly port: number
  readonly token: string | undefined
  /** Files, PEM; undefined: without TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined
  /** So many must acknowledge a frame. */
  readonly readers: number
  readonly maxReaders: number
  readonly windowBytes: number
  readonly readerBytes: number
  readonly ackTimeoutMs: number
  readonly hello: string
  readonly lines: FrameLines
}

const LOOK_MS = 1000
/** Every so many looks a reader is asked for a sign of life. */
const LOOKS_A_PING = 15
const MAX_PAYLOAD = 64 * 1024
/** Who is waited for so long is told of. */
const TELL_MS = 5000

/**
 * Listens, and gives records to all who connect. What so many readers have acknowledged is durable; what is not, is kept,
 * and given to whoever joins: so a reader that comes back goes on where it was.
 */
export class WebsocketServerSink implements Sink {
  readonly releasesBatches = true
  readonly closesWhileBusy = true
  readonly #options: ServerOptions
  readonly #readers = new Map<string, Reader>()
  #deliveries: Deliveries
  #tell: (event: SinkEvent) => void = () => {}
  #server: Server | undefined
  #sockets: WebSocketServer | undefined
  #timer: NodeJS.Timeout | undefined
  #looks = 0
  #unnamed = 0
  #failure: TailraceError | undefined
  #progress = deferred()

  constructor(options: ServerOptions) {
    this.#options = options
    this.#deliveries = new Deliveries(options.readers)
  }

  listen(tell: (event: SinkEvent) => void): void {
    this.#tell = tell
  }

  async open(): Promise<undefined> {
    const { WebSocketServer } = await loadWs()
    const { host, port, tls, readers, lines } = this.#options
    lines.clear()
    this.#deliveries = new Deliveries(readers)
    this.#failure = undefined
    this.#sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_PAYLOAD, perMessageDeflate: false })
    const server = serverOf(tls, (_, response) => {
      response.writeHead(426, { upgrade: 'websocket' }).end('a WebSocket is expected here\n')
    })
    this.#server = server
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    const failed = ({ message }: Error) => WEBSOCKET_LISTEN_FAILED({ listen: `${host}:${port}`, problem: message })
    server.listen(port, host)
    await once(server, 'listening').catch((cause) => {
      throw failed(cause)
    })
    server.on('error', (error) => {
      this.#failure = failed(error)
      this.#wake()
    })
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  async write(batch: Batch, reject?: Reject): Promise<void> {
    const { lines, windowBytes } = this.#options
    for (const one of lines.of(batch, reject)) {
      await this.#until(({ bytes }) => bytes === 0 || bytes + one.length <= windowBytes)
      if (this.#server === undefined) throw new Error('the sink was closed')
      const frame = this.#deliveries.add((id) => recordsFrame(id, one))
      for (const reader of this.#readers.values()) reader.send(frame)
    }
  }

  async flush(): Promise<SinkMark> {
    await this.#until(({ durable, last }) => durable === last)
    return null
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    clearInterval(this.#timer)
    this.#wake()
    if (server === undefined) return
    const closed = server.listening ? once(server, 'close') : undefined
    if (server.listening) server.close()
    await Promise.all([...this.#readers.values()].map((reader) => reader.end(CLOSE_GOING, 'the sink is closed')))
    server.closeAllConnections()
    this.#readers.clear()
    await closed
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => {})
    const { token, readers, maxReaders } = this.#options
    const admitted = admit(request, { token, namesNeeded: readers > 1 })
    if (!('name' in admitted)) return refuse(socket, admitted)
    const isFull = this.#readers.size >= maxReaders && !this.#readers.has(admitted.name)
    if (isFull || this.#server === undefined)
      return refuse(socket, { status: 503, problem: 'no more readers are taken' })
    this.#sockets!.handleUpgrade(request, socket, head, (opened) => {
      const { readerBytes: maxBytes, ackTimeoutMs, hello } = this.#options
      // Of one without a name nobody knows whether it was here before.
      const name = admitted.name === '' ? `#${++this.#unnamed}` : admitted.name
      const reader = new Reader(
        name,
        opened,
        { maxBytes, ackTimeoutMs },
        {
          acknowledged: (_, id) => {
            if (this.#deliveries.acknowledge(name, id)) this.#wake()
          },
          cutOff: (_, reason) => this.#notice(`the reader ${name} is cut off: ${reason}`),
          gone: () => {
            if (this.#readers.get(name) === reader) this.#readers.delete(name)
          },
        },
      )
      void this.#readers.get(name)?.end(CLOSE_REPLACED, 'the reader has connected once more')
      this.#readers.set(name, reader)
      if (this.#server === undefined) return void reader.end(CLOSE_GOING, 'the sink is closed')
      reader.hello(hello)
      for (const frame of this.#deliveries.missingOf(name)) reader.send(frame)
    })
  }

  #look(): void {
    const ping = ++this.#looks % LOOKS_A_PING === 0
    for (const reader of this.#readers.values()) reader.look(ping)
  }

  async #until(condition: (deliveries: Deliveries) => boolean): Promise<void> {
    const { readers } = this.#options
    const timer = setTimeout(() => {
      const { size } = this.#readers
      if (size < readers)
        this.#notice(`records wait for ${readers} reader${readers > 1 ? 's' : ''}, and ${size} are connected`)
    }, TELL_MS)
    try {
      while (!condition(this.#deliveries)) {
        if (this.#failure !== undefined) throw this.#failure
        // Nobody has acknowledged it.
        if (this.#server === undefined) throw new Error('the sink was closed')
        await this.#progress.promise
      }
    } finally {
      clearTimeout(timer)
    }
  }

  #notice(message: string): void {
    this.#tell({ type: 'sink-notice', message })
  }

  #wake(): void {
    this.#progress.resolve()
    this.#progress = deferred()
  }
}

/** Renewed files are read when the sink is opened anew. */
function serverOf(tls: ServerOptions['tls'], answer: RequestListener): Server {
  if (tls === undefined) return createServer(answer)
  const [cert, key] = [readPem('tls_cert', tls.cert, 'CERTIFICATE'), readPem('tls_key', tls.key, 'PRIVATE KEY')]
  try {
    return createTlsServer({ cert, key }, answer)
  } catch (cause) {
    throw TLS_FILE_UNREADABLE({ setting: 'tls_key', path: tls.key, problem: (cause as Error).message }, { cause })
  }
}

function refuse(socket: Duplex, { status, problem }: Refusal): void {
  const body = `${problem}\n`
  socket.once('finish', () => socket.destroy())
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'connection: close',
    'content-type: text/plain; charset=utf-8',
  ]
  socket.end(`${[...head, `content-length: ${Buffer.byteLength(body)}`].join('\r\n')}\r\n\r\n${body}`)
}
