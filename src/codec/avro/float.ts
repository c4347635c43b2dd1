import type { ByteRoom } from '../../core/byteWriter.js'
import { float4Text } from '../../postgres/binary/floatText.js'

const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const SAFE_DIGITS = 15
/** Two doubles have so many digits, of which 17 are what a float8 has at most. */
const MOST_DIGITS = 19
/** A sign, a point, zeros before and behind it, and digits: what is longer is rare. */
const MOST_CHARACTERS = 26

/** Powers of ten that a double has exactly. */
const EXACT = Float64Array.from({ length: 23 }, (_, power) => 10 ** power)
const MOST_DECIMALS = EXACT.length - 1

/** 2^27 + 1: parts a double in two of 26 bits. */
const SPLITTER = 134_217_729
/** More than what a correction may be wrong by, as a share of it. */
const DOUBT = 2 ** -50

/** Bits of a double that are zeros in each that lies halfway between two floats. */
const BELOW_HALF = 0x0fff_ffff
const memory = new DataView(new ArrayBuffer(8))

/** float8. */
export function writeDouble(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  const value = parse(src, p, end)
  writer.reserve(8)
  writer.view.setFloat64(writer.length, value, true)
  writer.length += 8
}

/** float4: its shortest text leads back to it by way of a double, unless that lies halfway to the next one (7.038531e-26). */
export function writeFloat(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  let value = parse(src, p, end)
  if (isHalfway(value)) value = floatOf(src, p, end, value)
  writer.reserve(4)
  writer.view.setFloat32(writer.length, value, true)
  writer.length += 4
}

/**
 * Up to 15 digits and a power of ten are exact in a double each, so that one division gives the nearest double; up to 19
 * are in two. Anything else (exponents, NaN, the infinities) is JavaScript's to read, in the same words.
 */
function parse(src: Uint8Array, start: number, end: number): number {
  if (end - start > MOST_CHARACTERS) return slow(src, start, end)
  let p = start
  const negative = src[p] === MINUS
  if (negative) p++
  let value = 0
  /** Of the first 15 digits, zeros in front left out, and how many follow. */
  let head = 0
  let count = 0
  let point = end
  for (; p < end; p++) {
    const byte = src[p]!
    if (byte === POINT) point = p + 1
    else if (byte >= ZERO && byte <= NINE) {
      if (count === SAFE_DIGITS) {
        head = value
        value = 0
      }
      value = value * 10 + byte - ZERO
      if (count > 0 || value > 0) count++
    } else return slow(src, start, end)
  }
  const decimals = end - point
  if (count > MOST_DIGITS || decimals > MOST_DECIMALS) return slow(src, start, end)
  if (count > SAFE_DIGITS) {
    value = divided(head, EXACT[count - SAFE_DIGITS]!, value, EXACT[decimals]!)
    if (Number.isNaN(value)) return slow(src, start, end)
  } else if (decimals > 0) value /= EXACT[decimals]!
  return negative ? -value : value
}

/**
 * The double nearest to (`head` * `scale` + `rest`) / `divisor`, all of them whole; NaN: two are as near as can be told. By
 * Dekker's exact sums and products of two doubles.
 */
function divided(head: number, scale: number, rest: number, divisor: number): number {
  const product = head * scale
  const high = product + rest
  const shift = high - product
  const low = product - (high - shift) + (rest - shift) + productError(head, scale, product)
  const quotient = high / divisor
  const back = quotient * divisor
  const remainder = high - back - productError(quotient, divisor, back)
  const correction = (remainder + low) / divisor
  const value = quotient + correction * (1 - DOUBT)
  return value === quotient + correction * (1 + DOUBT) ? value : Number.NaN
}

/** What `product`, which is `a` * `b` rounded, lacks. */
function productError(a: number, b: number, product: number): number {
  const bigA = SPLITTER * a
  const highA = bigA - (bigA - a)
  const lowA = a - highA
  const bigB = SPLITTER * b
  const highB = bigB - (bigB - b)
  const lowB = b - highB
  return lowA * lowB - (product - highA * highB - lowA * highB - highA * lowB)
}

/** Not all that it says yes to are: some are floats by all but their last bits. */
function isHalfway(value: number): boolean {
  const float = Math.fround(value)
  if (float === value || Number.isNaN(value)) return false
  memory.setFloat64(0, value)
  return (memory.getInt32(4) & BELOW_HALF) === 0
}

/** Of the two floats that `value` lies between, the one of which the text is. */
function floatOf(src: Uint8Array, start: number, end: number, value: number): number {
  const near = Math.fround(value)
  memory.setFloat32(0, near)
  memory.setInt32(0, memory.getInt32(0) + (Math.abs(near) < Math.abs(value) ? 1 : -1))
  const other = memory.getFloat32(0)
  return float4Text(other) === textOf(src, start, end) ? other : near
}

function slow(src: Uint8Array, start: number, end: number): number {
  return Number(textOf(src, start, end))
}

function textOf(src: Uint8Array, start: number, end: number): string {
  const buffer = src instanceof Buffer ? src : Buffer.from(src.buffer, src.byteOffset, src.byteLength)
  return buffer.toString('latin1', start, end)
}
