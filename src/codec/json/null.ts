import type { ByteWriter } from '../../core/byteWriter.js'

/** `null`. */
export function writeNull(writer: ByteWriter): void {
  writer.reserve(4)
  const out = writer.bytes
  const at = writer.length
  out[at] = 0x6e // n
  out[at + 1] = 0x75 // u
  out[at + 2] = 0x6c // l
  out[at + 3] = 0x6c // l
  writer.length = at + 4
}
