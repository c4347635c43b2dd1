import { FRAME_INVALID } from '../core/errors.js'

// "Message Formats" in the PostgreSQL docs: Byte1 tag, Int32 length (itself included, the tag not), then the payload.
const HEADER = 5

export const COPY_DATA = 0x64 // 'd'
export const COPY_DONE = 0x63 // 'c'
export const COPY_OUT_RESPONSE = 0x48 // 'H'
export const COPY_IN_RESPONSE = 0x47 // 'G'
export const COPY_BOTH_RESPONSE = 0x57 // 'W'
export const COMMAND_COMPLETE = 0x43 // 'C'
export const READY_FOR_QUERY = 0x5a // 'Z'
export const ERROR_RESPONSE = 0x45 // 'E'
export const NOTICE_RESPONSE = 0x4e // 'N'
export const PARAMETER_STATUS = 0x53 // 'S'
export const NOTIFICATION_RESPONSE = 0x41 // 'A'

/** A message may have 1 GB - 1 of payload (MaxAllocSize); a longer one is a torn stream. */
const MAX_LENGTH = 0x4000_0000

/** Gets the payload `bytes[start..end)` of each message, with its head before it. The bytes are nobody else's: they may be kept and changed. */
export type OnFrame = (tag: number, bytes: Buffer, start: number, end: number) => void

/** Takes as many whole messages as it likes that lie in `chunk` from `p` on, and gives where it stopped; the next one is a frame. */
export type TakeFrames = (chunk: Buffer, p: number) => number

/**
 * Splits what a socket gives into messages, without copying: a payload is handed on as a range of the chunk it came
 * in. Only a message cut in two by a chunk's end is joined, in a buffer of its own length, allocated once.
 */
export class FrameReader {
  readonly #onFrame: OnFrame
  readonly #takeFrames: TakeFrames | undefined
  /** Header bytes of a message whose length is not known yet. */
  readonly #header = Buffer.alloc(HEADER)
  #headerLength = 0
  /** A message that is not whole yet. */
  #partial: Buffer | undefined
  #partialLength = 0
  #tag = 0

  constructor(onFrame: OnFrame, takeFrames?: TakeFrames) {
    this.#onFrame = onFrame
    this.#takeFrames = takeFrames
  }

  /** No message is half read. */
  get atBorder(): boolean {
    return this.#headerLength === 0 && this.#partial === undefined
  }

  push(chunk: Buffer): void {
    let p = 0
    const end = chunk.length
    if (this.#partial !== undefined || this.#headerLength > 0) {
      p = this.#finishPartial(chunk)
      if (p === end) return
    }
    for (;;) {
      if (this.#takeFrames !== undefined) p = this.#takeFrames(chunk, p)
      if (end - p < HEADER) break
      const length = (chunk[p + 1]! << 24) | (chunk[p + 2]! << 16) | (chunk[p + 3]! << 8) | chunk[p + 4]!
      if (length < 4 || length > MAX_LENGTH) throw FRAME_INVALID({ tag: chunk[p]!, length })
      const next = p + 1 + length
      if (next > end) return this.#begin(chunk[p]!, length - 4, chunk, p + HEADER)
      this.#onFrame(chunk[p]!, chunk, p + HEADER, next)
      p = next
    }
    this.#headerLength = chunk.copy(this.#header, 0, p, end)
  }

  #begin(tag: number, length: number, chunk: Buffer, p: number): void {
    const partial = length < 4096 ? Buffer.allocUnsafe(HEADER + length) : Buffer.allocUnsafeSlow(HEADER + length)
    partial[0] = this.#tag = tag
    partial.writeInt32BE(length + 4, 1)
    this.#partial = partial
    this.#partialLength = HEADER + chunk.copy(partial, HEADER, p)
  }

  /** Goes on with the message that the last chunk cut; gives the offset after it. */
  #finishPartial(chunk: Buffer): number {
    let p = 0
    if (this.#partial === undefined) {
      p = chunk.copy(this.#header, this.#headerLength, 0, HEADER - this.#headerLength)
      this.#headerLength += p
      if (this.#headerLength < HEADER) return p
      const length = this.#header.readInt32BE(1)
      if (length < 4 || length > MAX_LENGTH) throw FRAME_INVALID({ tag: this.#header[0]!, length })
      this.#headerLength = 0
      this.#begin(this.#header[0]!, length - 4, chunk, chunk.length)
    }
    const partial = this.#partial!
    const copied = chunk.copy(partial, this.#partialLength, p)
    this.#partialLength += copied
    if (this.#partialLength === partial.length) {
      this.#partial = undefined
      this.#onFrame(this.#tag, partial, HEADER, partial.length)
    }
    return p + copied
  }
}

/** Follows frame borders while somebody else reads the socket, and keeps the incomplete message at the end. */
export class FrameTail {
  #tail: Buffer = Buffer.alloc(0)
  /** Until an impossible length: whoever reads the socket fails there, and what comes after it has no border. */
  #following = true

  push(chunk: Buffer): void {
    if (!this.#following) return
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk])
    let p = 0
    while (bytes.length - p >= HEADER) {
      const length = bytes.readInt32BE(p + 1)
      this.#following = length >= 4 && length <= MAX_LENGTH
      if (!this.#following || p + 1 + length > bytes.length) break
      p += 1 + length
    }
    this.#tail = bytes.subarray(p)
  }

  get bytes(): Buffer {
    return this.#tail
  }
}

/** A message to the server: tag, length, payload parts. */
export function frame(tag: string, ...parts: readonly Uint8Array[]): Buffer {
  const payload = Buffer.concat(parts)
  const header = Buffer.alloc(HEADER)
  header.write(tag, 0, 'latin1')
  header.writeInt32BE(payload.length + 4, 1)
  return Buffer.concat([header, payload])
}

/** A Query message ("Simple Query"). */
export function queryFrame(sql: string): Buffer {
  return frame('Q', Buffer.from(`${sql}\0`))
}
