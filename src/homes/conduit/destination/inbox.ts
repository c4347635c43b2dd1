import type { IncomingRecord } from './incoming.js'

/** What is written in one transaction at most, but for one message, which is never parted. */
const MOST_RECORDS = 10_000
const MOST_BYTES = 8 * 1024 * 1024
/** While a transaction is written, what has come since is read ahead when it is so much. */
const WORTH_RECORDS = 1000
const WORTH_BYTES = 256 * 1024
/** More is not taken from the host before some is written. */
const FULL_BYTES = 16 * 1024 * 1024
/** A batch that is not full, of which no delay was said, waits so long. */
const USUAL_DELAY_MS = 1000

export interface InboxWishes {
  /** Records of a batch at most; 0: no wish. */
  readonly size: number
  /** How long a record waits for others at most. */
  readonly delayMs: number
  /** Records of a batch at most, whatever else. */
  readonly most: number
}

interface Message {
  readonly records: readonly IncomingRecord[]
  readonly bytes: number
  /** How many of its records were taken. */
  taken: number
  readonly at: number
}

/** Records that have come and are not being written yet, given out in batches. */
export class Inbox {
  readonly #size: number
  readonly #delayMs: number
  readonly #most: number
  readonly #messages: Message[] = []
  #count = 0
  #bytes = 0
  #ended = false
  /** Nothing waits for others any more. */
  #flushing = false
  #wake: (() => void) | undefined

  constructor({ size, delayMs, most }: InboxWishes) {
    this.#size = size
    this.#most = most
    this.#delayMs = delayMs === 0 && size > 0 ? USUAL_DELAY_MS : delayMs
  }

  get isFull(): boolean {
    return this.#bytes >= FULL_BYTES
  }

  add(records: readonly IncomingRecord[], bytes: number): void {
    if (records.length === 0) return
    this.#messages.push({ records, bytes, taken: 0, at: performance.now() })
    this.#count += records.length
    this.#bytes += bytes
    this.#wake?.()
  }

  /** From now on a batch is what there is. */
  flush(): void {
    this.#flushing = true
    this.#wake?.()
  }

  /** Nothing is given out any more. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /**
   * The next batch; undefined when all has ended. While something is being written, till `idle`, only what is worth reading
   * ahead; rejects if that does.
   */
  async next(idle: Promise<unknown>): Promise<IncomingRecord[] | undefined> {
    let busy = true
    let failed = false
    idle.then(
      () => {
        busy = false
        this.#wake?.()
      },
      () => {
        failed = true
        this.#wake?.()
      },
    )
    while (!this.#ended) {
      if (failed) await idle
      const waitMs = this.#waitMs(busy)
      if (waitMs === 0) return this.#take()
      await this.#woken(waitMs)
    }
    return undefined
  }

  /** Until a batch is to be written; undefined: until something happens. */
  #waitMs(busy: boolean): number | undefined {
    const [first] = this.#messages
    if (first === undefined) return undefined
    const isFull = this.#size > 0 ? this.#count >= this.#size : this.#isWorthIt
    if (isFull) return 0
    if (busy) return undefined
    if (this.#flushing || this.#delayMs === 0) return 0
    return Math.max(0, first.at + this.#delayMs - performance.now())
  }

  get #isWorthIt(): boolean {
    return this.#count >= WORTH_RECORDS || this.#bytes >= WORTH_BYTES
  }

  #woken(waitMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = waitMs === undefined ? undefined : setTimeout(() => this.#wake?.(), Math.ceil(waitMs))
      this.#wake = () => {
        clearTimeout(timer)
        this.#wake = undefined
        resolve()
      }
    })
  }

  #take(): IncomingRecord[] {
    const limit = Math.min(this.#most, this.#size > 0 ? this.#size : Number.POSITIVE_INFINITY)
    const batch: IncomingRecord[] = []
    let bytes = 0
    for (let first = this.#messages[0]; first !== undefined; first = this.#messages[0]) {
      const left = first.records.length - first.taken
      const isMore = batch.length + left > MOST_RECORDS || bytes + first.bytes > MOST_BYTES
      if (batch.length > 0 && this.#size === 0 && isMore) break
      const count = Math.min(left, limit - batch.length)
      if (count === 0) break
      for (let i = 0; i < count; i++) batch.push(first.records[first.taken + i]!)
      first.taken += count
      this.#count -= count
      if (first.taken < first.records.length) break
      this.#messages.shift()
      this.#bytes -= first.bytes
      bytes += first.bytes
    }
    return batch
  }
}
