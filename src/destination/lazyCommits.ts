/** As often as PostgreSQL by itself writes what was committed asynchronously (`wal_writer_delay`). */
const FLUSH_MS = 200
/**
 * Of a first copy. Each commit that waits keeps the next copy waiting, too: 1.2 s of 9 for 600,000 rows in 20 batches, on a busy
 * machine, and 0.2 where none did.
 */
const COPY_FLUSH_MS = 1000

/**
 * Which commits do not wait for the target's disk: all, where `synchronousCommit` is `off`; those of batches that are copied side
 * by side, where it does not say that they wait. A crash of the target may take such a commit away, with the position in it,
 * so its batch must not be acknowledged: the source's slot would move on from what the target has lost. A commit that waits
 * makes all before it durable, too, as the WAL is written in order.
 */
export class LazyCommits {
  readonly #changes: boolean
  readonly #copies: boolean
  readonly #now: () => number
  #flushedAt = Number.NEGATIVE_INFINITY
  #pending = false
  #wasLost = false

  constructor(
    of: { readonly changes: boolean; readonly copies: boolean },
    now: () => number = () => performance.now(),
  ) {
    this.#changes = of.changes
    this.#copies = of.copies
    this.#now = now
  }

  /** Something was committed of which we do not know whether it is durable. */
  get pending(): boolean {
    return this.#pending
  }

  /** Whether the next commit does not wait. One without rows does: it is how an idle source frees its WAL. */
  isNext(records: number): boolean {
    return this.#changes && records > 0 && this.#now() - this.#flushedAt < FLUSH_MS
  }

  /** The same of a batch that is copied beside others. */
  isNextCopy(): boolean {
    return this.#copies && this.#now() - this.#flushedAt < COPY_FLUSH_MS
  }

  committed(lazily: boolean): void {
    this.#pending = lazily
    this.#wasLost = false
    if (!lazily) this.#flushedAt = this.#now()
  }

  /** A commit that does not wait has failed, or its answer was lost. */
  lost(): void {
    this.#wasLost = true
  }

  /** It, or another one, is found to be there; true: it has waited. */
  found(): boolean {
    const mayBeLazy = this.#changes || this.#wasLost
    if (mayBeLazy) this.#pending = true
    this.#wasLost = false
    return !mayBeLazy
  }
}
