import { connect, createServer, type Server, type Socket } from 'node:net'

/**
 * A way to a server that can be cut, or swallow everything like a network that is gone: `await using proxy = …`.
 */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #ways = new Set<Way>()
  #swallows = false
  #tail: Tail | undefined

  static async to(port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  private constructor(port: number) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const way = new Way(client, connect({ port, host: '127.0.0.1', allowHalfOpen: true }), () => this.#tail)
      if (this.#swallows) way.swallow()
      this.#ways.add(way)
      void way.gone.then(() => this.#ways.delete(way))
    })
  }

  /** The same database by way of the proxy. */
  url(url: string): string {
    const { port } = this.#server.address() as { port: number }
    return Object.assign(new URL(url), { port: String(port) }).href
  }

  /** How many connections there are, the swallowed ones too. */
  get connections(): number {
    return this.#ways.size
  }

  /** From now on nothing comes through, and no connection ends. */
  swallow(): void {
    this.#swallows = true
    for (const way of this.#ways) way.swallow()
  }

  /** New connections come through again. Those that were swallowed stay as they are: neither side hears of the other. */
  heal(): void {
    this.#swallows = false
  }

  /** The last bytes of all that the server sends at once come later, in a packet of their own. */
  holdBack(bytes: number, ms: number): void {
    this.#tail = { bytes, ms }
  }

  /** Ends every connection. */
  cut(): void {
    for (const way of this.#ways) way.cut()
  }

  /** Ends those that were swallowed, as TCP does when it gives up. */
  cutSwallowed(): void {
    for (const way of this.#ways) if (way.swallowed) way.cut()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

interface Tail {
  readonly bytes: number
  readonly ms: number
}

/** One connection through the proxy. */
class Way {
  swallowed = false
  readonly gone: Promise<unknown>
  readonly #ends: readonly [Socket, Socket]

  constructor(client: Socket, upstream: Socket, tail: () => Tail | undefined) {
    this.#ends = [client, upstream]
    client.setNoDelay(true)
    this.gone = Promise.all([this.#pass(client, upstream, () => undefined), this.#pass(upstream, client, tail)])
  }

  swallow(): void {
    this.swallowed = true
    // What waits for room on the other side is lost as well.
    for (const end of this.#ends) end.resume()
  }

  cut(): void {
    for (const end of this.#ends) end.destroy()
  }

  #pass(from: Socket, to: Socket, tail: () => Tail | undefined): Promise<void> {
    from.on('data', (bytes: Buffer) => {
      const late = tail()
      if (late !== undefined && !this.swallowed) {
        from.pause()
        to.write(bytes.subarray(0, -late.bytes))
        setTimeout(() => {
          to.write(bytes.subarray(-late.bytes))
          from.resume()
        }, late.ms)
        return
      }
      if (this.swallowed || to.write(bytes)) return
      from.pause()
      to.once('drain', () => from.resume())
    })
    from.on('end', () => {
      if (!this.swallowed) to.end()
    })
    from.on('error', () => {})
    return new Promise((resolve) => {
      from.on('close', () => {
        if (!this.swallowed) to.destroy()
        resolve()
      })
    })
  }
}
