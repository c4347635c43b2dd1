import { AVRO_DATA_MALFORMED } from '../../../core/avroErrors.js'

/** Longest way into a value, so that data which nests without end is an error and not an overflow of the stack. */
const MAX_DEPTH = 500

/** What the eighth byte of a long counts. */
const SEVEN_BYTES = 2 ** 49
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Walks over one value's Avro bytes. Whatever is not as it should be is AVRO_DATA_MALFORMED, with the field's name. */
export class Cursor {
  #bytes: Buffer = Buffer.alloc(0)
  #start = 0
  #end = 0
  #p = 0
  /** The field of the row that is read. */
  field = ''
  /** Names of fields inside that, inwards. */
  readonly #path: string[] = []

  /** At the value `bytes[start..end)`. */
  open(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#bytes = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#start = this.#p = start
    this.#end = end
    this.field = ''
    this.#path.length = 0
  }

  /** Nothing may be left: leftovers say that another schema wrote the bytes. */
  close(): void {
    const { left } = this
    if (left > 0) throw this.malformed(`${left} bytes are left over`)
  }

  get left(): number {
    return this.#end - this.#p
  }

  enter(name: string): void {
    this.#path.push(name)
    if (this.#path.length > MAX_DEPTH) throw this.malformed('it nests without end')
  }

  leave(): void {
    this.#path.pop()
  }

  byte(): number {
    if (this.#p >= this.#end) throw this.malformed('it ends in the middle of a value')
    return this.#bytes[this.#p++]!
  }

  /** `count` bytes, over the same memory. */
  bytes(count: number): Buffer {
    const start = this.skip(count)
    return this.#bytes.subarray(start, start + count)
  }

  /** Steps over `count` bytes, and gives where in {@link source} they begin. */
  skip(count: number): number {
    if (count > this.left) throw this.malformed(`it ends in the middle of a value of ${count} bytes`)
    this.#p += count
    return this.#p - count
  }

  /** What is walked over. */
  get source(): Buffer {
    return this.#bytes
  }

  /** An int or long; beyond 2^52 a bigint. */
  long(): number | bigint {
    const first = this.byte()
    if (first < 128) return (first >> 1) ^ -(first & 1)
    let value = first & 127
    let unit = 128
    for (let byte = 128; byte >= 128; unit *= 128) {
      byte = this.byte()
      // the eighth byte: up to 2^53 the sum is exact
      if (unit === SEVEN_BYTES && byte > 15) return this.#bigLong(value, byte)
      value += (byte & 127) * unit
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** The rest of a long whose first seven bytes were `low`, and whose eighth is `byte`. */
  #bigLong(low: number, byte: number): number | bigint {
    let big = BigInt(low) | (BigInt(byte & 127) << 49n)
    for (let shift = 56n; byte >= 128; shift += 7n) {
      if (shift > 63n) throw this.malformed('an integer has more than ten bytes')
      byte = this.byte()
      big |= BigInt(byte & 127) << shift
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
    return this.#bytes.readFloatLE(this.skip(4))
  }

  double(): number {
    return this.#bytes.readDoubleLE(this.skip(8))
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
    const field = [this.field, ...this.#path].filter((name) => name !== '').join('.')
    return AVRO_DATA_MALFORMED({ field, problem, offset: this.#p - this.#start, length: this.#end - this.#start })
  }
}

function isAscii(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 127) return false
  return true
}
