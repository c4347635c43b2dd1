import { VALUE_MALFORMED } from '../../core/errors.js'

// record_out (src/backend/utils/adt/rowtypes.c):
//   record   `(` field { `,` field } `)`      of a type without fields, and of one NULL: `()`
//   field    nothing = NULL | word | `"` { byte | `\\` | `""` } `"`
// A word holds none of `( ) , " \` and no white space. A reader also takes `\"`.

/** Start of a field that is NULL. */
export const NULL_FIELD = -1

const QUOTE = 0x22
const BACKSLASH = 0x5c
const LEFT = 0x28
const RIGHT = 0x29
const COMMA = 0x2c

/** Finds the fields of one composite. Their number comes first, since it tells whether the type is still the same. */
export class CompositeReader {
  readonly starts: Int32Array
  readonly ends: Int32Array
  /** 1 where the field must be unescaped. */
  readonly escaped: Uint8Array
  readonly #type: string
  readonly #width: number

  constructor(type: string, width: number) {
    this.#type = type
    this.#width = width
    this.starts = new Int32Array(width)
    this.ends = new Int32Array(width)
    this.escaped = new Uint8Array(width)
  }

  /** Fills `starts`, `ends`, `escaped`; false if the text has another number of fields than the type. */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    if (start >= end || bytes[start] !== LEFT) throw this.#malformed('it does not begin with (', start, start, end)
    if (this.#width === 0 && end - start === 2 && bytes[end - 1] === RIGHT) return true
    let field = 0
    let p = start + 1
    for (; ; field++, p++) {
      p = this.#field(bytes, start, p, end, field)
      if (p >= end) throw this.#malformed('its ) is missing', p, start, end)
      if (bytes[p] === RIGHT) break
      if (bytes[p] !== COMMA) throw this.#malformed('no comma after a field', p, start, end)
    }
    if (p + 1 !== end) throw this.#malformed('something follows the )', p + 1, start, end)
    return field + 1 === this.#width
  }

  /** Reads the field at `p`; returns the offset after it. Fields beyond the type's are walked over. */
  #field(bytes: Uint8Array, start: number, p: number, end: number, field: number): number {
    let from = p
    let to = p
    let escaped = 0
    if (p < end && bytes[p] === QUOTE) {
      from = ++p
      for (; p < end; p++) {
        const byte = bytes[p]!
        if (byte === BACKSLASH) {
          escaped = 1
          p++
        } else if (byte === QUOTE) {
          if (p + 1 >= end || bytes[p + 1] !== QUOTE) break
          escaped = 1
          p++
        }
      }
      if (p >= end) throw this.#malformed('a quoted field has no end', end, start, end)
      to = p++
    } else {
      for (; p < end; p++) {
        const byte = bytes[p]!
        if (byte === COMMA || byte === RIGHT) break
        if (byte === QUOTE || byte === BACKSLASH || byte === LEFT) {
          throw this.#malformed('a field without quotes has a character that needs them', p, start, end)
        }
      }
      to = p
      if (to === from) from = NULL_FIELD
    }
    if (field < this.#width) {
      this.starts[field] = from
      this.ends[field] = to
      this.escaped[field] = escaped
    }
    return p
  }

  #malformed(problem: string, p: number, start: number, end: number): Error {
    return VALUE_MALFORMED({ type: this.#type, problem, offset: p - start, length: end - start })
  }
}
