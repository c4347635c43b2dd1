import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws'
import { deferred } from '../../src/core/deferred.js'
import type { Change } from '../../src/testing/index.js'

type JsonRecord = Record<string, unknown> & { readonly operation: string }

/** What comes over one connection or several: kept, and acknowledged when it is. */
export class Keeper {
  readonly records: JsonRecord[] = []
  readonly frames: { readonly id: number; readonly bytes: number }[] = []
  readonly hellos: unknown[] = []
  /** Frames that are none of JSON, as of `acks: false`. */
  readonly binary: string[] = []
  acknowledges = true
  #held: Promise<void> | undefined
  #last: Promise<void> = Promise.resolve()

  hear(socket: WebSocket): void {
    socket.on('error', () => {})
    socket.on('message', (data: Buffer, isBinary) => {
      this.#last = this.#last.then(() => this.#keep(socket, data, isBinary))
    })
  }

  /** What comes is not looked at, until the function that it gives is called. */
  hold(): () => void {
    const held = deferred()
    this.#held = held.promise
    return () => {
      this.#held = undefined
      held.resolve()
    }
  }

  /** Of rows of the contract's table. */
  get changes(): Change[] {
    return this.records
      .filter(({ operation }) => operation !== 'schema')
      .map((record) => {
        const { key, after } = record as unknown as { key: { id: string }; after?: { version: number } }
        return { key: String(key.id), version: after?.version ?? null }
      })
  }

  async #keep(socket: WebSocket, data: Buffer, isBinary: boolean): Promise<void> {
    await this.#held
    if (isBinary) return void this.binary.push(data.toString())
    // Keys of 64 bits, which no number of JavaScript holds.
    const frame = JSON.parse(data.toString().replace(/"id":(\d{10,})/g, '"id":"$1"'))
    if (frame.type === 'hello') return void this.hellos.push(frame)
    this.frames.push({ id: frame.id, bytes: data.length })
    this.records.push(...frame.records)
    if (this.acknowledges) socket.send(JSON.stringify({ type: 'ack', id: frame.id }))
  }
}

/** A server to which the sink connects. */
export class Peer implements AsyncDisposable {
  readonly keeper = new Keeper()
  readonly requests: IncomingMessage[] = []
  readonly sockets: ReadonlySet<WebSocket>
  readonly url: string
  refusing = false
  readonly #server: WebSocketServer

  static async start(): Promise<Peer> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
    return new Peer(server)
  }

  private constructor(server: WebSocketServer) {
    this.#server = server
    this.sockets = server.clients
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/orders`
    server.on('connection', (socket, request) => {
      this.requests.push(request)
      if (this.refusing) socket.terminate()
      else this.keeper.hear(socket)
    })
  }

  /** Every connection is cut. */
  cut(): void {
    for (const socket of this.sockets) socket.terminate()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** Connects to the sink, again and again, until it is let go. */
export class PersistentReader implements AsyncDisposable {
  readonly keeper: Keeper
  readonly closes: { readonly code: number; readonly reason: string }[] = []
  socket: WebSocket | undefined
  #ended = false
  readonly #running: Promise<void>

  constructor(url: string, { keeper = new Keeper(), ...options }: ClientOptions & { readonly keeper?: Keeper } = {}) {
    this.keeper = keeper
    this.#running = this.#run(url, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true
    this.socket?.terminate()
    await this.#running
  }

  async #run(url: string, options: ClientOptions): Promise<void> {
    while (!this.#ended) {
      const socket = new WebSocket(url, options)
      this.socket = socket
      this.keeper.hear(socket)
      const [code, reason] = await once(socket, 'close').catch(() => [0, ''])
      if (code !== 0) this.closes.push({ code, reason: String(reason) })
      // It keeps no process alive.
      await new Promise((resolve) => setTimeout(resolve, 10).unref())
    }
  }
}

/** What opening a connection comes to: the status that was answered, or the open socket. */
export async function connect(url: string, options: ClientOptions = {}): Promise<WebSocket | number> {
  const socket = new WebSocket(url, options)
  const opened = deferred<WebSocket | number>()
  socket.on('open', () => opened.resolve(socket))
  socket.on('unexpected-response', (_, response) => opened.resolve(response.statusCode!))
  socket.on('error', () => opened.resolve(0))
  return opened.promise
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
