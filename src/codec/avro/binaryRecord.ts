import { type ByteRoom, ByteWriter } from '../../core/byteWriter.js'
import { SERVER_EPOCH_MICROS } from '../../core/calendar.js'
import { copyShort } from '../../core/copyShort.js'
import { NULL_COLUMN } from '../../core/tape.js'
import {
  BINARY_BOOL,
  BINARY_BYTEA,
  BINARY_DATE,
  BINARY_FLOAT4,
  BINARY_FLOAT8,
  BINARY_INT2,
  BINARY_INT4,
  BINARY_INT8,
  BINARY_JSONB,
  BINARY_NUMERIC,
  BINARY_TEXT,
  BINARY_TIME,
  BINARY_TIMESTAMP,
  BINARY_TIMESTAMPTZ,
} from '../../postgres/binary/forms.js'
import { NUMERIC_DECIMALS, NUMERIC_NEGATIVE, NUMERIC_POSITIVE, NUMERIC_SIGN } from '../../postgres/binary/numeric.js'
import type { BinaryRows } from '../../postgres/binary/row.js'
import {
  daysSince1970,
  MAX_LONG,
  microsSince1970,
  putDouble,
  putFloat,
  putInteger,
  putSafe,
  shortDecimal,
} from './binaryNumbers.js'
import type { AvroCodec } from './codec.js'
import { writeDate, writeTime, writeTimestamp } from './dateTime.js'
import { writeShortDecimal } from './decimal.js'
import { writeDouble, writeFloat } from './float.js'
import { writeInteger } from './integer.js'
import type { AvroRecord } from './record.js'
import { AS_IS, AS_TEXT, NULLABLE } from './shape.js'
import { writeBoolean, writeBytea, writeText } from './text.js'
import { putBigLong, putLength, VARINT_ROOM } from './varint.js'

/** A branch of a union and a number, or the length of what asks for its own room. */
const FIELD_ROOM = 1 + VARINT_ROOM
const NULL_BRANCH = 0
const VALUE_BRANCH = 2

const TWO_32 = 0x1_0000_0000
/** High halves of longs that are as many microseconds, or less, as to be safe integers whatever is done with them here. */
const SAFE_HIGH = 2 ** 18
/** High halves of timestamps from here on may have no room in a long that counts from 1970. */
const LATE_HIGH = 0x7ff0_0000
const JSONB_VERSION = 1

// How a value becomes Avro. What is OTHER does so by way of its text.
const OTHER = 0
const TEXT = 1
const INT2 = 2
const INT4 = 3
const INT8 = 4
const BOOLEAN = 5
const DOUBLE = 6
const FLOAT = 7
const TIMESTAMP = 8
const DATE = 9
const TIME = 10
const DECIMAL = 11
const BYTES = 12
const JSONB = 13

const KINDS: ReadonlyMap<AvroCodec['write'], ReadonlyMap<number, number>> = new Map([
  [
    writeInteger,
    new Map([
      [BINARY_INT2, INT2],
      [BINARY_INT4, INT4],
      [BINARY_INT8, INT8],
    ]),
  ],
  [
    writeText,
    new Map([
      [BINARY_TEXT, TEXT],
      [BINARY_JSONB, JSONB],
    ]),
  ],
  [writeBoolean, new Map([[BINARY_BOOL, BOOLEAN]])],
  [writeDouble, new Map([[BINARY_FLOAT8, DOUBLE]])],
  [writeFloat, new Map([[BINARY_FLOAT4, FLOAT]])],
  [
    writeTimestamp,
    new Map([
      [BINARY_TIMESTAMP, TIMESTAMP],
      [BINARY_TIMESTAMPTZ, TIMESTAMP],
    ]),
  ],
  [writeDate, new Map([[BINARY_DATE, DATE]])],
  [writeTime, new Map([[BINARY_TIME, TIME]])],
  [writeBytea, new Map([[BINARY_BYTEA, BYTES]])],
])

