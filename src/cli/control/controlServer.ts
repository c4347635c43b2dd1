import { createServer, type Server } from 'node:net'
import { type Log, log } from '../log.js'
import { ControlConnection } from './controlConnection.js'
import { ControlledRun, type ControlledSource } from './controlledRun.js'
import { listen } from './listen.js'
import { type RunName, type SocketPlace, socketPlaces } from './socketPath.js'

const MAX_CLIENTS = 16

/** The local socket through which a run is asked how it is, and to change its tables. */
export class ControlServer implements AsyncDisposable {
  readonly #run: ControlledRun
  readonly #server: Server
  readonly #clients = new Set<ControlConnection>()
  #lock: AsyncDisposable | undefined

  /**
   * For the run of this name; signals act upon `run`. A socket that was asked for by its path must be had (`CONTROL_IN_USE`, `CONTROL_FAILED`);
   * without the usual one a run goes on, since capturing does not need it.
   */
  static async open(
    name: RunName,
    run: ControlledRun = new ControlledRun(),
    say: Log = log,
  ): Promise<ControlServer | undefined> {
    const [place] = socketPlaces(name)
    if (place === undefined) return undefined
    try {
      return await ControlServer.at(place, run)
    } catch (error) {
      if (place.explicit) throw error
      const { code, message, hint } = error as { code?: string; message: string; hint?: string }
      say('warn', `warning: ${code}: ${message}; this run takes no signals. ${hint}`, { code, hint })
      return undefined
    }
  }

  static async at(place: SocketPlace, run: ControlledRun): Promise<ControlServer> {
    const server = new ControlServer(run)
    server.#lock = await listen(server.#server, place)
    return server
  }

  private constructor(run: ControlledRun) {
    this.#run = run
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      const client = new ControlConnection(socket, this.#run)
      this.#clients.add(client)
      socket.once('close', () => this.#clients.delete(client))
    })
    this.#server.maxConnections = MAX_CLIENTS
    // A failed accept (no file descriptor left) is no reason to end a run.
    this.#server.on('error', () => {})
    // What is asked never keeps a run from ending.
    this.#server.unref()
  }

  /** From now on signals are for this source; resolves when it has ended. */
  attach(source: ControlledSource): Promise<void> {
    return this.#run.attach(source)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    // The source has ended, and whoever waited for it is being told so.
    await new Promise((resolve) => setImmediate(resolve))
    for (const client of this.#clients) client.end()
    await closed
    await this.#lock?.[Symbol.asyncDispose]()
  }
}
