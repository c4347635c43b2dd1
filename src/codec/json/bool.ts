import type { ByteWriter } from '../../core/byteWriter.js'

const T = 0x74

/** `t` → `true`, `f` → `false`. */
export function writeBool(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  writer.reserve(5)
  const out = writer.bytes
  let at = writer.length
  if (p < end && src[p] === T) {
    out[at++] = T
    out[at++] = 0x72 // r
    out[at++] = 0x75 // u
  } else {
    out[at++] = 0x66 // f
    out[at++] = 0x61 // a
    out[at++] = 0x6c // l
    out[at++] = 0x73 // s
  }
  out[at++] = 0x65 // e
  writer.length = at
}
