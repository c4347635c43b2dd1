import { VALUE_MALFORMED } from '../../core/errors.js'

// int2vectorout, oidvectorout:  [ number { ` ` number } ]

const BLANK = 0x20
const MINUS = 0x2d

/** Walks the text of an int2vector or oidvector. */
export class VectorReader {
  itemStart = 0
  itemEnd = 0
  readonly #type: string

  constructor(type: string) {
    this.#type = type
  }

  /** Reads the number at `p`; returns the offset of the next one, or `end`. `start` is where the whole text begins. */
  next(bytes: Uint8Array, start: number, p: number, end: number): number {
    this.itemStart = p
    while (p < end && isNumeric(bytes[p]!)) p++
    this.itemEnd = p
    const last = p === end
    if (p === this.itemStart || (!last && (bytes[p] !== BLANK || p + 1 === end))) {
      const problem = 'a number was expected'
      throw VALUE_MALFORMED({ type: this.#type, problem, offset: p - start, length: end - start })
    }
    return last ? end : p + 1
  }
}

function isNumeric(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || byte === MINUS
}
