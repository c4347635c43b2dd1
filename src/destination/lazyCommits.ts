/** As often as PostgreSQL by itself writes what was committed asynchronously (`wal_writer_delay`). */
const FLUSH_MS = 200

/**
 * Which commits do not wait for the target's disk, where `synchronousCommit` is `off`. A crash of the target may take such a
 * commit away, with the position in it, so its batch must not be acknowledged: the source's slot would move on from what
 * the target has lost. A commit that waits makes all before it durable, too, as the WAL is written in order.
 */
export class LazyCommits {
  readonly #enabled: boolean
  readonly #now: () => number
  #flushedAt = Number.NEGATIVE_INFINITY
  #pending = false

  constructor(enabled: boolean, now: () => number = () => performance.now()) {
    this.#enabled = enabled
    this.#now = now
  }

  /** Something was committed of which we do not know whether it is durable. */
  get pending(): boolean {
    return this.#pending
  }

  /** Whether the next commit does not wait. One without rows does: it is how an idle source frees its WAL. */
  isNext(records: number): boolean {
    return this.#enabled && records > 0 && this.#now() - this.#flushedAt < FLUSH_MS
  }

  committed(lazily: boolean): void {
    this.#pending = lazily
    if (!lazily) this.#flushedAt = this.#now()
  }

  /** A commit whose answer was lost is found to be there. True: it has waited. */
  found(): boolean {
    if (this.#enabled) this.#pending = true
    return !this.#enabled
  }
}
