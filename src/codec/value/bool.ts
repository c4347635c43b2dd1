const T = 0x74

export function readBool(bytes: Uint8Array, start: number, end: number): boolean {
  return start < end && bytes[start] === T
}
