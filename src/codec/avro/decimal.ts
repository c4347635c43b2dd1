import { type ByteRoom, ByteWriter } from '../../core/byteWriter.js'
import { digits } from '../text/digits.js'
import { putLength, VARINT_ROOM } from './varint.js'

const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const SAFE_DIGITS = 15
const TWO_32 = 0x1_0000_0000

type Write = (writer: ByteRoom, src: Uint8Array, p: number, end: number) => void

/**
 * Bytes of logical type decimal: the value times 10^scale, in two's complement, the most significant byte first, no byte
 * more than it takes; 0 is one byte.
 */
export function decimalWriter(scale: number): Write {
  return function writeDecimal(writer, src, start, end) {
    const negative = src[start] === MINUS
    const p = negative ? start + 1 : start
    const point = pointIn(src, p, end)
    const missing = point === end ? scale : scale - (end - point - 1)
    if (end - p + missing > SAFE_DIGITS) {
      writeLong(writer, src, p, end, point, missing, negative)
      return
    }
    let value = digits(src, p, point)
    for (let at = point + 1; at < end; at++) value = value * 10 + src[at]! - ZERO
    for (let i = 0; i < missing; i++) value *= 10
    writeShortDecimal(writer, value, negative && value > 0)
  }
}

/** Whether a numeric can be one of `scale`: NaN and the infinities, and numbers with more decimals, cannot. */
export function fitsDecimal(scale: number): (src: Uint8Array, p: number, end: number) => boolean {
  return (src, p, end) => {
    if (src[end - 1]! > NINE) return false // NaN, Infinity
    if (scale > 0 && end - p > scale && src[end - 1 - scale] === POINT) return true
    const point = pointIn(src, p, end)
    return point === end || end - point - 1 <= scale
  }
}

/** Where the point is, or `end`. */
function pointIn(src: Uint8Array, p: number, end: number): number {
  while (p < end && src[p] !== POINT) p++
  return p
}

/** A number of so few digits that a double has it. */
export function writeShortDecimal(writer: ByteRoom, value: number, negative: boolean): void {
  let count = 1
  for (let limit = 128; negative ? value > limit : value >= limit; limit *= 256) count++
  let high = Math.floor(value / TWO_32)
  let low = value >>> 0
  if (negative) {
    low = -low >>> 0
    high = low === 0 ? -high : ~high
  }
  writer.reserve(1 + count)
  const out = writer.bytes
  let at = writer.length
  out[at++] = 2 * count
  for (let shift = 8 * (count - 1); shift >= 32; shift -= 8) out[at++] = high >> (shift - 32)
  for (let shift = 8 * (Math.min(count, 4) - 1); shift >= 0; shift -= 8) out[at++] = low >> shift
  writer.length = at
}

function writeLong(
  writer: ByteRoom,
  src: Uint8Array,
  p: number,
  end: number,
  point: number,
  missing: number,
  negative: boolean,
): void {
  const text = new ByteWriter(end - p)
  text.write(src.subarray(p, point))
  if (point < end) text.write(src.subarray(point + 1, end))
  const magnitude = BigInt(text.toBuffer().toString('latin1') + '0'.repeat(missing))
  const bytes = twosComplement(negative ? -magnitude : magnitude)
  writer.reserve(VARINT_ROOM + bytes.length)
  const at = putLength(writer.bytes, writer.length, bytes.length)
  writer.bytes.set(bytes, at)
  writer.length = at + bytes.length
}

function twosComplement(value: bigint): Uint8Array {
  // of a negative number as many bits as of the one below it have the other sign
  const bits = (value < 0n ? ~value : value).toString(2).length + 1
  const count = Math.ceil(bits / 8)
  const unsigned = BigInt.asUintN(8 * count, value)
  return Buffer.from(unsigned.toString(16).padStart(2 * count, '0'), 'hex')
}
