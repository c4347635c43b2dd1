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

// Four bytes at a time: what is below 14, which has all of the control characters above, or a backslash. (x - n) & ~x has the
// high bit of the lowest byte below n.
const FOURTEENS = 0x0e0e0e0e
const BACKSLASHES = 0x5c5c5c5c
const ONES = 0x01010101
const HIGH_BITS = 0x80808080

/** The text form at `bytes[start..end)` as COPY's text format has it (a start below 0: NULL); `view` is the same memory. */
export function writeCopyValue(
  writer: ByteWriter,
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
): void {
  if (start < 0) {
    writer.reserve(2)
    writer.bytes[writer.length++] = BACKSLASH
    writer.bytes[writer.length++] = CAPITAL_N
    return
  }
  writer.reserve(2 * (end - start))
  const out = writer.bytes
  const outView = writer.view
  const words = end - 3
  let at = writer.length
  let p = start
  while (p < end) {
    for (; p < words; p += 4, at += 4) {
      const four = view.getInt32(p, true)
      const backslash = four ^ BACKSLASHES
      if (((((four - FOURTEENS) & ~four) | ((backslash - ONES) & ~backslash)) & HIGH_BITS) !== 0) break
      outView.setInt32(at, four, true)
    }
    for (const stop = Math.min(p + 4, end); p < stop; p++) {
      const byte = bytes[p]!
      if (ESCAPE[byte] !== 0) {
        out[at++] = BACKSLASH
        out[at++] = ESCAPE[byte]!
      } else out[at++] = byte
    }
  }
  writer.length = at
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
