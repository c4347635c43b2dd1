import { AVRO_DATA_MALFORMED } from '../../../core/avroErrors.js'

/** Longest way into a value, so that data which nests without end is an error and not an overflow of the stack. */
const MAX_DEPTH = 500

const TWO_28 = 0x1000_0000
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Walks over one value's Avro bytes. Whatever is not as it should be is AVRO_DATA_MALFORMED, with the field's name. */
export class Cursor {
  #bytes: Buffer = Buffer.alloc(0)
  #p = 0
  /** Names from the outermost field inwards. */
  readonly #path: string[] = []

  open(bytes: Uint8Array): void {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#p = 0
    this.#path.length = 0
  }

  /** Nothing may be left: leftovers say that another schema wrote the bytes. */
  close(): void {
    const left = this.#bytes.length - this.#p
    if (left > 0) throw this.malformed(`${left} bytes are left over`)
  }

  get left(): number {
    return this.#bytes.length - this.#p
  }

  enter(name: string): void {
    this.#path.push(name)
    if (this.#path.length > MAX_DEPTH) throw this.malformed('it nests without end')
  }

  leave(): void {
    this.#path.pop()
  }

  byte(): number {
    if (this.#p >= this.#bytes.length) throw this.malformed('it ends in the middle of a value')
    return this.#bytes[this.#p++]!
  }

  /** `count` bytes, over the same memory. */
  bytes(count: number): Buffer {
    if (count > this.left) throw this.malformed(`it ends in the middle of a value of ${count} bytes`)
    this.#p += count
    return this.#bytes.subarray(this.#p - count, this.#p)
  }

  /** An int or long; beyond 2^52 a bigint. */
  long(): number | bigint {
    let value = 0
    for (let shift = 1; shift <= TWO_28 * 128; shift *= 128) {
      const byte = this.byte()
      value += (byte & 127) * shift
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
    return this.#bigLong(value)
  }

  /** The rest of a long whose first six bytes were `value`. */
  #bigLong(value: number): number | bigint {
    let big = BigInt(value)
    for (let shift = 42n; ; shift += 7n) {
      if (shift > 63n) throw this.malformed('an integer has more than ten bytes')
      const byte = this.byte()
      big |= BigInt(byte & 127) << shift
      if (byte < 128) break
    }
    if (big >= 1n << 64n) throw this.malformed('an integer has more than 64 bits')
    const long = (big & 1n) === 0n ? big >> 1n : -((big + 1n) >> 1n)
    const number = Number(long)
    return Math.abs(number) <= 2 ** 52 ? number : long
  }

  /** A length or index, which is never negative nor large. */
  count(what: string): number {
    const value = this.long()
    if (typeof value === 'bigint' || value < 0) throw this.malformed(`${what} is ${value}`)
    return value
  }

  float(): number {
    return this.bytes(4).readFloatLE()
  }

  double(): number {
    return this.bytes(8).readDoubleLE()
  }

  /** A string, or bytes that are to be text. */
  text(): string {
    return this.toText(this.bytes(this.count('a length')))
  }

  toText(bytes: Buffer): string {
    if (bytes.length < 64 && isAscii(bytes)) return bytes.toString('latin1')
    try {
      return utf8.decode(bytes)
    } catch {
      throw this.malformed('it is no UTF-8, and its column takes text')
    }
  }

  malformed(problem: string): Error {
    const field = this.#path.join('.')
    return AVRO_DATA_MALFORMED({ field, problem, offset: this.#p, length: this.#bytes.length })
  }
}

function isAscii(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 127) return false
  return true
}
