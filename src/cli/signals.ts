import { setMaxListeners } from 'node:events'

const NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const

/** Aborts at the first SIGINT or SIGTERM, for a clean end; a second one ends the process at once. */
export class Signals {
  readonly #abort = new AbortController()
  readonly #listener = (name: NodeJS.Signals) => {
    if (this.#abort.signal.aborted) process.exit(128 + NUMBERS[name as keyof typeof NUMBERS])
    this.#abort.abort(name)
  }

  constructor() {
    // Each of several pipelines has some.
    setMaxListeners(0, this.#abort.signal)
    for (const name of Object.keys(NUMBERS)) process.on(name as NodeJS.Signals, this.#listener)
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  release(): void {
    for (const name of Object.keys(NUMBERS)) process.off(name, this.#listener)
  }
}
