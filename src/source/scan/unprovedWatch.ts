import type { Queryable } from '../../postgres/queryable.js'
import { presentSnapshot } from '../../postgres/visibleTransactions.js'
import type { Unproved } from './unproved.js'

/** So many transactions are left to rows still to be read before it is asked which of them are visible by now. */
const MANY = 200

/** Keeps what stands in every position from growing without end, where no chunk is opened that would prove it. */
export class UnprovedWatch {
  readonly #control: Queryable
  readonly #unproved: Unproved
  readonly #isLater: (oid: number) => boolean
  #asking = false
  #askAt = MANY

  /** `isLater`: the table's next snapshot is taken later than now. */
  constructor(control: Queryable, unproved: Unproved, isLater: (oid: number) => boolean) {
    this.#control = control
    this.#unproved = unproved
    this.#isLater = isLater
  }

  /** There may be more of them. */
  look(): void {
    if (!this.#asking && this.#unproved.transactions.length >= this.#askAt) void this.#ask()
  }

  /** What is visible by now every later snapshot shows. */
  async #ask(): Promise<void> {
    this.#asking = true
    try {
      this.#unproved.prune(await presentSnapshot(this.#control), this.#isLater)
    } catch {
      // The stream itself tells when the server is gone.
    } finally {
      this.#asking = false
      this.#askAt = Math.max(MANY, 2 * this.#unproved.transactions.length)
    }
  }
}
