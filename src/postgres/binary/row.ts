import { ByteWriter, viewOf } from '../../core/byteWriter.js'
import { MALFORMED_MESSAGE } from '../../core/errors.js'
import type { CopyText } from '../../core/rowBatch.js'
import { NULL_COLUMN, Tape } from '../../core/tape.js'
import { BINARY_BYTEA, BINARY_INT2, BINARY_INT4, BINARY_INT8, BINARY_TEXT, BINARY_WIDTHS } from './forms.js'
import { writeBinaryText } from './text.js'

// file:  "PGCOPY\n\377\r\n\0"  Int32 flags  Int32 length of what follows in the header  |  rows  |  Int16 -1
// row:   Int16 columns  ( Int32 length, -1: NULL   Byte[length] value ) …

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
const HEADER = SIGNATURE.length + 8
/** Length of the Int16 behind the last row. */
export const TRAILER = 2
/** What lies before each of rows that are kept behind one another, and says nothing: the head of the frame that it came in. */
export const ROW_HEAD = 5

/** The least of all, which is told as if it were none: of one kind with the others V8 keeps it as it is. */
export const NO_NUMBER = -(2 ** 31)
/** Room for so much of each line to begin with. */
const LEAST_LINES = 256
const SHORT_TEXT = 64
/** What takes more is not asked for in vain. */
const LONG = 64 * 1024
/** Room for what stands behind a long value, which else would be in a piece of its own. */
const BEHIND = 1024

const TAB = 0x09
const NEWLINE = 0x0a
const BACKSLASH = 0x5c
const NULL_TEXT = Buffer.from('\\N')

/** The letter behind the backslash by which COPY's text stands for a byte; 0: the byte is its own. */
const ESCAPES = new Uint8Array(256)
for (const [letter, byte] of Object.entries({ b: 8, t: TAB, n: NEWLINE, v: 11, f: 12, r: 13, '\\': BACKSLASH })) {
  ESCAPES[byte] = letter.charCodeAt(0)
}

/** Where the first row begins, in the first CopyData of a COPY in binary format. */
export function afterBinaryHeader(bytes: Uint8Array, start: number, end: number): number {
  const isSigned = end - start >= HEADER && SIGNATURE.every((byte, i) => bytes[start + i] === byte)
  if (!isSigned) throw malformed('it does not begin with the signature', 0, start, end)
  for (let i = start + SIGNATURE.length; i < start + HEADER; i++) {
    if (bytes[i] !== 0) throw malformed('its header says what is not known', i - start, start, end)
  }
  return start + HEADER
}

/** Whether it is the end of a COPY in binary format, and no row. */
export function isBinaryTrailer(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start === TRAILER && bytes[start] === 0xff && bytes[start + 1] === 0xff
}

/** Rows of COPY's binary format ("COPY: Binary Format" in the PostgreSQL docs), whose columns have these forms. */
export class BinaryRows {
  readonly #forms: readonly number[]
  readonly #widths: Int32Array

  constructor(forms: readonly number[]) {
    this.#forms = forms
    this.#widths = Int32Array.from(forms, (form) => BINARY_WIDTHS[form]!)
  }

  /** How many a row has. */
  get columns(): number {
    return this.#forms.length
  }

  /** Leaves start and end of each value on the tape, of the one row that `view` has from `start` to `end`. */
  read(view: DataView, start: number, end: number, tape: Tape): void {
    const widths = this.#widths
    const columns = widths.length
    if (end - start < 2 || view.getInt16(start) !== columns) {
      throw malformed(`a row of other than ${columns} columns`, 0, start, end)
    }
    tape.reserve(2 * columns)
    const { values } = tape
    let at = tape.length
    let p = start + 2
    for (let i = 0; i < columns; i++, at += 2) {
      if (p + 4 > end) throw malformed('a row ends in the middle', p - start, start, end)
      const length = view.getInt32(p)
      p += 4
      if (length < 0) {
        values[at] = values[at + 1] = NULL_COLUMN
        continue
      }
      const width = widths[i]!
      if (width !== 0 && length !== width) throw malformed(`a value of ${length} bytes`, p - start, start, end)
      values[at] = p
      p += length
      values[at + 1] = p
    }
    if (p !== end) throw malformed('a row does not end where its last value does', p - start, start, end)
    tape.length = at
  }

