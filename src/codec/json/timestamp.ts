import type { ByteWriter } from '../../core/byteWriter.js'
import { copyBytes } from './copy.js'

const QUOTE = 0x22
const BLANK = 0x20
const PLUS = 0x2b
const MINUS = 0x2d
const COLON = 0x3a
const ZERO = 0x30
const T = 0x54
const C = 0x43
const LETTER_Y = 0x79

// timestamp:    year-MM-DD HH:MM:SS[.ffffff][ BC]        | infinity | -infinity
// timestamptz:  year-MM-DD HH:MM:SS[.ffffff]±HH[:MM[:SS]][ BC]   (+00 in our sessions)
// to_json:      the first blank is `T`, a zone of hours alone gets `:00`; year has four to six digits

/** The text quoted, with `T` for its first blank. */
export function writeTimestamp(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  writer.reserve(2 + end - p)
  const out = writer.bytes
  out[writer.length] = QUOTE
  const at = copyIso(src, p, end, end, out, writer.length + 1)
  out[at] = QUOTE
  writer.length = at + 1
}

/** The same, and `:00` after a zone that has hours only; the zone stands before ` BC`. */
export function writeTimestamptz(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  writer.reserve(5 + end - p)
  const out = writer.bytes
  out[writer.length] = QUOTE
  const zoneEnd = end - p > 3 && src[end - 1] === C ? end - 3 : end
  let at = copyIso(src, p, end, zoneEnd, out, writer.length + 1)
  if (zoneEnd - p > 3 && src[end - 1] !== LETTER_Y && isSign(src[zoneEnd - 3]!)) {
    out[at++] = COLON
    out[at++] = ZERO
    out[at++] = ZERO
  }
  if (zoneEnd < end) at = copyBytes(src, zoneEnd, end, out, at)
  out[at] = QUOTE
  writer.length = at + 1
}

function copyIso(src: Uint8Array, p: number, end: number, until: number, out: Uint8Array, at: number): number {
  const after = copyBytes(src, p, until, out, at)
  if (src[end - 1] === LETTER_Y) return after // infinity
  let blank = at + 10 // past ten bytes in years of five and six digits
  while (blank < after && out[blank] !== BLANK) blank++
  if (blank < after) out[blank] = T
  return after
}

function isSign(byte: number): boolean {
  return byte === PLUS || byte === MINUS
}
