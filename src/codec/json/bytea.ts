import type { ByteWriter } from '../../core/byteWriter.js'
import { BLOCK, writeByte } from './copy.js'
import { writeJsonString } from './text.js'
import { writeToken } from './token.js'

// bytea (bytea_output = hex):  `\x` { two hex digits, lower case }

const QUOTE = 0x22
const BACKSLASH = 0x5c
const X = 0x78
const EQUALS = 0x3d

/** `"\\xdeadbeef"`: only the first backslash needs an escape. */
export function writeHex(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  if (!isHex(src, p, end)) {
    writeJsonString(writer, src, p, end)
    return
  }
  writeByte(writer, QUOTE)
  writeByte(writer, BACKSLASH)
  writeToken(writer, src, p, end)
  writeByte(writer, QUOTE)
}

/** `"3q2+7w=="`, with padding (RFC 4648, section 4). Text in another form than hex stays as it is, as a string. */
export function writeBase64(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  if (!isHex(src, p, end)) {
    writeJsonString(writer, src, p, end)
    return
  }
  writeByte(writer, QUOTE)
  for (p += 2; p < end; ) {
    const next = Math.min(end, p + 6 * (BLOCK / 2)) // whole groups of three bytes
    writer.reserve(Math.ceil((next - p) / 6) * 4)
    writer.length = encodeBase64(src, p, next, writer.bytes, writer.length)
    p = next
  }
  writeByte(writer, QUOTE)
}

/** Whether `src[p..end)` starts as hex output does; the other form (`bytea_output = escape`) never has an x there. */
export function isHex(src: Uint8Array, p: number, end: number): boolean {
  return end - p >= 2 && (end - p) % 2 === 0 && src[p] === BACKSLASH && src[p + 1] === X
}

/** The value of each hex digit. */
export const HEX = new Uint8Array(256)
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  HEX[digit.charCodeAt(0)] = HEX[digit.toUpperCase().charCodeAt(0)] = value
}

const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1')

function encodeBase64(src: Uint8Array, p: number, end: number, out: Uint8Array, at: number): number {
  for (const groups = end - 5; p < groups; p += 6) {
    const bits =
      (HEX[src[p]!]! << 20) |
      (HEX[src[p + 1]!]! << 16) |
      (HEX[src[p + 2]!]! << 12) |
      (HEX[src[p + 3]!]! << 8) |
      (HEX[src[p + 4]!]! << 4) |
      HEX[src[p + 5]!]!
    out[at++] = BASE64[bits >> 18]!
    out[at++] = BASE64[(bits >> 12) & 63]!
    out[at++] = BASE64[(bits >> 6) & 63]!
    out[at++] = BASE64[bits & 63]!
  }
  if (p === end) return at
  const first = (HEX[src[p]!]! << 4) | HEX[src[p + 1]!]!
  const second = p + 2 < end ? (HEX[src[p + 2]!]! << 4) | HEX[src[p + 3]!]! : 0
  out[at++] = BASE64[first >> 2]!
  out[at++] = BASE64[((first & 3) << 4) | (second >> 4)]!
  out[at++] = p + 2 < end ? BASE64[(second & 15) << 2]! : EQUALS
  out[at++] = EQUALS
  return at
}
