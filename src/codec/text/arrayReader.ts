import { VALUE_MALFORMED } from '../../core/errors.js'

// array_out (src/backend/utils/adt/arrayfuncs.c):
//   array    [ bounds `=` ] nested            bounds: `[-1:0][2:3]`, only where a lower bound is not 1
//   nested   `{` [ item { delimiter item } ] `}`
//   item     nested | NULL | word | `"` { byte | `\` byte } `"`
// A word holds none of `{ } " \`, no delimiter and no white space, and does not spell NULL.

export const OPEN = 0
export const CLOSE = 1
export const NULL = 2
/** Whatever is none of the others. */
const ITEM = 3
export const DONE = 4

const QUOTE = 0x22
const BACKSLASH = 0x5c
const BRACKET = 0x5b
const EQUALS = 0x3d
const LEFT = 0x7b
const RIGHT = 0x7d
/** What Postgres allows (MAXDIM). */
const DIMENSIONS = 6

/** Walks the text of one array. It knows nothing of what elements mean; one reader reads one text at a time. */
export class ArrayReader {
  /** Where the last ITEM stands, without its quotes. */
  itemStart = 0
  itemEnd = 0
  /** Whether it must be unescaped. */
  escaped = false
  readonly #type: string
  readonly #delimiter: number
  #bytes: Uint8Array = EMPTY
  #start = 0
  #p = 0
  #end = 0
  #depth = 0
  /** Whether an item or a nested array may stand here; else a delimiter or the end of the level must. */
  #expectItem = true

  constructor(type: string, delimiter: number) {
    this.#type = type
    this.#delimiter = delimiter
  }

  open(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes
    this.#start = this.#p = start
    this.#end = end
    this.#depth = 0
    this.#expectItem = true
    if (start < end && bytes[start] === BRACKET) this.#skipBounds()
    if (this.#byte() !== LEFT) throw this.#malformed('it does not begin with {')
  }

  next(): number {
    if (this.#depth === 0 && !this.#expectItem) {
      if (this.#p !== this.#end) throw this.#malformed('something follows the last }')
      this.#bytes = EMPTY
      return DONE
    }
    if (!this.#expectItem) {
      if (this.#byte() === RIGHT) return this.#close()
      if (this.#byte() !== this.#delimiter) throw this.#malformed('no delimiter after an element')
      this.#p++
      this.#expectItem = true
    } else if (this.#byte() === RIGHT && this.#bytes[this.#p - 1] === LEFT) return this.#close()
    switch (this.#byte()) {
      case LEFT:
        if (++this.#depth > DIMENSIONS) throw this.#malformed('more than six dimensions')
        this.#p++
        return OPEN
      case QUOTE:
        return this.#quoted()
      default:
        return this.#word()
    }
  }

  #close(): number {
    this.#p++
    this.#depth--
    this.#expectItem = false
    return CLOSE
  }

  #quoted(): number {
    const bytes = this.#bytes
    const end = this.#end
    let p = this.#p + 1
    this.itemStart = p
    this.escaped = false
    while (p < end && bytes[p] !== QUOTE) {
      if (bytes[p] === BACKSLASH) {
        this.escaped = true
        p++
      }
      p++
    }
    if (p >= end) throw this.#malformed('a quoted element has no end')
    this.itemEnd = p
    this.#p = p + 1
    this.#expectItem = false
    return ITEM
  }

  #word(): number {
    const bytes = this.#bytes
    const end = this.#end
    const start = this.#p
    let p = start
    for (; p < end; p++) {
      const byte = bytes[p]!
      if (byte === this.#delimiter || byte === RIGHT) break
      if (byte === LEFT || byte === QUOTE || byte === BACKSLASH) {
        this.#p = p
        throw this.#malformed('an element without quotes has a character that needs them')
      }
    }
    this.#p = p
    if (p === end) throw this.#malformed('its last } is missing')
    if (p === start) throw this.#malformed('an element is missing')
    this.itemStart = start
    this.itemEnd = p
    this.escaped = false
    this.#expectItem = false
    return isNull(bytes, start, p) ? NULL : ITEM
  }

  #skipBounds(): void {
    while (this.#p < this.#end && this.#bytes[this.#p] !== EQUALS) this.#p++
    this.#p++
  }

  /** The byte at hand, -1 after the end. */
  #byte(): number {
    return this.#p < this.#end ? this.#bytes[this.#p]! : -1
  }

  #malformed(problem: string): Error {
    const { type, offset, length } = {
      type: this.#type,
      offset: this.#p - this.#start,
      length: this.#end - this.#start,
    }
    this.#bytes = EMPTY
    return VALUE_MALFORMED({ type, problem, offset, length })
  }
}

const EMPTY = new Uint8Array(0)

/** The word NULL, in any case. */
function isNull(bytes: Uint8Array, p: number, end: number): boolean {
  return (
    end - p === 4 &&
    (bytes[p]! | 0x20) === 0x6e &&
    (bytes[p + 1]! | 0x20) === 0x75 &&
    (bytes[p + 2]! | 0x20) === 0x6c &&
    (bytes[p + 3]! | 0x20) === 0x6c
  )
}
