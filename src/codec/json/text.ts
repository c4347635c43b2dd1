import type { ByteSink } from '../../core/byteWriter.js'
import { type BlockRules, COPY_FROM, copyBytes, LONG, writeBlocks, writeByte } from './copy.js'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const U = 0x75
const ZERO = 0x30

/** For each byte: 0 stands for itself, 1 becomes `\u00` and two digits, else the letter after the backslash. */
const ESCAPE = new Uint8Array(256)
ESCAPE.fill(1, 0, 0x20)
ESCAPE[0x08] = 0x62 // b
ESCAPE[0x09] = 0x74 // t
ESCAPE[0x0a] = 0x6e // n
ESCAPE[0x0c] = 0x66 // f
ESCAPE[0x0d] = 0x72 // r
ESCAPE[QUOTE] = QUOTE
ESCAPE[BACKSLASH] = BACKSLASH

/**
 * From this many bytes on text is scanned first and copied run by run; shorter text is checked and copied in one pass,
 * by fours. Node 20.20, 2 shared cores, quiet, whole strings in ns:
 *
 * ```
 * bytes                 8    16    32    64    90   128   256  1024  60000
 * one pass by ones     13    22    41    77   108   146   282  1095
 * one pass by fours    12    15    27    49    77   126   249   950
 * scan + set(subarray)             68    84   101   107   169   527  27000
 * ```
 */
const SCAN_FROM = 96

/** After an escape so many bytes go one by one before fours are tried again: escapes come in company. */
const FEW = 8

/** `src[p..end)` as a JSON string, escaped as the server's escape_json does. UTF-8 is not looked into. */
export function writeJsonString(writer: ByteSink, src: Uint8Array, p: number, end: number): void {
  if (end - p > LONG) {
    writeLongString(writer, src, p, end)
    return
  }
  writer.reserve(2 + 6 * (end - p)) // worst case, once: nothing in the loops checks again
  const out = writer.bytes
  out[writer.length] = QUOTE
  const first = writer.length + 1
  const at = end - p < SCAN_FROM ? escapeShort(src, p, end, out, first) : escapeText(src, p, end, out, first)
  out[at] = QUOTE
  writer.length = at + 1
}

function writeLongString(writer: ByteSink, src: Uint8Array, p: number, end: number): void {
  writeByte(writer, QUOTE)
  writeBlocks(writer, src, p, end, LONG_TEXT)
  writeByte(writer, QUOTE)
}

const LONG_TEXT: BlockRules = {
  isPlain: (src, p, end) => plainUntil(src, p, end) === end,
  rewrite: escapeText,
  growth: 6,
}

/** Escapes `src[p..end)` into `out[at..)`, which has room for six times as much; returns the offset after it. */
function escapeText(src: Uint8Array, p: number, end: number, out: Uint8Array, at: number): number {
  while (end - p >= SCAN_FROM) {
    const run = plainUntil(src, p, end)
    if (run - p >= COPY_FROM) {
      at = copyBytes(src, p, run, out, at)
      p = run
    }
    // Where escapes stand close together one pass is faster, so the next stretch is done that way.
    const stretch = Math.min(end, p + COPY_FROM)
    at = escapeShort(src, p, stretch, out, at)
    p = stretch
  }
  return escapeShort(src, p, end, out, at)
}

function escapeShort(src: Uint8Array, p: number, end: number, out: Uint8Array, at: number): number {
  for (;;) {
    for (const fours = end - 3; p < fours; p += 4, at += 4) {
      const a = src[p]!
      const b = src[p + 1]!
      const c = src[p + 2]!
      const d = src[p + 3]!
      if ((ESCAPE[a]! | ESCAPE[b]! | ESCAPE[c]! | ESCAPE[d]!) !== 0) break
      out[at] = a
      out[at + 1] = b
      out[at + 2] = c
      out[at + 3] = d
    }
    if (p === end) return at
    for (const few = Math.min(end, p + FEW); p < few; p++) {
      const byte = src[p]!
      if (ESCAPE[byte] === 0) out[at++] = byte
      else at = writeEscape(out, at, byte)
    }
  }
}

function writeEscape(out: Uint8Array, at: number, byte: number): number {
  const letter = ESCAPE[byte]!
  out[at++] = BACKSLASH
  if (letter !== 1) {
    out[at++] = letter
    return at
  }
  out[at++] = U
  out[at++] = ZERO
  out[at++] = ZERO
  out[at++] = ZERO + (byte >> 4)
  const low = byte & 15
  out[at++] = low < 10 ? ZERO + low : 0x57 + low // lower case
  return at
}

/** The offset of the first byte that needs an escape, or `end`. */
function plainUntil(src: Uint8Array, p: number, end: number): number {
  for (const eights = end - 7; p < eights; p += 8) {
    const found =
      ESCAPE[src[p]!]! |
      ESCAPE[src[p + 1]!]! |
      ESCAPE[src[p + 2]!]! |
      ESCAPE[src[p + 3]!]! |
      ESCAPE[src[p + 4]!]! |
      ESCAPE[src[p + 5]!]! |
      ESCAPE[src[p + 6]!]! |
      ESCAPE[src[p + 7]!]!
    if (found !== 0) break
  }
  while (p < end && ESCAPE[src[p]!] === 0) p++
  return p
}
