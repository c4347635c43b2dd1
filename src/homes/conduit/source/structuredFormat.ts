import { INT8 } from '../../../codec/builtin.js'
import * as form from '../../../codec/json/form.js'
import { NO_FALLBACK } from '../../../codec/json/row.js'
import { ByteWriter } from '../../../core/byteWriter.js'
import type { Table } from '../../../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../../core/tape.js'
import { type PayloadFormat, type TableFormat, type Tuple, WITHOUT_SCHEMA } from './payloadFormat.js'
import type { ProtoWriter } from './protoWriter.js'

/** Data: `Struct structured_data = 2`. */
const STRUCTURED_DATA = 0x12
/** Struct: an entry of `map<string, Value> fields = 1`, its key and its value. */
const FIELD = 0x0a
const FIELD_KEY = 0x0a
const FIELD_VALUE = 0x12
/** Value: `oneof kind`. */
const NULL_VALUE = 0x08
const NUMBER_VALUE = 0x11
const STRING_VALUE = 0x1a
const BOOL_VALUE = 0x20
const STRUCT_VALUE = 0x2a
const LIST_VALUE = 0x32
/** ListValue: `repeated Value values = 1`. */
const ELEMENT = 0x0a

const TRUE = 0x74
const MINUS = 0x2d
/** A whole number of so many digits is a double without loss. */
const SAFE_DIGITS = 15

/**
 * Structured data: fields by name, as processors take them. What a double cannot hold is text: numeric always, bigint
 * beyond 2^53, NaN and the infinities. Arrays and composites are lists and fields; the rest is text, as in JSON.
 */
export const structuredFormat: PayloadFormat = {
  compile(table: Table): TableFormat {
    const key = new StructLayout(table, table.key)
    const row = new StructLayout(table, table.selected)
    const writeKey = (writer: ProtoWriter, tuple: Tuple) => key.write(writer, tuple)
    return { ...WITHOUT_SCHEMA, writeKey, writeRow: (writer, tuple) => row.write(writer, tuple), writeOldKey: writeKey }
  },
}

class StructLayout {
  readonly #table: Table
  readonly #columns: readonly number[]
  /** `key` of each field's entry, with tag and length. */
  readonly #keys: readonly Buffer[]
  readonly #scratch = new ByteWriter(1024)

  constructor(table: Table, columns: readonly number[]) {
    this.#table = table
    this.#columns = columns
    this.#keys = columns.map((column) => keyField(table.columns[column]!.name))
  }

  write(writer: ProtoWriter, { bytes, tape, at, fallback }: Tuple): void {
    const struct = writer.open(STRUCTURED_DATA)
    for (let i = 0; i < this.#columns.length; i++) {
      const column = this.#columns[i]!
      let pair = at + 2 * column
      if (tape[pair] === UNCHANGED_COLUMN) {
        if (fallback === NO_FALLBACK) continue
        pair = fallback + 2 * column
      }
      const field = writer.open(FIELD)
      writer.write(this.#keys[i]!)
      const value = writer.open(FIELD_VALUE)
      const start = tape[pair]!
      if (start === NULL_COLUMN) {
        writer.byte(NULL_VALUE)
        writer.byte(0)
      } else this.#writeValue(writer, column, bytes, start, tape[pair + 1]!)
      writer.close(value)
      writer.close(field)
    }
    writer.close(struct)
  }

  #writeValue(writer: ProtoWriter, column: number, bytes: Buffer, start: number, end: number): void {
    const codec = this.#table.codecs[column]!
    switch (codec.form) {
      case form.FORM_TEXT:
        return writer.fieldOf(STRING_VALUE, bytes, start, end)
      case form.FORM_PLAIN:
        if (this.#table.columns[column]!.typeOid !== INT8) return writer.fieldOf(STRING_VALUE, bytes, start, end)
        return writeInteger(writer, bytes, start, end)
      case form.FORM_BOOL:
        writer.byte(BOOL_VALUE)
        return writer.byte(bytes[start] === TRUE ? 1 : 0)
      case form.FORM_NUMBER: {
        const number = Number(bytes.toString('latin1', start, end))
        if (Number.isFinite(number)) return writeNumber(writer, number)
        return writer.fieldOf(STRING_VALUE, bytes, start, end)
      }
      case form.FORM_TOKEN:
        if (isInteger(bytes, start, end)) return writeInteger(writer, bytes, start, end)
        break
      case form.FORM_TIMESTAMP:
      case form.FORM_TIMESTAMPTZ: {
        // In quotes, and nothing in it that JSON escapes.
        this.#scratch.clear()
        codec.writeJson(this.#scratch, bytes, start, end)
        return writer.fieldOf(STRING_VALUE, this.#scratch.bytes, 1, this.#scratch.length - 1)
      }
    }
    this.#scratch.clear()
    codec.writeJson(this.#scratch, bytes, start, end)
    writeJson(writer, JSON.parse(this.#scratch.toBuffer().toString()))
  }
}

/** What JSON has for arrays, composites, json and all other types. */
function writeJson(writer: ProtoWriter, value: unknown): void {
  switch (typeof value) {
    case 'string':
      return writer.field(STRING_VALUE, Buffer.from(value))
    case 'number':
      return writeNumber(writer, value)
    case 'boolean':
      writer.byte(BOOL_VALUE)
      return writer.byte(value ? 1 : 0)
  }
  if (value === null) {
    writer.byte(NULL_VALUE)
    writer.byte(0)
  } else if (Array.isArray(value)) {
    const list = writer.open(LIST_VALUE)
    for (const one of value) {
      const element = writer.open(ELEMENT)
      writeJson(writer, one)
      writer.close(element)
    }
    writer.close(list)
  } else {
    const struct = writer.open(STRUCT_VALUE)
    for (const [name, one] of Object.entries(value as object)) {
      const field = writer.open(FIELD)
      writer.write(keyField(name))
      const inner = writer.open(FIELD_VALUE)
      writeJson(writer, one)
      writer.close(inner)
      writer.close(field)
    }
    writer.close(struct)
  }
}

function writeInteger(writer: ProtoWriter, bytes: Buffer, start: number, end: number): void {
  const negative = bytes[start] === MINUS
  if (end - start <= SAFE_DIGITS) {
    let number = 0
    for (let p = negative ? start + 1 : start; p < end; p++) number = 10 * number + bytes[p]! - 0x30
    return writeNumber(writer, negative ? -number : number)
  }
  const number = Number(bytes.toString('latin1', start, end))
  if (Number.isSafeInteger(number)) writeNumber(writer, number)
  else writer.fieldOf(STRING_VALUE, bytes, start, end)
}

function writeNumber(writer: ProtoWriter, value: number): void {
  writer.byte(NUMBER_VALUE)
  writer.double(value)
}

function isInteger(bytes: Buffer, start: number, end: number): boolean {
  for (let p = bytes[start] === MINUS ? start + 1 : start; p < end; p++) {
    if (bytes[p]! < 0x30 || bytes[p]! > 0x39) return false
  }
  return true
}

function keyField(name: string): Buffer {
  const text = Buffer.from(name)
  const length: number[] = []
  let rest = text.length
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([FIELD_KEY, ...length, rest]), text])
}
