const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Short parts share one buffer; a longer one gets its own, since writers attach long runs instead of copying them. */
const ROOM = 16 * 1024

/**
 * Undoes the quoting of an array's element, a composite's field or an hstore's key. Each codec has one of its own:
 * a type is never part of itself, so that what one level has unescaped stays while the levels below read it.
 */
export class Unescaper {
  /** Bytes of the last part; they start at 0. */
  length = 0
  #room: Buffer | null = null

  /**
   * The part `src[p..end)`, without the quotes around it: `\x` stands for `x`, `""` for `"`. Valid until the next
   * call, or for good when longer than 16 KiB.
   */
  unescape(src: Uint8Array, p: number, end: number): Buffer {
    const out = this.#roomFor(end - p)
    let at = 0
    while (p < end) {
      let byte = src[p++]!
      if ((byte === BACKSLASH || byte === QUOTE) && p < end) byte = src[p++]!
      out[at++] = byte
    }
    this.length = at
    return out
  }

  #roomFor(count: number): Buffer {
    if (count > ROOM) return Buffer.allocUnsafeSlow(count)
    this.#room ??= Buffer.allocUnsafeSlow(ROOM)
    return this.#room
  }
}
