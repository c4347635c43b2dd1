import type { Column } from '../../core/table.js'
import { nameOf, type PgType } from '../../postgres/catalog/types.js'
import { BYTEA, INT8, NUMERIC, TIMESTAMP, TIMESTAMPTZ } from '../builtin.js'
import { arrayCodec } from './array.js'
import type { AvroCodec, AvroOptions } from './codec.js'
import { fitsTimestamp, writeDate, writeTime, writeTimestamp } from './dateTime.js'
import { decimalWriter, fitsDecimal } from './decimal.js'
import { type Decimal, declaredDecimal } from './declaredDecimal.js'
import { writeDouble, writeFloat } from './float.js'
import { writeInteger } from './integer.js'
import {
  writeBoolean,
  writeBytea,
  writeChar,
  writeMended,
  writeText,
  writeTimestampText,
  writeTimestamptzText,
} from './text.js'

const CHAR = 18
const TIME = 1083
const UUID = 2950
const JSON_OID = 114
const JSONB = 3802

const logical = (type: string, name: string) => `{"type":"${type}","logicalType":"${name}"}`
const codec = (schema: string, write: AvroCodec['write'], fits?: AvroCodec['fits']): AvroCodec => ({
  schema,
  write,
  fits,
})

/** What has no Avro type of its own, and every value that its column's type has no room for. */
export const TEXT = codec('"string"', writeText)
const MENDED_TEXT = codec('"string"', writeMended)
const CHAR_TEXT = codec('"string"', writeChar)
const TIMESTAMP_TEXT = codec('"string"', writeTimestampText)
const TIMESTAMPTZ_TEXT = codec('"string"', writeTimestamptzText)
const UUID_STRING = codec(logical('string', 'uuid'), writeText)
const JSON_BYTES = codec('"bytes"', writeText)
const LOCAL_TIMESTAMP = codec(logical('long', 'local-timestamp-micros'), writeTimestamp, fitsTimestamp)

/** By OID; the same alone and in arrays. */
const FIXED: ReadonlyMap<number, AvroCodec> = new Map([
  [16, codec('"boolean"', writeBoolean)],
  [21, codec('"int"', writeInteger)],
  [23, codec('"int"', writeInteger)],
  [INT8, codec('"long"', writeInteger)],
  [700, codec('"float"', writeFloat)],
  [701, codec('"double"', writeDouble)],
  [BYTEA, codec('"bytes"', writeBytea)],
  [CHAR, CHAR_TEXT],
  [1082, codec(logical('int', 'date'), writeDate)],
  [TIME, codec(logical('long', 'time-micros'), writeTime)],
  [TIMESTAMPTZ, codec(logical('long', 'timestamp-micros'), writeTimestamp, fitsTimestamp)],
])

/** The types that Conduit's own connector knows, and gives no unions. */
const CONNECTOR_TYPES: ReadonlySet<number> = new Set([
  ...[16, 21, 23, INT8, 700, 701, NUMERIC, 25, 1043, BYTEA, JSON_OID, JSONB, 1082, TIMESTAMP, TIMESTAMPTZ, UUID],
])

/** What Conduit's own connector makes of a numeric without precision. */
const CONNECTOR_NUMERIC: Decimal = { precision: 65535, scale: 65531 }

/** How the values of `column`, which are of `type`, become Avro. */
export function avroCodecFor(type: PgType, column: Column, options: AvroOptions): AvroCodec {
  const unconstrained = column.typeOid === NUMERIC && column.typmod < 0
  if (unconstrained && options.schemas === 'connector') return decimalCodec(CONNECTOR_NUMERIC)
  return compile(type, declaredDecimal(column), options)
}

/** Whether Conduit's own connector has a schema for it; a domain it does not know, whatever its base. */
export function isConnectorType(type: PgType, column: Column): boolean {
  return type.kind === 'scalar' && type.oid === column.typeOid && CONNECTOR_TYPES.has(type.oid)
}

function compile(type: PgType, decimal: Decimal | undefined, options: AvroOptions): AvroCodec {
  if (type.kind === 'scalar') return scalar(type.oid, decimal, options, false)
  // Of a composite or hstore Conduit reads a record or map of nullable values, and cannot write it again.
  if (type.kind !== 'array' || type.vector) return textOf(type)
  const { element } = type
  // What is nested by way of a domain is no dimension, and would be read as one.
  const item = element.kind === 'scalar' ? scalar(element.oid, decimal, options, true) : textOf(element)
  return arrayCodec(nameOf(type), type.delimiter, item)
}

function scalar(oid: number, decimal: Decimal | undefined, options: AvroOptions, item: boolean): AvroCodec {
  switch (oid) {
    case NUMERIC:
      return decimal === undefined ? TEXT : decimalCodec(decimal)
    case TIMESTAMP:
      // Conduit leaves items of this type wrapped in their union: {"long.local-timestamp-micros": …}
      return item || options.timestamps === 'text' ? TIMESTAMP_TEXT : LOCAL_TIMESTAMP
    case JSON_OID:
    case JSONB:
      return options.json === 'string' ? TEXT : JSON_BYTES
    case UUID:
      return item ? TEXT : UUID_STRING
    default:
      return FIXED.get(oid) ?? TEXT
  }
}

function decimalCodec({ precision, scale }: Decimal): AvroCodec {
  const scaled = scale === 0 ? '' : `,"scale":${scale}`
  const schema = `{"type":"bytes","logicalType":"decimal","precision":${precision}${scaled}}`
  return { ...codec(schema, decimalWriter(scale), fitsDecimal(scale)), scale }
}

/** The codec of a value, of a column of `type`, that has no room in the column's own. */
export function textCodecFor(type: PgType): AvroCodec {
  if (type.kind !== 'scalar') return textOf(type)
  if (type.oid === TIMESTAMP) return TIMESTAMP_TEXT
  return type.oid === TIMESTAMPTZ ? TIMESTAMPTZ_TEXT : TEXT
}

function textOf(type: PgType): AvroCodec {
  return holdsChar(type) ? MENDED_TEXT : TEXT
}

function holdsChar(type: PgType): boolean {
  if (type.kind === 'array') return holdsChar(type.element)
  if (type.kind === 'composite') return type.fields.some((field) => holdsChar(field.type))
  return type.oid === CHAR
}
