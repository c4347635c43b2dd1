/**
 * `bytes[start..end)` as a string; a byte that is no UTF-8 (a "char" of PostgreSQL 14) becomes U+FFFD. What is received
 * comes in Buffers; the other way is for callers that have a plain Uint8Array.
 */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return buffer.toString('utf8', start, end)
}
