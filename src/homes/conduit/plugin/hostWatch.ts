const LOOK_MS = 500
/** The host itself waits a minute for the handshake. */
const FIRST_CALL_MS = 60_000

/**
 * Nothing tells a plugin that its host has died: it is seen by the parent, which is another process then. `gone` is called
 * once. A host that never calls has died before we looked.
 */
export class HostWatch {
  readonly #parent = process.ppid
  readonly #since = performance.now()
  readonly #looking: NodeJS.Timeout
  #called = false

  constructor(gone: (why: string) => void) {
    this.#looking = setInterval(() => {
      const why = this.#look()
      if (why === undefined) return
      this.end()
      gone(why)
    }, LOOK_MS)
    this.#looking.unref()
  }

  /** The host has called. */
  readonly called = (): void => {
    this.#called = true
  }

  end(): void {
    clearInterval(this.#looking)
  }

  #look(): string | undefined {
    if (process.ppid !== this.#parent) return 'the host has ended'
    if (!this.#called && performance.now() - this.#since > FIRST_CALL_MS) return 'no host has called'
    return undefined
  }
}
