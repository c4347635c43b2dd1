import { type TakeMessage, WalBlock } from './walBlock.js'

/** One message of the output plugin, in the bytes received; `walPlace` as `ReplicationHandler` gives it. */
export interface WalMessage {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  readonly walPlace: number
}

/** Messages that stand in the stream's order and come from elsewhere, in portions: a transaction that was spooled. */
export type WalMessages = AsyncIterator<readonly WalMessage[] | WalBlock>

export interface IntakeOptions {
  /** Takes a message; false: not yet, it is to be offered again. */
  readonly take: TakeMessage
  /** A portion was taken, or nothing more can be taken now. False: there is no room for another before `drain`. */
  readonly taken: () => boolean
  /** Everything that waited is taken. */
  readonly onEmpty: () => void
  readonly onFailure: (error: unknown) => void
}

/**
 * Between the stream and whoever takes its messages: keeps those that cannot be taken yet, in order. As a rule there are
 * none, and a message costs a call. While there are, the socket is to be paused: a chunk's messages at most wait here.
 */
export class Intake {
  readonly #options: IntakeOptions
  #waiting: Waiting[] = []
  #next = 0
  /** Portions of what comes from elsewhere are being fetched. */
  #fetching = false
  #draining = false
  #refused = false
  #ended = false

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  get empty(): boolean {
    return this.#waiting.length === 0
  }

  /** The first that waits could not be taken yet: it is no matter of room or of portions still to come. */
  get refused(): boolean {
    return this.#refused
  }

  /** Those that wait, up to where others from elsewhere stand. */
  *waiting(): Generator<WalMessage, void, void> {
    for (let index = this.#next; index < this.#waiting.length; index++) {
      const item = this.#waiting[index]!
      if (isElsewhere(item)) return
      if (item instanceof WalBlock) yield* item
      else yield item
    }
  }

  wal(bytes: Buffer, start: number, end: number, walPlace: number): void {
    if (this.#waiting.length === 0) {
      if (this.#options.take(bytes, start, end, walPlace)) return
      this.#refused = true
    }
    this.#waiting.push({ bytes, start, end, walPlace })
  }

  /** What comes from elsewhere stands here. */
  insert(messages: WalMessages): void {
    this.#waiting.push(messages)
    this.drain()
  }

  /** What waits may be takeable now. */
  drain(): void {
    if (this.#draining || this.#fetching || this.#ended || this.empty) return
    this.#draining = true
    try {
      this.#drain()
    } catch (error) {
      this.#options.onFailure(error)
    } finally {
      this.#draining = false
    }
  }

  /** The connection is gone: what waits comes again. */
  clear(): void {
    for (const item of this.#waiting.slice(this.#next)) if (isElsewhere(item)) void item.return?.()
    this.#waiting = []
    this.#next = 0
    this.#refused = false
  }

  /** Nothing is taken any more. */
  end(): void {
    this.#ended = true
    this.clear()
  }

  #drain(): void {
    for (let item = this.#waiting[this.#next]; item !== undefined; item = this.#waiting[this.#next]) {
      if (isElsewhere(item)) {
        if (!this.#options.taken()) return
        void this.#fetch(item)
        return
      }
      this.#refused = !this.#offer(item)
      if (this.#refused) {
        this.#options.taken()
        return
      }
      this.#next++
    }
    this.#waiting = []
    this.#next = 0
    this.#options.taken()
    this.#options.onEmpty()
  }

  #offer(item: WalMessage | WalBlock): boolean {
    const { take } = this.#options
    return item instanceof WalBlock ? item.offer(take) : take(item.bytes, item.start, item.end, item.walPlace)
  }

  async #fetch(messages: WalMessages): Promise<void> {
    this.#fetching = true
    // Else it was cleared meanwhile, and something else may wait by now.
    const stillWaits = () => this.#waiting[this.#next] === messages
    try {
      const portion = await messages.next()
      if (stillWaits() && portion.done === true) this.#next++
      else if (stillWaits()) {
        const came = portion.value!
        this.#waiting.splice(0, this.#next, ...(came instanceof WalBlock ? [came] : came))
        this.#next = 0
      }
    } catch (error) {
      if (stillWaits()) return this.#options.onFailure(error)
    } finally {
      this.#fetching = false
    }
    this.drain()
  }
}

type Waiting = WalMessage | WalBlock | WalMessages

function isElsewhere(item: Waiting): item is WalMessages {
  return 'next' in item
}
