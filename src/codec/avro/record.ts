import type { ByteRoom } from '../../core/byteWriter.js'
import { copyShort } from '../../core/copyShort.js'
import type { Column } from '../../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../core/tape.js'
import type { AvroCodec } from './codec.js'
import { writeTimestamp } from './dateTime.js'
import { writeDouble } from './float.js'
import { putShortInteger, SHORT_DIGITS, writeInteger } from './integer.js'
import { ORIGINAL_NAME } from './read/schema.js'
import { writeBoolean, writeText } from './text.js'
import { putLength, VARINT_ROOM } from './varint.js'

// record:    its fields, one behind the other, nothing between
// nullable:  of a union ["null", T]: 0 for null, else 2 (the zigzag of 1) and the value

/** A branch of a union and a number, or the length of what asks for its own room. */
const FIELD_ROOM = 1 + VARINT_ROOM
const LOWER_T = 0x74
const NULL_BRANCH = 0
const VALUE_BRANCH = 2

export interface AvroField {
  /** The column's, in its table. */
  readonly index: number
  readonly column: Column
  /** What the schema calls it: the column's name, where Avro takes it. */
  readonly name: string
  readonly codec: AvroCodec
  readonly nullable: boolean
}

/** One Avro schema, and the writer of rows that it has room for. */
export class AvroRecord {
  readonly name: string
  readonly fields: readonly AvroField[]
  /** The schema as JSON text: the same text for the same shape. */
  readonly schema: string
  readonly #offsets: Int32Array
  readonly #nullable: Uint8Array
  readonly #kinds: Uint8Array
  readonly #codecs: readonly AvroCodec[]

  constructor(name: string, fields: readonly AvroField[]) {
    this.name = name
    this.fields = fields
    this.schema = `{"name":"${name}","type":"record","fields":[${fields.map(fieldText).join(',')}]}`
    this.#offsets = Int32Array.from(fields, ({ index }) => 2 * index)
    this.#nullable = Uint8Array.from(fields, ({ nullable }) => (nullable ? 1 : 0))
    this.#kinds = Uint8Array.from(fields, ({ codec }) => KINDS.get(codec.write) ?? KIND_OTHER)
    this.#codecs = fields.map(({ codec }) => codec)
  }

  /**
   * Writes the tuple at `tape[at]`, whose bytes lie in `bytes` (and `view`, the same). An unchanged column is taken from
   * the tuple at `fallback`. It must be of this record: see `AvroShape.recordFor`.
   */
  write(writer: ByteRoom, bytes: Uint8Array, view: DataView, tape: Int32Array, at: number, fallback: number): void {
    const offsets = this.#offsets
    const kinds = this.#kinds
    const nullable = this.#nullable
    const count = offsets.length
    // Whoever takes more asks for it.
    writer.reserve(FIELD_ROOM * count)
    let to = writer.length
    for (let i = 0; i < count; i++) {
      let pair = at + offsets[i]!
      if (tape[pair] === UNCHANGED_COLUMN) pair = fallback + offsets[i]!
      const start = tape[pair]!
      const end = tape[pair + 1]!
      if (start < 0) {
        if (start !== NULL_COLUMN || nullable[i] === 0) throw this.#misfit(i)
        writer.bytes[to++] = NULL_BRANCH
        continue
      }
      if (nullable[i] !== 0) writer.bytes[to++] = VALUE_BRANCH
      switch (kinds[i]) {
        case KIND_TEXT: {
          const length = end - start
          writer.length = to
          writer.reserve(length + FIELD_ROOM * (count - i))
          to = putLength(writer.bytes, to, length)
          copyShort(bytes, view, start, end, writer.bytes, writer.view, to)
          to += length
          continue
        }
        case KIND_BOOLEAN:
          writer.bytes[to++] = bytes[start] === LOWER_T ? 1 : 0
          continue
        case KIND_INTEGER:
          if (end - start <= SHORT_DIGITS) {
            to = putShortInteger(writer.bytes, to, bytes, start, end)
            continue
          }
          writer.length = to
          writeInteger(writer, bytes, start, end)
          break
        case KIND_TIMESTAMP:
          writer.length = to
          writeTimestamp(writer, bytes, start, end)
          break
        case KIND_DOUBLE:
          writer.length = to
          writeDouble(writer, bytes, start, end)
          break
        default:
          writer.length = to
          this.#codecs[i]!.write(writer, bytes, start, end)
          writer.reserve(FIELD_ROOM * (count - i))
      }
      to = writer.length
    }
    writer.length = to
  }

  #misfit(field: number): Error {
    return new Error(`field ${this.fields[field]!.name} of Avro record ${this.name} has no room for what its row has`)
  }
}

// What is called by name is inlined; one call of whatever a column has would be of any of twenty functions.
const KIND_OTHER = 0
const KIND_TEXT = 1
const KIND_INTEGER = 2
const KIND_TIMESTAMP = 3
const KIND_DOUBLE = 4
const KIND_BOOLEAN = 5
const KINDS: ReadonlyMap<AvroCodec['write'], number> = new Map([
  [writeText, KIND_TEXT],
  [writeInteger, KIND_INTEGER],
  [writeTimestamp, KIND_TIMESTAMP],
  [writeDouble, KIND_DOUBLE],
  [writeBoolean, KIND_BOOLEAN],
])

/** The column's own name stands beside a name that Avro made necessary. */
function fieldText({ name, column, codec, nullable }: AvroField): string {
  const type = nullable ? `["null",${codec.schema}]` : codec.schema
  const original = name === column.name ? '' : `,"${ORIGINAL_NAME}":${JSON.stringify(column.name)}`
  return `{"name":"${name}","type":${type}${original}}`
}
