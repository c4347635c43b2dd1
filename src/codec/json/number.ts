import type { ByteWriter } from '../../core/byteWriter.js'
import { writePlain } from './plain.js'
import { writeToken } from './token.js'

const MINUS = 0x2d
const I = 0x49
const N = 0x4e

/**
 * numeric, float4, float8: `-0`, `1e+20`, `12345678901234567890.10` are JSON numbers as they stand, with all digits;
 * `NaN`, `Infinity` and `-Infinity` become strings.
 */
export function writeNumber(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  if (isToken(src, p, end)) writeToken(writer, src, p, end)
  else writePlain(writer, src, p, end)
}

function isToken(src: Uint8Array, p: number, end: number): boolean {
  if (p === end) return false
  const first = src[p]!
  return first !== N && first !== I && !(first === MINUS && p + 1 < end && src[p + 1] === I)
}
