import type { ByteRoom } from '../../core/byteWriter.js'
import { digits } from '../text/digits.js'
import { putVarint, VARINT_ROOM } from './varint.js'

const MINUS = 0x2d
const ZERO = 0x30
/** So many digits, twice, always are a safe integer. */
const SAFE_DIGITS = 15
const BILLION = 1_000_000_000
const TWO_22 = 0x40_0000

/** So many characters are a number whose double is of 31 bits. */
export const SHORT_DIGITS = 9

/** A number of so many characters at most; the offset behind it. Room must be there. */
export function putShortInteger(out: Uint8Array, at: number, src: Uint8Array, p: number, end: number): number {
  const sign = src[p] === MINUS ? 1 : 0
  let value = 0
  for (p += sign; p < end; p++) value = (value * 10 + src[p]! - ZERO) | 0
  let zigzag = 2 * value - sign
  for (; zigzag > 127; zigzag >>= 7) out[at++] = (zigzag & 127) | 128
  out[at++] = zigzag
  return at
}

/** int2, int4, int8: Avro's int and long have the same bytes. */
export function writeInteger(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  writer.reserve(VARINT_ROOM)
  const negative = src[p] === MINUS
  if (negative) p++
  if (end - p > SAFE_DIGITS) {
    writer.length = putLong(writer.bytes, writer.length, src, p, end, negative ? 1 : 0)
    return
  }
  const value = digits(src, p, end)
  writer.length = putVarint(writer.bytes, writer.length, negative ? 2 * value - 1 : 2 * value)
}

/**
 * A number of 16 to 19 digits, without its sign: twice that, less `sign` (1: it is negative), is up to 2^64. Its last 23
 * bits and the others are kept apart, each a safe integer.
 */
function putLong(out: Uint8Array, at: number, src: Uint8Array, p: number, end: number, sign: number): number {
  const top = digits(src, p, end - 9) // below 2^34
  const topHigh = Math.floor(top / TWO_22)
  const rest = (top - topHigh * TWO_22) * BILLION + digits(src, end - 9, end) // below 2^53
  const carry = Math.floor(rest / TWO_22)
  const high = topHigh * BILLION + carry
  const low = 2 * (rest - carry * TWO_22) - sign // -1, too: its bits, and the borrow of its shift, are right
  out[at++] = (low & 127) | 128
  out[at++] = ((low >> 7) & 127) | 128
  out[at++] = ((low >> 14) & 127) | 128
  return putVarint(out, at, high * 4 + (low >> 21))
}
