const MINUS = 0x2d
const ZERO = 0x30

/** Key columns' bytes; of one integer column the number, where its text says just that. */
export type KeyId = string | number

/** int8, int2, int4. */
export const INTEGERS: ReadonlySet<number> = new Set([20, 21, 23])

/** Of a text with so many digits no other has the same number. */
const MOST_DIGITS = 15

/** The number that `bytes[start..end)` is the usual text of; NaN where it may be anything else. */
export function integerIn(bytes: Uint8Array, start: number, end: number): number {
  const isNegative = bytes[start] === MINUS
  const first = isNegative ? start + 1 : start
  if (first >= end || end - first > MOST_DIGITS) return Number.NaN
  // A zero stands alone, and has no sign.
  if (bytes[first] === ZERO && end - start > 1) return Number.NaN
  let number = 0
  for (let p = first; p < end; p++) {
    const digit = bytes[p]! - ZERO
    if (digit < 0 || digit > 9) return Number.NaN
    number = 10 * number + digit
  }
  return isNegative ? -number : number
}

export function latin1(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > 24) return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
  let text = ''
  for (let p = start; p < end; p++) text += String.fromCharCode(bytes[p]!)
  return text
}
