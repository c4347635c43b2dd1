/**
 * What a transaction counted so far, as 32 bits: relation, kind and length of each row in order. The server counts the
 * same on every redelivery only while publication and options stayed as they were; if they did not, the position's
 * `seq` means another row, and the fingerprint tells (design section 3, rule 2; reference server.md A2).
 */
export function mixFingerprint(fingerprint: number, relation: number, kind: number, length: number): number {
  let mixed = Math.imul(fingerprint ^ relation, 0x9e3779b1)
  mixed = Math.imul((mixed ^ (mixed >>> 15)) + kind, 0x85ebca77)
  return Math.imul(mixed ^ (mixed >>> 13) ^ length, 0xc2b2ae3d)
}
