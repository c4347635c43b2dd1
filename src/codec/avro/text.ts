import type { ByteRoom } from '../../core/byteWriter.js'
import { VALUE_MALFORMED } from '../../core/errors.js'
import { HEX, isHex } from '../json/bytea.js'
import { copyBytes } from '../json/copy.js'
import { readText } from '../value/text.js'
import { readTimestamptz } from '../value/timestamp.js'
import { putLength, VARINT_ROOM } from './varint.js'

const BLANK = 0x20
const T = 0x54
const LOWER_T = 0x74
const LETTER_Y = 0x79
const REPLACEMENT = Buffer.from('\ufffd')

/** A string or bytes: the text as it is, behind its length. */
export function writeText(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  writer.reserve(VARINT_ROOM + end - p)
  const at = putLength(writer.bytes, writer.length, end - p)
  writer.length = copyBytes(src, p, end, writer.bytes, at)
}

/** "char": as in JSON, U+FFFD stands for a byte that is no UTF-8 (PostgreSQL 14). */
export function writeChar(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  if (end - p === 1 && src[p]! >= 0x80) writeText(writer, REPLACEMENT, 0, REPLACEMENT.length)
  else writeText(writer, src, p, end)
}

/** Text that a "char" is a part of, and may make invalid (PostgreSQL 14). */
export function writeMended(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  const text = Buffer.from(readText(src, p, end))
  writeText(writer, text, 0, text.length)
}

/** timestamp as a string, as in JSON: `2020-01-01T00:00:00.5`, `infinity`. */
export function writeTimestampText(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  writeText(writer, src, p, end)
  if (src[end - 1] === LETTER_Y) return
  const out = writer.bytes
  let blank = writer.length - (end - p) + 10 // past ten bytes in years of five and six digits
  while (blank < writer.length && out[blank] !== BLANK) blank++
  if (blank < writer.length) out[blank] = T
}

/** timestamptz as a string, as in JSON: `2020-01-01T00:00:00.5+00:00`. Only where no long holds it: not in a hurry. */
export function writeTimestamptzText(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  const text = Buffer.from(readTimestamptz(src, p, end))
  writeText(writer, text, 0, text.length)
}

export function writeBoolean(writer: ByteRoom, src: Uint8Array, p: number): void {
  writer.reserve(1)
  writer.bytes[writer.length++] = src[p] === LOWER_T ? 1 : 0
}

/** bytea, from its hex form. */
export function writeBytea(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  if (!isHex(src, p, end)) {
    throw VALUE_MALFORMED({ type: 'bytea', problem: 'it is not in hex form', offset: 0, length: end - p })
  }
  const count = (end - p - 2) / 2
  writer.reserve(VARINT_ROOM + count)
  const out = writer.bytes
  let at = putLength(out, writer.length, count)
  for (p += 2; p < end; p += 2) out[at++] = (HEX[src[p]!]! << 4) | HEX[src[p + 1]!]!
  writer.length = at
}
