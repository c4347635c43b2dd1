const ZERO = 0x30

/** The number that `src[p..end)` is, digits alone; exact up to 15 of them. */
export function digits(src: Uint8Array, p: number, end: number): number {
  let value = 0
  for (; p < end; p++) value = value * 10 + src[p]! - ZERO
  return value
}
