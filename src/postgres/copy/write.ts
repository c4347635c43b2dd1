import type { ByteWriter } from '../../core/byteWriter.js'

const TAB = 0x09
const NEWLINE = 0x0a
const BACKSLASH = 0x5c
const CAPITAL_N = 0x4e

/** What stands behind the backslash for the bytes that must be escaped; 0 for the others. */
const ESCAPE = new Uint8Array(256)
ESCAPE[TAB] = 0x74 // t
ESCAPE[NEWLINE] = 0x6e // n
ESCAPE[0x0d] = 0x72 // r
ESCAPE[BACKSLASH] = BACKSLASH

/** Up to here copied byte by byte. */
const SHORT = 32

/** The text form at `bytes[start..end)` as COPY's text format has it (a start below 0: NULL). */
export function writeCopyValue(writer: ByteWriter, bytes: Uint8Array, start: number, end: number): void {
  if (start < 0) {
    writer.reserve(2)
    writer.bytes[writer.length++] = BACKSLASH
    writer.bytes[writer.length++] = CAPITAL_N
    return
  }
  writer.reserve(2 * (end - start))
  const out = writer.bytes
  let at = writer.length
  if (end - start <= SHORT) {
    for (let p = start; p < end; p++) {
      const byte = bytes[p]!
      if (ESCAPE[byte] === 0) out[at++] = byte
      else {
        out[at++] = BACKSLASH
        out[at++] = ESCAPE[byte]!
      }
    }
    writer.length = at
    return
  }
  let run = start
  for (let p = start; p < end; p++) {
    if (ESCAPE[bytes[p]!] === 0) continue
    out.set(bytes.subarray(run, p), at)
    at += p - run
    out[at++] = BACKSLASH
    out[at++] = ESCAPE[bytes[p]!]!
    run = p + 1
  }
  out.set(bytes.subarray(run, end), at)
  writer.length = at + end - run
}

/** Between two columns. */
export function writeCopyTab(writer: ByteWriter): void {
  writer.reserve(1)
  writer.bytes[writer.length++] = TAB
}

/** Behind the last one. */
export function writeCopyEnd(writer: ByteWriter): void {
  writer.reserve(1)
  writer.bytes[writer.length++] = NEWLINE
}
