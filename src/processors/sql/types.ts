import { typeOf } from '../../codec/codecFor.js'
import type { Table } from '../../core/table.js'
import { float4Text, float8Text } from '../../postgres/binary/floatText.js'
import { DAY, formatDate, formatTimestamp, parseDate, parseTimestamp } from './dateTime.js'
import { type Decimal, formatDecimal, parseDecimal } from './decimal.js'

/**
 * `other`: a type of which only its text is known. `unknown`: a literal that has not met a type yet. `any`: a column of a
 * table that is not known yet.
 */
export type SqlType =
  | 'bool'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'numeric'
  | 'float4'
  | 'float8'
  | 'text'
  | 'bpchar'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'uuid'
  | 'bytea'
  | 'json'
  | 'jsonb'
  | 'enum'
  | 'inet'
  | 'other'
  | 'unknown'
  | 'any'

/**
 * Of int2, int4, the floats and dates a number; of int8 and timestamps a bigint (microseconds since 1970); of numeric a
 * decimal; of bytea its hex; of all else a string.
 */
export type Value = boolean | number | bigint | string | Decimal

const BY_OID: ReadonlyMap<number, SqlType> = new Map<number, SqlType>([
  [16, 'bool'],
  [21, 'int2'],
  [23, 'int4'],
  [20, 'int8'],
  [1700, 'numeric'],
  [700, 'float4'],
  [701, 'float8'],
  [25, 'text'],
  [1043, 'text'],
  [19, 'text'],
  [1042, 'bpchar'],
  [1082, 'date'],
  [1114, 'timestamp'],
  [1184, 'timestamptz'],
  [2950, 'uuid'],
  [17, 'bytea'],
  [114, 'json'],
  [3802, 'jsonb'],
  [869, 'inet'],
])

/** The type of a table's column; a domain is what it is of. */
export function columnType({ columns, codecs }: Table, index: number): SqlType {
  const type = codecs[index] && typeOf(codecs[index])
  if (type?.kind === 'scalar' && type.variety === 'enum') return 'enum'
  return BY_OID.get(type?.oid ?? columns[index]!.typeOid) ?? 'other'
}

/** How messages name it. */
export const TYPE_NAMES: Readonly<Record<SqlType, string>> = {
  bool: 'boolean',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  numeric: 'numeric',
  float4: 'real',
  float8: 'double precision',
  text: 'text',
  bpchar: 'character',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamp with time zone',
  uuid: 'uuid',
  bytea: 'bytea',
  json: 'json',
  jsonb: 'jsonb',
  enum: 'an enum',
  inet: 'inet',
  other: 'a type that has no operators here',
  unknown: 'a literal',
  any: 'any type',
}

const TRUE = 'true'
const FALSE = 'false'
const UUID = /^\{?([0-9a-f]{4}-?){7}[0-9a-f]{4}\}?$/i

const INTEGER_BOUNDS = {
  int2: [-32_768n, 32_767n],
  int4: [-2_147_483_648n, 2_147_483_647n],
  int8: [-(1n << 63n), (1n << 63n) - 1n],
} as const

/** A text as a value of `type`, as the type's input function reads it; undefined: it is none. */
export function parseValue(type: SqlType, text: string): Value | undefined {
  switch (type) {
    case 'bool':
      return parseBool(text)
    case 'int2':
    case 'int4':
    case 'int8':
      return parseInteger(type, text)
    case 'numeric':
      return parseDecimal(text)
    case 'float4':
    case 'float8':
      return parseFloating(type, text)
    case 'date':
      return parseDate(text) ?? dayOf(parseTimestamp(text, false))
    case 'timestamp':
      return parseTimestamp(text, false)
    case 'timestamptz':
      return parseTimestamp(text, true)
    case 'uuid':
      return UUID.test(text) && text.startsWith('{') === text.endsWith('}') ? canonicalUuid(text) : undefined
    case 'bytea':
      return /^\\x([0-9a-f]{2})*$/i.test(text) ? text.slice(2).toLowerCase() : undefined
    case 'bpchar':
    case 'text':
    case 'enum':
    case 'json':
    case 'unknown':
      return text
    default:
      return undefined
  }
}

