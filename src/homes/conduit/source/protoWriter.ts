import { type ByteWriter, viewOf } from '../../../core/byteWriter.js'
import { copyShort } from '../../../core/copyShort.js'

const FIRST_BYTES = 16 * 1024
/** Memory of messages that were sent is written again, but for so much of it: a rare large record holds none. */
const SPARE_BYTES = 2 * 1024 * 1024
const MOST_SPARE = 2
/** Up to here a loop costs less than a call. */
const SHORT_BYTES = 24
const MOST_INT = 2 ** 31 - 1
const INT_CHARACTERS = 11
/** A length that is filled in later takes as many bytes whatever it is: decoders take a varint with leading zeros. */
const LENGTH_BYTES = 4
/** What stands before a value of such a length. */
export const OPEN_BYTES = 1 + LENGTH_BYTES

/**
 * A protobuf message that is being written, by hand: what a record is made of stands in the bytes received, and goes from
 * there to here without a string or an object between. Tags are one byte: no field of ours has a number above 15.
 */
export class ProtoWriter {
  bytes: Buffer
  length = 0
  /** The same memory. */
  view: DataView
  readonly #spare: Buffer[] = []

  /** `memory`: to begin in. */
  constructor(memory: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)) {
    this.bytes = memory
    this.view = viewOf(memory)
  }

  /** Makes room for `count` more bytes. `bytes` may be another buffer afterwards. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, this.length + count))
    this.bytes.copy(grown, 0, 0, this.length)
    this.bytes = grown
    this.view = viewOf(grown)
  }

  /** Begins a message, text or bytes of a length that is not known yet; gives what `close` wants. */
  open(tag: number): number {
    this.reserve(OPEN_BYTES)
    this.bytes[this.length] = tag
    this.length += OPEN_BYTES
    return this.length
  }

  /** It ends here. */
  close(start: number): void {
    const length = this.length - start
    if (length >= 1 << (7 * LENGTH_BYTES)) throw new RangeError(`a value of ${length} bytes is too long for a record`)
    const low = (length & 0x7f) | ((length << 1) & 0x7f00) | ((length << 2) & 0x7f0000) | ((length << 3) & 0x7f000000)
    this.view.setInt32(start - LENGTH_BYTES, low | 0x808080, true)
  }

  varint(value: number): void {
    this.reserve(5)
    while (value > 0x7f) {
      this.bytes[this.length++] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    this.bytes[this.length++] = value
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  double(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.length, value, true)
    this.length += 8
  }

  /** Bytes as they are. */
  write(source: Uint8Array): void {
    const { length } = source
    this.reserve(length)
    if (length > SHORT_BYTES) {
      this.bytes.set(source, this.length)
      this.length += length
      return
    }
    const { bytes } = this
    let to = this.length
    for (let p = 0; p < length; p++) bytes[to++] = source[p]!
    this.length = to
  }

  /** In UTF-8. */
  writeText(text: string): void {
    this.reserve(3 * text.length)
    this.length += this.bytes.write(text, this.length)
  }

  /** A whole number in decimal digits. */
  writeDigits(value: number): void {
    if (value > MOST_INT || value < -MOST_INT) return this.writeText(String(value))
    this.reserve(INT_CHARACTERS)
    const { bytes } = this
    let from = this.length
    let rest = value
    if (value < 0) {
      bytes[from++] = 0x2d
      rest = -value
    }
    let to = from + 1
    for (let bound = 10; rest >= bound; bound *= 10) to++
    this.length = to
    while (to > from) {
      const tenth = (rest / 10) | 0
      bytes[--to] = 0x30 + rest - 10 * tenth
      rest = tenth
    }
  }

  /** A text or bytes of which all is there, with tag and length. */
  field(tag: number, source: Uint8Array): void {
    this.byte(tag)
    this.varint(source.length)
    this.write(source)
  }

  /** The same of a part of other bytes. */
  fieldOf(tag: number, source: Buffer, start: number, end: number): void {
    this.byte(tag)
    this.varint(end - start)
    this.writeOf(source, start, end)
  }

  /** The same: the message is one piece. */
  attach(source: Uint8Array): void {
    this.write(source)
  }

  /** All that another writer has. */
  writeFrom(from: ByteWriter): void {
    if (from.size !== from.length) {
      for (const part of from.take()) this.write(part)
      return
    }
    this.reserve(from.length)
    copyShort(from.bytes, from.view, 0, from.length, this.bytes, this.view, this.length)
    this.length += from.length
  }

  /** A part of other bytes, as it is. */
  writeOf(source: Buffer, start: number, end: number): void {
    this.reserve(end - start)
    const { bytes } = this
    let to = this.length
    if (end - start < 32) for (let p = start; p < end; p++) bytes[to++] = source[p]!
    else source.copy(bytes, to, start, end)
    this.length += end - start
  }

  /** Forgets what was written from there on. */
  rewind(length: number): void {
    this.length = length
  }

  /** What was written, which nobody writes over before `reuse`; the next message begins, in memory for about as much. */
  take(): Buffer {
    const message = this.bytes.subarray(0, this.length)
    this.bytes = this.#spare.pop() ?? Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, this.length + (this.length >> 3)))
    this.view = viewOf(this.bytes)
    this.length = 0
    return message
  }

  /** Nobody reads a message any more that was taken: memory that is made anew for each costs more than filling it. */
  reuse(message: Buffer): void {
    if (message.buffer.byteLength > SPARE_BYTES || this.#spare.length === MOST_SPARE) return
    this.#spare.push(Buffer.from(message.buffer))
  }

  /** What was written as a copy, for what is small. */
  copy(): Buffer {
    const copied = Buffer.from(this.bytes.subarray(0, this.length))
    this.length = 0
    return copied
  }
}

/** The length of a value that begins at `start`, and was closed. */
export function openLengthAt(bytes: Uint8Array, start: number): number {
  const low = (bytes[start - 4]! & 0x7f) | ((bytes[start - 3]! & 0x7f) << 7)
  return low | ((bytes[start - 2]! & 0x7f) << 14) | (bytes[start - 1]! << 21)
}
