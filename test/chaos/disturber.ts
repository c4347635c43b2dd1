import { setTimeout as pause } from 'node:timers/promises'
import type { TcpProxy } from '../support/tcpProxy.js'
import { type Disturbance, describeDisturbance } from './moments.js'

/** What is not done to tailrace itself. */
export type Outage = Exclude<Disturbance, { kind: 'sleep' }>

/** Of an embedded server. */
export interface Restartable {
  restart(mode: 'fast' | 'immediate'): Promise<void>
}

/** Does things to the network and the server, one after another, while others go on. */
export class Disturber {
  readonly #proxy: TcpProxy
  readonly #server: Restartable
  readonly #log: (line: string) => void
  #under = 0
  #last: Promise<void> = Promise.resolve()
  #failure: unknown

  constructor(proxy: TcpProxy, server: Restartable, log: (line: string) => void) {
    this.#proxy = proxy
    this.#server = server
    this.#log = log
  }

  /** Something is not over yet: the server may be away. */
  get busy(): boolean {
    return this.#under > 0
  }

  /** Begins it, once what was begun before is over. */
  async begin(what: Outage): Promise<void> {
    await this.over()
    this.#log(`  ${describeDisturbance(what)}; ${this.#proxy.connections} connections`)
    this.#under++
    this.#last = this.#run(what)
      .catch((error) => {
        this.#failure ??= error
      })
      .finally(() => this.#under--)
  }

  /** Everything is back; rejects when the server did not come back. */
  async over(): Promise<void> {
    await this.#last
    if (this.#failure !== undefined) throw this.#failure
  }

  async #run(what: Outage): Promise<void> {
    if (what.kind === 'reset') this.#proxy.cut()
    else if (what.kind === 'restart') await this.#server.restart(what.mode)
    else {
      this.#proxy.swallow()
      await pause(what.healMs)
      this.#proxy.heal()
      await pause(Math.max(0, what.silentMs - what.healMs))
      this.#proxy.cutSwallowed()
    }
  }
}