function dayOf(micros: bigint | undefined): number | undefined {
  return micros === undefined || micros % DAY !== 0n ? undefined : Number(micros / DAY)
}

function parseBool(text: string): boolean | undefined {
  const word = text.trim().toLowerCase()
  if (word === '') return undefined
  if (TRUE.startsWith(word) || 'yes'.startsWith(word) || word === 'on' || word === '1') return true
  if (FALSE.startsWith(word) || 'no'.startsWith(word) || word === 'off' || word === 'of' || word === '0') return false
  return undefined
}

function parseInteger(type: 'int2' | 'int4' | 'int8', text: string): number | bigint | undefined {
  if (!/^\s*[-+]?\d{1,40}\s*$/.test(text)) return undefined
  return toInteger(type, BigInt(text.trim().replace('+', '')))
}

/** Undefined: out of the type's range. */
export function toInteger(type: 'int2' | 'int4' | 'int8', value: bigint): number | bigint | undefined {
  const [least, greatest] = INTEGER_BOUNDS[type]
  if (value < least || value > greatest) return undefined
  return type === 'int8' ? value : Number(value)
}

function parseFloating(type: 'float4' | 'float8', text: string): number | undefined {
  const word = text.trim()
  if (/^nan$/i.test(word)) return Number.NaN
  if (/^[-+]?inf(inity)?$/i.test(word))
    return word.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(word)) return undefined
  const value = type === 'float4' ? Math.fround(Number(word)) : Number(word)
  const tooSmall = value === 0 && /[1-9]/.test(word.replace(/e.*$/i, ''))
  return Number.isFinite(value) && !tooSmall ? value : undefined
}

function canonicalUuid(text: string): string {
  const hex = text.replace(/[{}-]/g, '').toLowerCase()
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The text form, as the type's output function prints it. */
export function formatValue(type: SqlType, value: Value): string {
  switch (type) {
    case 'bool':
      return value === true ? 't' : 'f'
    case 'numeric':
      return formatDecimal(value as Decimal)
    case 'float4':
      return float4Text(value as number)
    case 'float8':
      return float8Text(value as number)
    case 'date':
      return formatDate(value as number)
    case 'timestamp':
    case 'timestamptz':
      return formatTimestamp(value as bigint, type === 'timestamptz')
    case 'bytea':
      return `\\x${value}`
    default:
      return String(value)
  }
}

/** Makes the value of a text that came from the server. */
export type ReadColumn = (bytes: Uint8Array, start: number, end: number) => Value

export function columnReader(type: SqlType): ReadColumn {
  if (type === 'int2' || type === 'int4') return readSmallInteger
  if (type === 'int8') return readBigInteger
  if (type === 'bool') return (bytes, start) => bytes[start] === 0x74
  if (type === 'enum' || type === 'inet' || type === 'other' || type === 'jsonb') return textAt
  if (type === 'numeric') return readNumeric
  // What the server printed it also reads.
  return (bytes, start, end) => parseValue(type, textAt(bytes, start, end))!
}

/** More digits than these make a number that loses some. */
export const SAFE_DIGITS = 15

function readNumeric(bytes: Uint8Array, start: number, end: number): Decimal {
  const negative = bytes[start] === 0x2d
  let units = 0
  let point = -1
  if (end - start > SAFE_DIGITS) return parseDecimal(textAt(bytes, start, end))!
  for (let p = negative ? start + 1 : start; p < end; p++) {
    const digit = bytes[p]! - 0x30
    if (digit >= 0 && digit <= 9) units = units * 10 + digit
    else if (digit === -2) point = p
    else return parseDecimal(textAt(bytes, start, end))!
  }
  return { units: BigInt(negative ? -units : units), scale: point < 0 ? 0 : end - point - 1 }
}

export function readSmallInteger(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === 0x2d
  let value = 0
  for (let p = negative ? start + 1 : start; p < end; p++) value = value * 10 + bytes[p]! - 0x30
  return negative ? -value : value
}

function readBigInteger(bytes: Uint8Array, start: number, end: number): bigint {
  if (end - start > SAFE_DIGITS) return BigInt(textAt(bytes, start, end))
  return BigInt(readSmallInteger(bytes, start, end))
}

export function textAt(bytes: Uint8Array, start: number, end: number): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return buffer.toString('utf8', start, end)
}
