import type { ByteWriter } from '../../core/byteWriter.js'
import type { Table, WriteJson } from '../../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../core/tape.js'
import { writeBool } from './bool.js'
import { writeDocument } from './document.js'
import * as form from './form.js'
import { writeNumber } from './number.js'
import { writePlain } from './plain.js'
import { copyPlain, copyShort, NOT_PLAIN } from './short.js'
import { writeJsonString } from './text.js'
import { writeTimestamp, writeTimestamptz } from './timestamp.js'
import { writeToken } from './token.js'

const OPEN = 0x7b
const CLOSE = 0x7d
const QUOTE = 0x22
const DIGIT_NINE = 0x39

/**
 * Up to here a value is tried in one pass by fours, with its escapes and all else that is rare done again by the form's own
 * function.
 */
const SHORT_VALUE = 120

/** Behind a name: a short value in quotes with what is added to it, or what a name's last word of four bytes overshoots by. */
const VALUE_ROOM = SHORT_VALUE + 5

/** No second tuple to take unchanged columns from. */
export const NO_FALLBACK = -1

/** Some columns of a table, compiled: their names as JSON bytes, and how each value is written. */
export class RowLayout {
  /** Offset of each column's pair behind the tuple's start on the tape. */
  readonly #offsets: Int32Array
  readonly #forms: Uint8Array
  readonly #writers: readonly WriteJson[]
  /** `,"name":` for each column in words of four bytes, and where each begins. */
  readonly #words: Int32Array
  readonly #wordStarts: Int32Array
  readonly #nameLengths: Int32Array
  readonly #room: number
  /** `,"name":value` for each column. */
  readonly #unavailable: readonly Uint8Array[] | undefined

  /** `unavailable`: of each column the JSON of a value that is unchanged and was not sent; undefined: it is left out. */
  constructor(table: Table, columns: readonly number[], unavailable?: readonly Uint8Array[]) {
    const names = columns.map((column) => Buffer.from(`,${JSON.stringify(table.columns[column]!.name)}:`))
    this.#unavailable = unavailable?.map((value, i) => Buffer.concat([names[i]!, value]))
    const words = names.map(toWords)
    this.#offsets = Int32Array.from(columns, (column) => 2 * column)
    this.#forms = Uint8Array.from(columns, (column) => table.codecs[column]!.form)
    this.#writers = columns.map((column) => table.codecs[column]!.writeJson)
    this.#words = Int32Array.from(words.flat())
    this.#wordStarts = new Int32Array(columns.length + 1)
    for (let i = 0; i < columns.length; i++) this.#wordStarts[i + 1] = this.#wordStarts[i]! + words[i]!.length
    this.#nameLengths = Int32Array.from(names, (name) => name.length)
    this.#room = VALUE_ROOM + names.reduce((longest, name) => Math.max(longest, name.length), 0)
  }

