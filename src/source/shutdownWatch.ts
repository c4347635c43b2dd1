import { sleep } from '../core/abort.js'

/** So many requests for a reply in so short a time: a server that is only idle asks a few times a minute. */
const ASKED_TIMES = 3
const ASKED_WITHIN_MS = 500
const PROBE_AGAIN_MS = 1000
/** What a consumer may still acknowledge when the server waits for us to shut down. */
const GRACE_MS = 2000
const POLL_MS = 20

export interface ShutdownWatchOptions {
  /** Whether a new connection is refused because the server shuts down. */
  readonly probe: () => Promise<boolean>
  /** Everything that was handed out is acknowledged. */
  readonly settled: () => boolean
  /** Ends the stream. */
  readonly leave: () => void
}

/**
 * A server that shuts down waits for its walsenders until everything they sent is confirmed, however long that takes
 * (design section 3, rule 13). It asks for replies without pause meanwhile, and refuses connections: then what can be
 * acknowledged within a moment is, and the stream is closed.
 */
export class ShutdownWatch {
  readonly #options: ShutdownWatchOptions
  #asked: number[] = []
  #probing = false

  constructor(options: ShutdownWatchOptions) {
    this.#options = options
  }

  /** The server wants a reply, and not all it sent is confirmed. */
  asked(): void {
    const now = performance.now()
    this.#asked = [...this.#asked.slice(1 - ASKED_TIMES), now]
    if (this.#asked.length >= ASKED_TIMES && now - this.#asked[0]! <= ASKED_WITHIN_MS) this.suspect()
  }

  /**
   * Another session of ours was ended, as a fast shutdown ends all but the walsenders. While the consumer keeps the socket
   * paused it is the only sign: a walsender that cannot get rid of what it sends does not ask for anything.
   */
  suspect(): void {
    if (this.#probing) return
    this.#probing = true
    void this.#probe().finally(() => {
      this.#probing = false
    })
  }

  async #probe(): Promise<void> {
    const { probe, settled, leave } = this.#options
    if (!(await probe().catch(() => false))) return sleep(PROBE_AGAIN_MS)
    const deadline = performance.now() + GRACE_MS
    while (!settled() && performance.now() < deadline) await sleep(POLL_MS)
    leave()
  }
}
