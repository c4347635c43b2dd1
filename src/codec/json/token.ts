import type { ByteWriter } from '../../core/byteWriter.js'
import { copyBytes, LONG } from './copy.js'

/** int2, int4, int8, jsonb: their text is JSON already. (jsonb text holds no line break: its strings have them escaped.) */
export function writeToken(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  if (end - p > LONG) {
    writer.attach(src.subarray(p, end))
    return
  }
  writer.reserve(end - p)
  writer.length = copyBytes(src, p, end, writer.bytes, writer.length)
}
