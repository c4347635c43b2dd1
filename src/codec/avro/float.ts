import type { ByteWriter } from '../../core/byteWriter.js'

const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const SAFE_DIGITS = 15

/** Powers of ten that a double has exactly. */
const EXACT = Float64Array.from({ length: SAFE_DIGITS + 1 }, (_, power) => 10 ** power)

/** float8. */
export function writeDouble(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  const value = parse(src, p, end)
  writer.reserve(8)
  writer.view.setFloat64(writer.length, value, true)
  writer.length += 8
}

/** float4: its shortest text leads back to it by way of a double. */
export function writeFloat(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  const value = parse(src, p, end)
  writer.reserve(4)
  writer.view.setFloat32(writer.length, value, true)
  writer.length += 4
}

/**
 * Up to 15 digits and a power of ten are exact in a double each, so that one division gives the nearest double; anything
 * else (exponents, NaN, the infinities) is JavaScript's to read, in the same words.
 */
function parse(src: Uint8Array, start: number, end: number): number {
  if (end - start > SAFE_DIGITS + 1) return slow(src, start, end)
  let p = start
  const negative = src[p] === MINUS
  if (negative) p++
  let value = 0
  let point = end
  for (; p < end; p++) {
    const byte = src[p]!
    if (byte === POINT) point = p + 1
    else if (byte >= ZERO && byte <= NINE) value = value * 10 + byte - ZERO
    else return slow(src, start, end)
  }
  if (point < end) value /= EXACT[end - point]!
  return negative ? -value : value
}

function slow(src: Uint8Array, start: number, end: number): number {
  const buffer = src instanceof Buffer ? src : Buffer.from(src.buffer, src.byteOffset, src.byteLength)
  return Number(buffer.toString('latin1', start, end))
}
