import { connect, createServer, type Server, type Socket } from 'node:net'

/** A way to a server that can be cut, or swallow everything like a network that is gone: `await using proxy = …`. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #swallows = false

  static async to(port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  private constructor(port: number) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const upstream = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      this.#pass(client, upstream)
      this.#pass(upstream, client)
    })
  }

  /** The same database by way of the proxy. */
  url(url: string): string {
    const { port } = this.#server.address() as { port: number }
    return Object.assign(new URL(url), { port: String(port) }).href
  }

  /** From now on nothing comes through, and no connection ends. */
  swallow(): void {
    this.#swallows = true
  }

  /** Ends every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from)
    from.on('data', (bytes) => {
      if (!this.#swallows) to.write(bytes)
    })
    from.on('end', () => {
      if (!this.#swallows) to.end()
    })
    from.on('error', () => {})
    from.on('close', () => {
      this.#sockets.delete(from)
      if (!this.#swallows) to.destroy()
    })
  }
}
