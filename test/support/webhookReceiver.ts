import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'

export interface ReceivedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Uncompressed. */
  readonly body: string
}

export interface ReceiverAnswer {
  /** Default: 204. `reset`: the connection is cut in place of an answer; `none`: there is none. */
  readonly status?: number | 'reset' | 'none'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly delayMs?: number
}

export type Answering = (request: ReceivedRequest) => ReceiverAnswer | undefined

/** A server on loopback that takes requests whole and answers as a test says. */
export class WebhookReceiver implements AsyncDisposable {
  readonly requests: ReceivedRequest[] = []
  /** By default everything is taken. */
  answer: Answering
  /** Connections that were made. */
  connections = 0
  readonly #server: Server

  static async start(answer: Answering = () => undefined): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(answer)
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve))
    return receiver
  }

  private constructor(answer: Answering) {
    this.answer = answer
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('error', () => {})
      request.on('data', (chunk) => chunks.push(chunk))
      request.on('end', async () => {
        const bytes = Buffer.concat(chunks)
        const { headers, method = '', url: path = '' } = request
        const body = (headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString()
        const received = { method, path, headers, body }
        this.requests.push(received)
        const { status = 204, headers: more = {}, body: text = '', delayMs } = this.answer(received) ?? {}
        if (delayMs !== undefined) await pause(delayMs)
        if (status === 'none') return
        if (status === 'reset') return request.socket.destroy()
        response.writeHead(status, more).end(text)
      })
    })
    this.#server.on('connection', () => this.connections++)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
