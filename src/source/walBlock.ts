import type { WalMessage } from './intake.js'

/** Int32 length, Int32 WAL place, before each message's bytes. */
const HEAD = 8

/** Takes a message; false: not yet. */
export type TakeMessage = (bytes: Buffer, start: number, end: number, walPlace: number) => boolean

/** How many bytes of a block a message of `length` bytes needs. */
export function lengthInBlock(length: number): number {
  return HEAD + length
}

/** Writes `bytes[start..end)` at `at` of a block that has room for it; gives where the next one goes. */
export function writeInBlock(
  block: Buffer,
  at: number,
  bytes: Buffer,
  start: number,
  end: number,
  walPlace: number,
): number {
  const place = block.writeInt32BE(end - start, at)
  const body = block.writeInt32BE(walPlace, place)
  return body + bytes.copy(block, body, start, end)
}

/** Many messages behind one another in one buffer: to be taken one by one without an object for each. */
export class WalBlock implements Iterable<WalMessage> {
  readonly #bytes: Buffer
  readonly #length: number
  /** Where the first stands that was not taken. */
  #next = 0

  constructor(bytes: Buffer, length: number) {
    this.#bytes = bytes
    this.#length = length
  }

  /** False: the first of the rest could not be taken. */
  offer(take: TakeMessage): boolean {
    const bytes = this.#bytes
    while (this.#next < this.#length) {
      const head = this.#next
      const start = head + HEAD
      const end = start + bytes.readInt32BE(head)
      if (!take(bytes, start, end, bytes.readInt32BE(head + 4))) return false
      this.#next = end
    }
    return true
  }

  /** The rest. */
  *[Symbol.iterator](): Generator<WalMessage, void, void> {
    const bytes = this.#bytes
    for (let head = this.#next; head < this.#length; ) {
      const start = head + HEAD
      const end = start + bytes.readInt32BE(head)
      yield { bytes, start, end, walPlace: bytes.readInt32BE(head + 4) }
      head = end
    }
  }
}