/** Writes rows in COPY's binary format as an `AvroRecord` writes the same rows in text, byte by byte. For one thread of calls. */
export class BinaryRecord {
  /** Which it is. */
  readonly record: AvroRecord
  readonly #rows: BinaryRows
  readonly #offsets: Int32Array
  readonly #nullable: Uint8Array
  readonly #kinds: Uint8Array
  readonly #scales: Int32Array
  readonly #codecs: readonly AvroCodec[]
  readonly #columns: Int32Array
  /** Those that there may be no room for. */
  readonly #doubtful: Int32Array
  readonly #text = new ByteWriter(256)

  /** `forms`: of the columns of a row; `rows`: of these. */
  constructor(record: AvroRecord, forms: readonly number[], rows: BinaryRows) {
    const { fields } = record
    this.record = record
    this.#rows = rows
    this.#columns = Int32Array.from(fields, ({ index }) => index)
    this.#offsets = Int32Array.from(fields, ({ index }) => 2 * index)
    this.#nullable = Uint8Array.from(fields, ({ nullable }) => (nullable ? 1 : 0))
    this.#kinds = Uint8Array.from(fields, ({ codec, index }) => kindOf(codec, forms[index]!))
    this.#scales = Int32Array.from(fields, ({ codec }) => codec.scale ?? 0)
    this.#codecs = fields.map(({ codec }) => codec)
    const kinds = this.#kinds
    const doubtful = fields
      .map((_, i) => i)
      .filter((i) => {
        const kind = kinds[i]!
        return (
          this.#nullable[i] === 0 ||
          kind === DECIMAL ||
          kind === TIMESTAMP ||
          kind === JSONB ||
          (kind === OTHER && this.#codecs[i]!.fits !== undefined)
        )
      })
    this.#doubtful = Int32Array.from(doubtful)
  }

  /** Whether the record has room for the row whose values lie where the tape says; if not, it may still: see `needOf`. */
  fits(view: DataView, tape: Int32Array): boolean {
    const doubtful = this.#doubtful
    for (let k = 0; k < doubtful.length; k++) {
      const i = doubtful[k]!
      const start = tape[this.#offsets[i]!]!
      if (start < 0) {
        if (this.#nullable[i] === 0) return false
        continue
      }
      switch (this.#kinds[i]) {
        case DECIMAL: {
          const sign = view.getUint16(start + NUMERIC_SIGN)
          if (sign !== NUMERIC_POSITIVE && sign !== NUMERIC_NEGATIVE) return false
          if (view.getUint16(start + NUMERIC_DECIMALS) > this.#scales[i]!) return false
          break
        }
        case TIMESTAMP:
          if (view.getInt32(start) >= LATE_HIGH && view.getBigInt64(start) !== MAX_LONG) return false
          break
        case JSONB:
          if (view.getUint8(start) !== JSONB_VERSION) return false
          break
        case OTHER:
          if (this.#codecs[i]!.fits !== undefined) return false
      }
    }
    return true
  }

  /** What field `i` of the row needs of a record: one of the constants of shape.ts. */
  needOf(i: number, bytes: Uint8Array, view: DataView, tape: Int32Array): number {
    const start = tape[this.#offsets[i]!]!
    if (start < 0) return this.#nullable[i] === 0 ? NULLABLE : AS_IS
    switch (this.#kinds[i]) {
      case DECIMAL: {
        const sign = view.getUint16(start + NUMERIC_SIGN)
        const isNumber = sign === NUMERIC_POSITIVE || sign === NUMERIC_NEGATIVE
        return isNumber && view.getUint16(start + NUMERIC_DECIMALS) <= this.#scales[i]! ? AS_IS : AS_TEXT
      }
      case TIMESTAMP: {
        const micros = view.getBigInt64(start)
        return micros === MAX_LONG || micros + BigInt(SERVER_EPOCH_MICROS) < MAX_LONG ? AS_IS : AS_TEXT
      }
      default: {
        const { fits } = this.#codecs[i]!
        const isKnown = this.#kinds[i] !== JSONB || view.getUint8(start) === JSONB_VERSION
        if (fits === undefined && isKnown) return AS_IS
        const text = this.#textOf(i, bytes, view, start, tape[this.#offsets[i]! + 1]!)
        return fits === undefined || fits(text.bytes, 0, text.length) ? AS_IS : AS_TEXT
      }
    }
  }

  /** Writes it, where it fits. */
  write(writer: ByteRoom, bytes: Uint8Array, view: DataView, tape: Int32Array): void {
    const offsets = this.#offsets
    const kinds = this.#kinds
    const nullable = this.#nullable
    const count = offsets.length
    writer.reserve(FIELD_ROOM * count)
    let to = writer.length
    for (let i = 0; i < count; i++) {
      const pair = offsets[i]!
      const start = tape[pair]!
      if (start === NULL_COLUMN) {
        writer.bytes[to++] = NULL_BRANCH
        continue
      }
      const end = tape[pair + 1]!
      if (nullable[i] !== 0) writer.bytes[to++] = VALUE_BRANCH
      switch (kinds[i]) {
        case TEXT:
        case BYTES:
        case JSONB: {
          const from = kinds[i] === JSONB ? start + 1 : start
          const length = end - from
          writer.length = to
          writer.reserve(length + FIELD_ROOM * (count - i))
          to = putLength(writer.bytes, to, length)
          copyShort(bytes, view, from, end, writer.bytes, writer.view, to)
          to += length
          continue
        }
        case BOOLEAN:
          writer.bytes[to++] = bytes[start]!
          continue
        case INT2:
          to = putInteger(writer.bytes, to, view.getInt16(start))
          continue
        case INT4:
        case DATE:
          to = putInteger(
            writer.bytes,
            to,
            kinds[i] === INT4 ? view.getInt32(start) : daysSince1970(view.getInt32(start)),
          )
          continue
        case INT8:
        case TIME: {
          const high = view.getInt32(start)
          if (high >= -SAFE_HIGH && high < SAFE_HIGH) {
            to = putSafe(writer.bytes, to, high * TWO_32 + view.getUint32(start + 4))
          } else to = putBigLong(writer.bytes, to, view.getBigInt64(start))
          continue
        }
        case TIMESTAMP: {
          const high = view.getInt32(start)
          if (high >= -SAFE_HIGH && high < SAFE_HIGH) {
            to = putSafe(writer.bytes, to, high * TWO_32 + view.getUint32(start + 4) + SERVER_EPOCH_MICROS)
          } else to = putBigLong(writer.bytes, to, microsSince1970(view.getBigInt64(start)))
          continue
        }
        case DOUBLE:
          putDouble(writer.view, to, view.getFloat64(start))
          to += 8
          continue
        case FLOAT:
          putFloat(writer.view, to, view.getFloat32(start))
          to += 4
          continue
        case DECIMAL: {
          const value = shortDecimal(view, start, this.#scales[i]!)
          writer.length = to
          if (value < 0) this.#writeText(writer, i, bytes, view, start, end)
          else writeShortDecimal(writer, value, view.getUint16(start + NUMERIC_SIGN) === NUMERIC_NEGATIVE && value > 0)
          break
        }
        default:
          writer.length = to
          this.#writeText(writer, i, bytes, view, start, end)
      }
      writer.reserve(FIELD_ROOM * (count - i))
      to = writer.length
    }
    writer.length = to
  }

  #writeText(writer: ByteRoom, field: number, bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const text = this.#textOf(field, bytes, view, start, end)
    this.#codecs[field]!.write(writer, text.bytes, 0, text.length)
  }

  /** Until the next call. Throws of a jsonb whose version is not known. */
  #textOf(field: number, bytes: Uint8Array, view: DataView, start: number, end: number): ByteWriter {
    const text = this.#text
    text.length = 0
    this.#rows.writeText(text, this.#columns[field]!, bytes, view, start, end)
    return text
  }
}

function kindOf({ write, scale }: AvroCodec, form: number): number {
  if (form === BINARY_NUMERIC && scale !== undefined) return DECIMAL
  return KINDS.get(write)?.get(form) ?? OTHER
}
