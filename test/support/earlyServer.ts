import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'

const END_OF_HEAD = '\r\n\r\n'
const REST_MS = 100

/** Answers each request as soon as it has its head, and reads the body some time later. */
export class EarlyServer implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  static async start(onBody: (body: string) => void): Promise<EarlyServer> {
    const early = new EarlyServer(onBody)
    await new Promise<void>((resolve) => early.#server.listen(0, '127.0.0.1', resolve))
    return early
  }

  private constructor(onBody: (body: string) => void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket)
      let chunks: Buffer[] = []
      let bytes = 0
      let wanted: number | undefined
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (wanted !== undefined && bytes < wanted) return
        const all = Buffer.concat(chunks)
        const head = all.indexOf(END_OF_HEAD)
        if (head < 0) return
        const bodyAt = head + END_OF_HEAD.length
        if (wanted === undefined) {
          wanted = bodyAt + Number(/content-length: (\d+)/i.exec(all.toString('latin1', 0, head))![1])
          socket.write('HTTP/1.1 204 No Content\r\n\r\n')
          socket.pause()
          setTimeout(() => socket.resume(), REST_MS)
        }
        if (bytes < wanted) return
        onBody(all.toString('utf8', bodyAt, wanted))
        chunks = [all.subarray(wanted)]
        bytes -= wanted
        wanted = undefined
      })
    })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
