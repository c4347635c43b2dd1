import type { ByteWriter } from '../../core/byteWriter.js'
import { writeJsonString } from './text.js'

const REPLACEMENT = Buffer.from('"\ufffd"')

/**
 * "char", the one-byte type. PostgreSQL 14 sends a byte from 0x80 on as it is, which is no UTF-8: U+FFFD stands for it.
 * From 15 on it comes as a backslash and three octal digits, which are text like any other.
 */
export function writeChar(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  if (end - p === 1 && src[p]! >= 0x80) writer.write(REPLACEMENT)
  else writeJsonString(writer, src, p, end)
}