  /**
   * Writes `{"name":value,…}` of the tuple at `tape[at]`, whose bytes lie in `bytes` (and `view`, the same). An
   * unchanged column is taken from the tuple at `fallback`; where there is none it is unavailable.
   */
  write(writer: ByteWriter, bytes: Uint8Array, view: DataView, tape: Int32Array, at: number, fallback: number): void {
    const count = this.#forms.length
    const words = this.#words
    const wordStarts = this.#wordStarts
    writer.reserve(2)
    let empty = true
    for (let i = 0; i < count; i++) {
      let pair = at + this.#offsets[i]!
      if (tape[pair] === UNCHANGED_COLUMN) {
        if (fallback === NO_FALLBACK) {
          const member = this.#unavailable?.[i]
          if (member === undefined) continue
          writer.write(member)
          if (empty) writer.bytes[writer.length - member.length] = OPEN
          empty = false
          continue
        }
        pair = fallback + this.#offsets[i]!
      }
      writer.reserve(this.#room)
      const out = writer.view
      let to = writer.length
      for (let word = wordStarts[i]!, end = wordStarts[i + 1]!; word < end; word++, to += 4) {
        out.setInt32(to, words[word]!)
      }
      to = writer.length + this.#nameLengths[i]!
      if (empty) {
        out.setUint8(writer.length, OPEN)
        empty = false
      }
      const start = tape[pair]!
      if (start === NULL_COLUMN) {
        out.setInt32(to, NULL_WORD)
        writer.length = to + 4
        continue
      }
      const end = tape[pair + 1]!
      to = end - start <= SHORT_VALUE ? writeShort(this.#forms[i]!, out, to, view, start, end) : NOT_PLAIN
      if (to === NOT_PLAIN) {
        writer.length += this.#nameLengths[i]!
        this.#writeValue(writer, i, bytes, start, end)
      } else writer.length = to
    }
    writer.reserve(2)
    if (empty) writer.bytes[writer.length++] = OPEN
    writer.bytes[writer.length++] = CLOSE
  }

  #writeValue(writer: ByteWriter, i: number, bytes: Uint8Array, start: number, end: number): void {
    switch (this.#forms[i]) {
      case form.FORM_TOKEN:
        return writeToken(writer, bytes, start, end)
      case form.FORM_TEXT:
        return writeJsonString(writer, bytes, start, end)
      case form.FORM_NUMBER:
        return writeNumber(writer, bytes, start, end)
      case form.FORM_TIMESTAMPTZ:
        return writeTimestamptz(writer, bytes, start, end)
      case form.FORM_TIMESTAMP:
        return writeTimestamp(writer, bytes, start, end)
      case form.FORM_PLAIN:
        return writePlain(writer, bytes, start, end)
      case form.FORM_BOOL:
        return writeBool(writer, bytes, start, end)
      case form.FORM_JSON:
        return writeDocument(writer, bytes, start, end)
      default:
        return this.#writers[i]!(writer, bytes, start, end)
    }
  }
}

// The words `null`, `true`, `fals`, and the rest of a zone that has hours only: `:00"`.
const NULL_WORD = 0x6e756c6c
const TRUE_WORD = 0x74727565
const FALS_WORD = 0x66616c73
const ZONE_WORD = 0x3a303022
const LETTER_E = 0x65
const LETTER_T = 0x74
const T = 0x54
const BLANK = 0x20
const PLUS = 0x2b
const MINUS = 0x2d

/** `2026-01-01 00:00:00`: with four digits of the year, all else that there may be follows. */
const DATE_LENGTH = 10
const LEAST_TIMESTAMP = 19
const LEAST_TIMESTAMPTZ = 22

/** The commonest forms of short values, with room at hand; NOT_PLAIN for whatever needs more than copying. */
function writeShort(kind: number, out: DataView, to: number, view: DataView, start: number, end: number): number {
  switch (kind) {
    case form.FORM_TOKEN:
      return copyShort(view, start, end, out, to)
    case form.FORM_NUMBER:
      // NaN and the infinities begin, or end, with a letter.
      return view.getUint8(end - 1) > DIGIT_NINE ? NOT_PLAIN : copyShort(view, start, end, out, to)
    case form.FORM_TEXT: {
      out.setUint8(to, QUOTE)
      const after = copyPlain(view, start, end, out, to + 1)
      if (after === NOT_PLAIN) return NOT_PLAIN
      out.setUint8(after, QUOTE)
      return after + 1
    }
    case form.FORM_PLAIN: {
      out.setUint8(to, QUOTE)
      const after = copyShort(view, start, end, out, to + 1)
      out.setUint8(after, QUOTE)
      return after + 1
    }
    case form.FORM_TIMESTAMPTZ: {
      if (end - start < LEAST_TIMESTAMPTZ || view.getUint8(start + DATE_LENGTH) !== BLANK) return NOT_PLAIN
      const sign = view.getUint8(end - 3)
      if (sign !== PLUS && sign !== MINUS) return NOT_PLAIN
      const after = copyTimestamp(out, to, view, start, end)
      out.setInt32(after, ZONE_WORD)
      return after + 4
    }
    case form.FORM_TIMESTAMP: {
      if (end - start < LEAST_TIMESTAMP || view.getUint8(start + DATE_LENGTH) !== BLANK) return NOT_PLAIN
      const after = copyTimestamp(out, to, view, start, end)
      out.setUint8(after, QUOTE)
      return after + 1
    }
    case form.FORM_BOOL: {
      if (start < end && view.getUint8(start) === LETTER_T) {
        out.setInt32(to, TRUE_WORD)
        return to + 4
      }
      out.setInt32(to, FALS_WORD)
      out.setUint8(to + 4, LETTER_E)
      return to + 5
    }
    default:
      return NOT_PLAIN
  }
}

/** A quote, and the text with `T` for its first blank. */
function copyTimestamp(out: DataView, to: number, view: DataView, start: number, end: number): number {
  out.setUint8(to, QUOTE)
  const after = copyShort(view, start, end, out, to + 1)
  out.setUint8(to + 1 + DATE_LENGTH, T)
  return after
}

/** `bytes` as big-endian words; what the last one has too much is written over by what follows. */
function toWords(bytes: Buffer): number[] {
  const padded = Buffer.concat([bytes, Buffer.alloc(4)])
  return Array.from({ length: Math.ceil(bytes.length / 4) }, (_, word) => padded.readInt32BE(4 * word))
}
