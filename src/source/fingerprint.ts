/**
 * What a transaction counted so far, as 32 bits: relation, kind, length and WAL place of each row in order. The server
 * counts the same on every redelivery only while publication and options stayed as they were; if they did not, the
 * position's `seq` means another row, and the fingerprint tells (design section 3, rule 2; reference server.md A2).
 * `place` is the low half of the row's LSN: without it rows of one length look alike (the rows of a COPY share one).
 */
export function mixFingerprint(
  fingerprint: number,
  relation: number,
  kind: number,
  length: number,
  place: number,
): number {
  let mixed = Math.imul(fingerprint ^ relation, 0x9e3779b1)
  mixed = Math.imul((mixed ^ (mixed >>> 15)) + kind, 0x85ebca77)
  mixed = Math.imul(mixed ^ (mixed >>> 13) ^ length, 0xc2b2ae3d)
  return Math.imul((mixed ^ (mixed >>> 16)) + place, 0x9e3779b1)
}
