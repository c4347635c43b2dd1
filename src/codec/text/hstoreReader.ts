import { VALUE_MALFORMED } from '../../core/errors.js'

// hstore_out (contrib/hstore/hstore_io.c):  [ pair { `, ` pair } ]
//   pair     quoted `=>` ( quoted | `NULL` )
//   quoted   `"` { byte | `\"` | `\\` } `"`

const QUOTE = 0x22
const BACKSLASH = 0x5c
const NULL = [0x4e, 0x55, 0x4c, 0x4c]
const ARROW = [0x3d, 0x3e]
const BETWEEN = [0x2c, 0x20]

/** Walks the text of one hstore, pair by pair; positions are without the quotes. */
export class HstoreReader {
  keyStart = 0
  keyEnd = 0
  keyEscaped = false
  valueStart = 0
  valueEnd = 0
  valueEscaped = false
  valueIsNull = false
  readonly #type: string
  #escaped = false

  constructor(type: string) {
    this.#type = type
  }

  /** Reads the pair at `p`; returns the offset of the next one, or `end`. `start` is where the whole text begins. */
  next(bytes: Uint8Array, start: number, p: number, end: number): number {
    this.keyStart = p + 1
    this.keyEnd = this.#quoted(bytes, start, p, end)
    this.keyEscaped = this.#escaped
    p = this.#expect(ARROW, bytes, start, this.keyEnd + 1, end)
    this.valueIsNull = p < end && bytes[p] !== QUOTE
    if (this.valueIsNull) p = this.#expect(NULL, bytes, start, p, end)
    else {
      this.valueStart = p + 1
      this.valueEnd = this.#quoted(bytes, start, p, end)
      this.valueEscaped = this.#escaped
      p = this.valueEnd + 1
    }
    if (p === end) return end
    p = this.#expect(BETWEEN, bytes, start, p, end)
    if (p === end) throw this.#malformed('a pair is missing', p, start, end)
    return p
  }

  /** Walks the quoted text at `p`; returns the offset of its closing quote. */
  #quoted(bytes: Uint8Array, start: number, p: number, end: number): number {
    if (p >= end || bytes[p] !== QUOTE) throw this.#malformed('a quote was expected', p, start, end)
    this.#escaped = false
    for (p++; p < end && bytes[p] !== QUOTE; p++) {
      if (bytes[p] !== BACKSLASH) continue
      this.#escaped = true
      p++
    }
    if (p >= end) throw this.#malformed('a quoted text has no end', end, start, end)
    return p
  }

  #expect(word: readonly number[], bytes: Uint8Array, start: number, p: number, end: number): number {
    for (const byte of word) {
      if (p >= end || bytes[p] !== byte) throw this.#malformed('=> or a comma was expected', p, start, end)
      p++
    }
    return p
  }

  #malformed(problem: string, p: number, start: number, end: number): Error {
    return VALUE_MALFORMED({ type: this.#type, problem, offset: p - start, length: end - start })
  }
}
