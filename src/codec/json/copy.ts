import type { ByteRoom, ByteSink } from '../../core/byteWriter.js'

/**
 * From this many bytes on `set(subarray)` beats a loop. Node 20.20, 2 shared cores: `set(subarray)` and `copy` cost
 * 48 ns whatever the length below 1 KiB, the loop by fours 0.8 ns a byte (by ones 1.1): equal at 60 bytes.
 */
export const COPY_FROM = 56

/** Values longer than this are not copied in one go, nor is their worst case reserved: see {@link writeBlocks}. */
export const LONG = 64 * 1024

/** A long value is looked at in blocks of this size; runs of blocks that need no change are attached, not copied. */
export const BLOCK = 32 * 1024

/** Copies `src[p..end)` to `out[at..)`; returns the offset after it. Room must be there. */
export function copyBytes(src: Uint8Array, p: number, end: number, out: Uint8Array, at: number): number {
  if (end - p >= COPY_FROM) {
    out.set(src.subarray(p, end), at)
    return at + end - p
  }
  for (const fours = end - 3; p < fours; p += 4, at += 4) {
    out[at] = src[p]!
    out[at + 1] = src[p + 1]!
    out[at + 2] = src[p + 2]!
    out[at + 3] = src[p + 3]!
  }
  while (p < end) out[at++] = src[p++]!
  return at
}

/** One byte, with room for it. */
export function writeByte(writer: ByteRoom, byte: number): void {
  writer.reserve(1)
  writer.bytes[writer.length++] = byte
}

/** What a family does with a long value's blocks. */
export interface BlockRules {
  /** Whether `src[p..end)` may stand in the output as it is. */
  isPlain(src: Uint8Array, p: number, end: number): boolean
  /** Writes `src[p..end)` to `out[at..)`, which has room for `growth` times as much; returns the offset after it. */
  rewrite(src: Uint8Array, p: number, end: number, out: Uint8Array, at: number): number
  readonly growth: number
}

/**
 * The twin for long values: a value of 100 MB is neither copied nor reserved for six times over. Blocks that need no
 * change are attached by reference, joined where neighbours; the others are rewritten.
 */
export function writeBlocks(writer: ByteSink, src: Uint8Array, p: number, end: number, rules: BlockRules): void {
  let run = p
  while (p < end) {
    const next = Math.min(end, p + BLOCK)
    if (!rules.isPlain(src, p, next)) {
      if (run < p) writer.attach(src.subarray(run, p))
      writer.reserve(rules.growth * (next - p))
      writer.length = rules.rewrite(src, p, next, writer.bytes, writer.length)
      run = next
    }
    p = next
  }
  if (run < end) writer.attach(src.subarray(run, end))
}
