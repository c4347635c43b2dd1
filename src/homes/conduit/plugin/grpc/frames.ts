import { GrpcFailure, RESOURCE_EXHAUSTED, UNIMPLEMENTED } from './status.js'

// Length-Prefixed-Message:  Byte1 compressed (0: not)   UInt32 length, big-endian   Byte[length] message

const HEAD = 5
/** Memory of a longer message is not kept for others. */
const MOST_KEPT = 1024 * 1024

/** What stands before a message of that length. */
export function frameHead(length: number): Buffer {
  const head = Buffer.allocUnsafe(HEAD)
  head[0] = 0
  head.writeUInt32BE(length, 1)
  return head
}

/**
 * Takes a stream of bytes, however it was cut, apart into messages. Those that lie whole in a chunk are given as they lie
 * there: a host that acknowledges record by record sends a million of them.
 */
export class FrameReader {
  readonly #maxBytes: number
  readonly #each: (bytes: Buffer, start: number, end: number) => void
  /** Of a frame whose message is not there yet: its head, and what there is of both. */
  readonly #head = Buffer.alloc(HEAD)
  #headBytes = 0
  #message: Buffer | undefined
  #messageBytes = 0
  /** For messages that lie in several chunks, in turn. */
  readonly #memory: Buffer[] = []

  /**
   * `each`: `bytes` may be kept, nobody writes over it; `readsAtOnce`: but only until the next one has come, its memory is for the one
   * after that.
   */
  constructor(maxBytes: number, each: (bytes: Buffer, start: number, end: number) => void, readsAtOnce = false) {
    this.#maxBytes = maxBytes
    this.#each = each
    if (readsAtOnce) this.#memory.push(Buffer.alloc(0), Buffer.alloc(0))
  }

  /** Throws `GrpcFailure` for what we do not take. */
  push(chunk: Buffer): void {
    let p = 0
    while (p < chunk.length) {
      if (this.#headBytes === 0 && chunk.length - p >= HEAD) {
        const start = p + HEAD
        const end = start + this.#lengthOf(chunk, p)
        if (end <= chunk.length) {
          this.#each(chunk, start, end)
          p = end
          continue
        }
      }
      p = this.#message === undefined ? this.#takeHead(chunk, p) : this.#takeMessage(this.#message, chunk, p)
    }
  }

  #takeHead(chunk: Buffer, p: number): number {
    const copied = chunk.copy(this.#head, this.#headBytes, p)
    this.#headBytes += copied
    if (this.#headBytes === HEAD) {
      this.#message = this.#room(this.#lengthOf(this.#head, 0))
      this.#messageBytes = 0
      if (this.#message.length === 0) this.#emit(this.#message)
    }
    return p + copied
  }

  #takeMessage(message: Buffer, chunk: Buffer, p: number): number {
    const copied = chunk.copy(message, this.#messageBytes, p)
    this.#messageBytes += copied
    if (this.#messageBytes === message.length) this.#emit(message)
    return p + copied
  }

  #room(length: number): Buffer {
    const before = this.#memory.shift()
    if (before === undefined) return Buffer.allocUnsafe(length)
    const memory = before.length >= length ? before : Buffer.allocUnsafeSlow(length + (length >> 2))
    this.#memory.push(memory.length > MOST_KEPT ? before : memory)
    return memory.subarray(0, length)
  }

  #emit(message: Buffer): void {
    this.#headBytes = 0
    this.#message = undefined
    this.#each(message, 0, message.length)
  }

  #lengthOf(bytes: Buffer, p: number): number {
    if (bytes[p] !== 0) throw new GrpcFailure(UNIMPLEMENTED, 'compressed messages are not taken')
    const length = bytes.readUInt32BE(p + 1)
    if (length > this.#maxBytes) {
      const details = `a message of ${length} bytes is larger than the ${this.#maxBytes} that are allowed: raise connectors.max-receive-record-size of Conduit, or have the source send smaller batches (sdk.batch.size)`
      throw new GrpcFailure(RESOURCE_EXHAUSTED, details)
    }
    return length
  }
}
