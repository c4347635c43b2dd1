import type { Table } from '../../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../core/tape.js'
import { typeOf } from '../codecFor.js'
import { NO_FALLBACK } from '../json/row.js'
import type { AvroCodec, AvroOptions } from './codec.js'
import { avroCodecFor, isConnectorType, TEXT, textCodecFor } from './codecFor.js'
import { byBytes, fieldNames, legalName } from './names.js'
import { type AvroField, AvroRecord } from './record.js'

/** A row needs nothing else than the shape's own record. */
export const AS_IS = 0
/** A column is unchanged and was not sent: the record goes without it, since null would be a lie. */
const ABSENT = 1
/** A value has no room in its column's type: there the column is a string. */
export const AS_TEXT = 2
/** NULL in a column that is NOT NULL by now. */
export const NULLABLE = 4

/** No second tuple that is written by the same record. */
export const NO_TUPLE = -1

/**
 * The Avro schemas of some columns of a table. Nearly all rows are of `record`; what it has no room for (a value that was not
 * sent, NaN in a decimal, a second dimension, NULL where `connector` schemas take none) is written by another record, the
 * same but for the columns concerned. So no row is refused, and no value is changed to fit.
 */
export class AvroShape {
  readonly record: AvroRecord
  readonly #table: Table
  readonly #variants = new Map<string, AvroRecord>()
  /** What the row before this one needed, and its record where that was not `record`: rows of a kind come in company. */
  readonly #needs: Uint8Array
  #last: AvroRecord | undefined
  readonly #offsets: Int32Array
  readonly #nullable: Uint8Array
  readonly #fits: readonly AvroCodec['fits'][]

  constructor(table: Table, columns: readonly number[], name: string, options: AvroOptions) {
    this.#table = table
    this.record = new AvroRecord(name, fieldsOf(table, columns, options))
    this.#needs = new Uint8Array(columns.length)
    const { fields } = this.record
    this.#offsets = Int32Array.from(fields, ({ index }) => 2 * index)
    this.#nullable = Uint8Array.from(fields, ({ nullable }) => (nullable ? 1 : 0))
    this.#fits = fields.map(({ codec: { fits } }) => fits)
  }

  /**
   * The record for the tuple at `tape[at]`, with unchanged columns from the tuple at `fallback` (or `NO_FALLBACK`), and,
   * for both, for the one at `other` (or `NO_TUPLE`).
   */
  recordFor(bytes: Uint8Array, tape: Int32Array, at: number, fallback: number, other: number = NO_TUPLE): AvroRecord {
    const isPlain = this.#isPlain(bytes, tape, at, fallback)
    if (isPlain && (other === NO_TUPLE || this.#isPlain(bytes, tape, other, NO_FALLBACK))) return this.record
    const { fields } = this.record
    const needs = this.#needs
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!
      const pair = at + 2 * field.index
      const resolved = tape[pair] === UNCHANGED_COLUMN && fallback !== NO_FALLBACK ? fallback + 2 * field.index : pair
      let need = needOf(field, bytes, tape[resolved]!, tape[resolved + 1]!)
      if (other !== NO_TUPLE) {
        need |= needOf(field, bytes, tape[other + 2 * field.index]!, tape[other + 2 * field.index + 1]!)
      }
      if (need !== needs[i]) {
        needs[i] = need
        this.#last = undefined
      }
    }
    this.#last ??= this.variant(needs)
    return this.#last
  }

  /** Whether `record` has room for all of a tuple, as nearly always. */
  #isPlain(bytes: Uint8Array, tape: Int32Array, at: number, fallback: number): boolean {
    const count = this.#offsets.length
    for (let i = 0; i < count; i++) {
      let pair = at + this.#offsets[i]!
      if (tape[pair] === UNCHANGED_COLUMN && fallback !== NO_FALLBACK) pair = fallback + this.#offsets[i]!
      const start = tape[pair]!
      if (start < 0) {
        if (start !== NULL_COLUMN || this.#nullable[i] === 0) return false
        continue
      }
      const fits = this.#fits[i]
      if (fits !== undefined && !fits(bytes, start, tape[pair + 1]!)) return false
    }
    return true
  }

  /** The record of a row of whose fields each needs this. */
  variant(needs: Uint8Array): AvroRecord {
    if (needs.every((need) => need === AS_IS)) return this.record
    const key = needs.join()
    const known = this.#variants.get(key)
    if (known !== undefined) return known
    const fields = this.record.fields.flatMap((field, i): AvroField[] => {
      const need = needs[i]!
      if ((need & ABSENT) !== 0) return []
      const type = typeOf(this.#table.codecs[field.index]!)
      const codec = (need & AS_TEXT) === 0 ? field.codec : type === undefined ? TEXT : textCodecFor(type)
      return [{ ...field, codec, nullable: field.nullable || (need & NULLABLE) !== 0 }]
    })
    const variant = new AvroRecord(this.record.name, fields)
    this.#variants.set(key, variant)
    return variant
  }
}

function needOf({ nullable, codec: { fits } }: AvroField, bytes: Uint8Array, start: number, end: number): number {
  if (start < 0) return start === UNCHANGED_COLUMN ? ABSENT : !nullable && start === NULL_COLUMN ? NULLABLE : AS_IS
  return fits === undefined || fits(bytes, start, end) ? AS_IS : AS_TEXT
}

function fieldsOf(table: Table, columns: readonly number[], options: AvroOptions): AvroField[] {
  const names = fieldNames(columns.map((index) => table.columns[index]!.name))
  return columns
    .map((index): AvroField => {
      const column = table.columns[index]!
      const type = typeOf(table.codecs[index]!)
      const codec = type === undefined ? TEXT : avroCodecFor(type, column, options)
      const known = options.schemas === 'connector' && type !== undefined && isConnectorType(type, column)
      const nullable = !known && !(column.notNull && table.key.includes(index))
      return { index, column, name: names.get(column.name)!, codec, nullable }
    })
    .sort((a, b) => byBytes(a.column.name, b.column.name))
}

/** The schemas of a table's rows and of its keys. */
export interface AvroTable {
  /** Undefined: the table has no key. */
  readonly key: AvroShape | undefined
  readonly payload: AvroShape
}

/**
 * The schemas of one shape of a table, named after it as Conduit's own connector does: `orders_payload`, `orders_key`;
 * fields in the order of their columns' names, by bytes.
 */
export function avroTable(table: Table, options: AvroOptions = {}): AvroTable {
  const name = legalName(table.name)
  return {
    key: table.key.length === 0 ? undefined : new AvroShape(table, table.key, `${name}_key`, options),
    payload: new AvroShape(table, table.selected, `${name}_payload`, options),
  }
}
