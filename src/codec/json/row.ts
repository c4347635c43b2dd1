import type { ByteWriter } from '../../core/byteWriter.js'
import type { Table, WriteJson } from '../../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../core/tape.js'
import { writeBool } from './bool.js'
import { writeDocument } from './document.js'
import * as form from './form.js'
import { writeNumber } from './number.js'
import { writePlain } from './plain.js'
import { writeJsonString } from './text.js'
import { writeTimestamp, writeTimestamptz } from './timestamp.js'
import { writeToken } from './token.js'

const COMMA = 0x2c
const OPEN = 0x7b
const CLOSE = 0x7d

/** `null` is 4 bytes; a column's name in front of it is reserved with it. */
const NULL_ROOM = 4

/** No second tuple to take unchanged columns from. */
export const NO_FALLBACK = -1

/** Some columns of a table, compiled: their names as JSON bytes, and how each value is written. */
export class RowLayout {
  /** Offset of each column's pair behind the tuple's start on the tape. */
  readonly #offsets: Int32Array
  readonly #forms: Uint8Array
  readonly #writers: readonly WriteJson[]
  /** `,"name":` for each column, one behind the other, and where each begins. */
  readonly #names: Uint8Array
  readonly #nameStarts: Int32Array
  readonly #longestName: number

  constructor(table: Table, columns: readonly number[]) {
    const names = columns.map((column) => Buffer.from(`,${JSON.stringify(table.columns[column]!.name)}:`))
    this.#offsets = Int32Array.from(columns, (column) => 2 * column)
    this.#forms = Uint8Array.from(columns, (column) => table.codecs[column]!.form)
    this.#writers = columns.map((column) => table.codecs[column]!.writeJson)
    this.#names = Buffer.concat(names)
    this.#nameStarts = new Int32Array(columns.length + 1)
    for (let i = 0; i < columns.length; i++) this.#nameStarts[i + 1] = this.#nameStarts[i]! + names[i]!.length
    this.#longestName = names.reduce((longest, name) => Math.max(longest, name.length), 0)
  }

  /**
   * Writes `{"name":value,…}` of the tuple at `tape[at]`, whose bytes lie in `bytes`. An unchanged column is taken from
   * the tuple at `fallback`, or left out where there is none.
   */
  write(writer: ByteWriter, bytes: Uint8Array, tape: Int32Array, at: number, fallback: number): void {
    const count = this.#forms.length
    const names = this.#names
    const starts = this.#nameStarts
    const room = this.#longestName + NULL_ROOM
    let separator = OPEN
    for (let i = 0; i < count; i++) {
      let pair = at + this.#offsets[i]!
      if (tape[pair] === UNCHANGED_COLUMN) {
        if (fallback === NO_FALLBACK) continue
        pair = fallback + this.#offsets[i]!
      }
      const start = tape[pair]!
      writer.reserve(room)
      const out = writer.bytes
      let to = writer.length
      out[to++] = separator
      separator = COMMA
      // Names are short: a loop beats any call.
      for (let p = starts[i]! + 1, end = starts[i + 1]!; p < end; p++) out[to++] = names[p]!
      if (start === NULL_COLUMN) {
        out[to++] = 0x6e // null
        out[to++] = 0x75
        out[to++] = 0x6c
        out[to++] = 0x6c
        writer.length = to
        continue
      }
      writer.length = to
      this.#writeValue(writer, i, bytes, start, tape[pair + 1]!)
    }
    writer.reserve(2)
    if (separator === OPEN) writer.bytes[writer.length++] = OPEN
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
