import type { ByteWriter } from '../../core/byteWriter.js'
import { type BlockRules, COPY_FROM, copyBytes, LONG, writeBlocks } from './copy.js'

const BLANK = 0x20
const NEWLINE = 0x0a
const RETURN = 0x0d

/**
 * json, embedded byte for byte, blanks and all; but a line break becomes a blank, or it would end a line of NDJSON.
 * That changes no value: valid JSON has raw line breaks between tokens only. This is the one place where the bytes
 * differ from the server's to_json.
 */
export function writeDocument(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  if (end - p > LONG) {
    writeBlocks(writer, src, p, end, LONG_DOCUMENT)
    return
  }
  writer.reserve(end - p)
  writer.length = joinLines(src, p, end, writer.bytes, writer.length)
}

const LONG_DOCUMENT: BlockRules = {
  isPlain: (src, p, end) => {
    const block = src.subarray(p, end)
    return block.indexOf(NEWLINE) === -1 && block.indexOf(RETURN) === -1
  },
  rewrite: joinLines,
  growth: 1,
}

function joinLines(src: Uint8Array, p: number, end: number, out: Uint8Array, at: number): number {
  if (end - p < 2 * COPY_FROM) {
    for (; p < end; p++) {
      const byte = src[p]!
      out[at++] = byte === NEWLINE || byte === RETURN ? BLANK : byte
    }
    return at
  }
  const after = copyBytes(src, p, end, out, at)
  const copy = out.subarray(at, after)
  blankOut(copy, NEWLINE)
  blankOut(copy, RETURN)
  return after
}

function blankOut(copy: Uint8Array, byte: number): void {
  for (let found = copy.indexOf(byte); found !== -1; found = copy.indexOf(byte, found + 1)) copy[found] = BLANK
}
