// Avro's int and long: zigzag (n >= 0: 2n, else -2n - 1), then seven bits a byte, the lowest first, the top bit set in
// all but the last.

/** Bytes that a long takes at most. */
export const VARINT_ROOM = 10

const TWO_28 = 0x1000_0000

/** Writes `value`, not negative and below 2^53, to `out[at..)`; returns the offset after it. Room must be there. */
export function putVarint(out: Uint8Array, at: number, value: number): number {
  while (value >= TWO_28) {
    const high = Math.floor(value / TWO_28)
    const low = value - high * TWO_28
    out[at++] = (low & 127) | 128
    out[at++] = ((low >> 7) & 127) | 128
    out[at++] = ((low >> 14) & 127) | 128
    out[at++] = (low >> 21) | 128
    value = high
  }
  while (value > 127) {
    out[at++] = (value & 127) | 128
    value >>= 7
  }
  out[at++] = value
  return at
}

/** A count or length, which is never negative. */
export function putLength(out: Uint8Array, at: number, length: number): number {
  if (length < 64) {
    out[at++] = 2 * length
    return at
  }
  return putVarint(out, at, 2 * length)
}

/** A long in 64 bits. */
export function putBigLong(out: Uint8Array, at: number, value: bigint): number {
  let rest = value >= 0n ? 2n * value : -2n * value - 1n
  for (; rest > 127n; rest >>= 7n) out[at++] = Number(rest & 127n) | 128
  out[at++] = Number(rest)
  return at
}
