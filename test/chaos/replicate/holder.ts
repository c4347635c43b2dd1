import { setTimeout as pause } from 'node:timers/promises'
import { openSession } from '../../support/openSession.js'
import type { Random } from '../random.js'

/**
 * A session that holds the checkpoint's row at the target from time to time: whoever is killed then has lanes that are ahead of
 * it, which go on meanwhile.
 */
export class Holder {
  readonly #stopped = new AbortController()
  readonly #held: Promise<void>

  constructor(url: string, random: Random) {
    this.#held = this.#hold(url, random)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#held
  }

  async #hold(url: string, random: Random): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        await using session = await openSession(url)
        while (!this.#stopped.signal.aborted) {
          await session.query('BEGIN; SELECT FROM tailrace.checkpoint FOR UPDATE')
          await pause(random.integer(50, 300))
          await session.query('ROLLBACK')
          await pause(random.integer(50, 400))
        }
      } catch {
        // The server is away, or nothing was written yet.
        await pause(100)
      }
    }
  }
}
