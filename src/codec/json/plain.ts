import type { ByteWriter } from '../../core/byteWriter.js'
import { copyBytes, LONG, writeByte } from './copy.js'

const QUOTE = 0x22

/** Text of a type that never holds a quote, a backslash or a control character: copied between quotes, not looked at. */
export function writePlain(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  if (end - p > LONG) {
    writeByte(writer, QUOTE)
    writer.attach(src.subarray(p, end))
    writeByte(writer, QUOTE)
    return
  }
  writer.reserve(2 + end - p)
  const out = writer.bytes
  out[writer.length] = QUOTE
  const at = copyBytes(src, p, end, out, writer.length + 1)
  out[at] = QUOTE
  writer.length = at + 1
}
