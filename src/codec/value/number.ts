import { readText } from './text.js'

const MINUS = 0x2d
const ZERO = 0x30
/** So many digits always are a safe integer. */
const SAFE_DIGITS = 15

/** int2, int4, oid: always a safe integer. */
export function readInteger(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === MINUS
  let value = 0
  for (let p = negative ? start + 1 : start; p < end; p++) value = value * 10 + bytes[p]! - ZERO
  return negative ? -value : value
}

/** int8: a bigint, whatever its size, so that its type does not hang on its value. */
export function readBigint(bytes: Uint8Array, start: number, end: number): bigint {
  if (end - start <= SAFE_DIGITS) return BigInt(readInteger(bytes, start, end))
  return BigInt(readText(bytes, start, end))
}

/** float4, float8: NaN and the infinities are numbers here. */
export function readFloat(bytes: Uint8Array, start: number, end: number): number {
  return Number(readText(bytes, start, end))
}