  /** The value there, where it is a whole number within 31 bits and a sign; `NO_NUMBER`: it is another one, or none. */
  numberOf(column: number, view: DataView, start: number): number {
    switch (this.#forms[column]) {
      case BINARY_INT2:
        return view.getInt16(start)
      case BINARY_INT4:
        return view.getInt32(start)
      case BINARY_INT8: {
        const low = view.getInt32(start + 4)
        return view.getInt32(start) === low >> 31 ? low : NO_NUMBER
      }
      default:
        return NO_NUMBER
    }
  }

  /** Writes the text of a value that is there. */
  writeText(writer: ByteWriter, column: number, bytes: Uint8Array, view: DataView, start: number, end: number): void {
    writeBinaryText(writer, this.#forms[column]!, bytes, view, start, end)
  }

  /** Texts of these columns of one of rows behind one another, each behind `ROW_HEAD` bytes; undefined: NULL. */
  textsOf({ bytes, ends }: CopyText, row: number, columns: readonly number[]): (string | undefined)[] {
    const view = viewOf(bytes)
    const tape = new Tape(2 * this.columns)
    this.read(view, (ends[row - 1] ?? 0) + ROW_HEAD, ends[row]!, tape)
    return columns.map((column) => {
      const start = tape.values[2 * column]!
      if (start < 0) return undefined
      const text = new ByteWriter(SHORT_TEXT)
      this.writeText(text, column, bytes, view, start, tape.values[2 * column + 1]!)
      return text.toBuffer().toString()
    })
  }

  /** Those from `first` to `last` (not included) of such rows as lines of COPY's text format, each with its newline. */
  toLines({ bytes, ends }: CopyText, first: number, last: number, tape: Tape): CopyText {
    const view = viewOf(bytes)
    const lines = new ByteWriter(LEAST_LINES * (last - first))
    const value = new ByteWriter(256)
    const lineEnds = new Int32Array(last - first)
    for (let row = first; row < last; row++) {
      tape.length = 0
      this.read(view, (ends[row - 1] ?? 0) + ROW_HEAD, ends[row]!, tape)
      for (let column = 0; column < this.#forms.length; column++) {
        if (column > 0) writeByte(lines, TAB)
        const start = tape.values[2 * column]!
        const end = tape.values[2 * column + 1]!
        const form = this.#forms[column]!
        if (start < 0) lines.write(NULL_TEXT)
        else if (form === BINARY_TEXT) writeEscaped(lines, bytes, start, end)
        else if (form === BINARY_BYTEA) {
          // Of its text one character alone is escaped, which is the first.
          lines.reserve(2 * (end - start) + BEHIND)
          writeByte(lines, BACKSLASH)
          this.writeText(lines, column, bytes, view, start, end)
        } else {
          value.length = 0
          this.writeText(value, column, bytes, view, start, end)
          writeEscaped(lines, value.bytes, 0, value.length)
        }
      }
      writeByte(lines, NEWLINE)
      lineEnds[row - first] = lines.size
    }
    const parts = lines.take()
    return { bytes: parts.length === 1 ? parts[0]! : lines.toBuffer(), ends: lineEnds }
  }
}

function writeByte(writer: ByteWriter, byte: number): void {
  writer.reserve(1)
  writer.bytes[writer.length++] = byte
}

function writeEscaped(writer: ByteWriter, bytes: Uint8Array, start: number, end: number): void {
  let room = 2 * (end - start)
  if (room > LONG) {
    room = end - start
    for (let p = start; p < end; p++) if (ESCAPES[bytes[p]!] !== 0) room++
  }
  writer.reserve(room + BEHIND)
  let to = writer.length
  for (let p = start; p < end; p++) {
    const letter = ESCAPES[bytes[p]!]!
    if (letter !== 0) writer.bytes[to++] = BACKSLASH
    writer.bytes[to++] = letter === 0 ? bytes[p]! : letter
  }
  writer.length = to
}

function malformed(problem: string, offset: number, start: number, end: number): Error {
  return MALFORMED_MESSAGE({ message: 'CopyData', problem, offset, length: end - start })
}
