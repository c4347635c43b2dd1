import type { PgType } from '../../postgres/catalog/types.js'

/** The types that a file's `stream_schema` may declare: Blink's, then those that it lacks. */
export const DECLARED_TYPES = [
  ...['Boolean', 'Int16', 'Int32', 'Int64', 'Uint64', 'Float32', 'Float64', 'String', 'UUID', 'Inet', 'MAC', 'bytea'],
  ...['Date32', 'JSON', 'List<Int64>', 'List<Float64>', 'List<String>', 'List<JSON>'],
  ...['Decimal', 'Timestamp', 'TimestampTz', 'Time', 'Interval'],
] as const

/** By built-in type: what a column of it can be declared as besides `String`, the usual one first. */
export const ACCEPTED_TYPES: Readonly<Record<string, readonly string[]>> = {
  bool: ['Boolean'],
  int2: ['Int16', 'Int32', 'Int64'],
  int4: ['Int32', 'Int64'],
  oid: ['Int64', 'Int32'],
  int8: ['Int64', 'Uint64'],
  float4: ['Float32', 'Float64'],
  float8: ['Float64', 'Float32'],
  numeric: ['Decimal', 'Float64', 'Int64', 'Int32'],
  uuid: ['UUID'],
  json: ['JSON'],
  jsonb: ['JSON'],
  bytea: ['bytea'],
  inet: ['Inet'],
  cidr: ['Inet'],
  macaddr: ['MAC'],
  macaddr8: ['MAC'],
  date: ['Date32'],
  timestamp: ['Timestamp'],
  timestamptz: ['TimestampTz'],
  time: ['Time'],
  timetz: ['Time'],
  interval: ['Interval'],
}

const LISTS: Readonly<Record<string, readonly string[]>> = {
  int2: ['List<Int64>'],
  int4: ['List<Int64>'],
  int8: ['List<Int64>'],
  float4: ['List<Float64>'],
  float8: ['List<Float64>'],
  numeric: ['List<Float64>'],
  json: ['List<JSON>'],
  jsonb: ['List<JSON>'],
}

/** What a column of `type` can be declared as, the usual one first. `String` always is among them. */
export function acceptedFor(type: PgType): readonly string[] {
  if (type.kind === 'array' && !type.vector) {
    const lists = type.element.kind === 'scalar' ? LISTS[type.element.name] : undefined
    return [...(lists ?? ['List<String>']), 'String']
  }
  const own = type.kind === 'scalar' && type.schema === 'pg_catalog' ? ACCEPTED_TYPES[type.name] : undefined
  return [...(own ?? []), 'String']
}
