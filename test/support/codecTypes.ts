import { type CodecOptions, codecFor } from '../../src/codec/codecFor.js'
import { ByteWriter } from '../../src/core/byteWriter.js'
import type { ArrayType, CompositeType, HstoreType, PgType, ScalarType } from '../../src/postgres/catalog/types.js'

/** OIDs of pg_type.dat that tests ask for by name. */
const OIDS = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  tid: 27,
  json: 114,
  xml: 142,
  point: 600,
  box: 603,
  float4: 700,
  float8: 701,
  money: 790,
  inet: 869,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  bit: 1560,
  numeric: 1700,
  regclass: 2205,
  uuid: 2950,
  pg_lsn: 3220,
  tsvector: 3614,
  jsonb: 3802,
  int4range: 3904,
  tstzrange: 3910,
  daterange: 3912,
  jsonpath: 4072,
  int4multirange: 4451,
  xid8: 5069,
} as const

export type BuiltinName = keyof typeof OIDS

const builtins = new Map<string, ScalarType>()

export function builtin(name: BuiltinName): ScalarType {
  const known = builtins.get(name)
  if (known !== undefined) return known
  const type: ScalarType = {
    kind: 'scalar',
    oid: OIDS[name],
    schema: 'pg_catalog',
    name,
    variety: 'base',
    jsonCast: null,
  }
  builtins.set(name, type)
  return type
}

let userOid = 16_384

export function userScalar(name: string, variety: ScalarType['variety'] = 'enum'): ScalarType {
  return { kind: 'scalar', oid: userOid++, schema: 'public', name, variety, jsonCast: null }
}

export function arrayOf(element: PgType, delimiter = ','): ArrayType {
  const { schema, name } = element
  return {
    kind: 'array',
    oid: userOid++,
    schema,
    name: `${name}[]`,
    element,
    delimiter: delimiter.charCodeAt(0),
    vector: false,
  }
}

export const int2vector: ArrayType = { ...arrayOf(builtin('int2')), oid: 22, name: 'int2vector', vector: true }
export const oidvector: ArrayType = { ...arrayOf(builtin('oid')), oid: 30, name: 'oidvector', vector: true }

export function compositeOf(fields: Readonly<Record<string, PgType>>): CompositeType {
  const oid = userOid++
  return {
    kind: 'composite',
    oid,
    schema: 'shop',
    name: `row_${oid}`,
    fields: Object.entries(fields).map(([name, type]) => ({ name, type })),
  }
}

export const hstore: HstoreType = { kind: 'hstore', oid: userOid++, schema: 'public', name: 'hstore' }

/** Our JSON of a value, given as the server prints it. */
export function toJson(type: PgType, text: string | Buffer, options?: CodecOptions): string {
  return toJsonBytes(type, Buffer.from(text as string), options).toString()
}

export function toJsonBytes(type: PgType, text: Buffer, options?: CodecOptions): Buffer {
  const writer = new ByteWriter(16)
  codecFor(type, options).writeJson(writer, text, 0, text.length)
  return writer.toBuffer()
}

/** Our JavaScript value of a value, given as the server prints it. */
export function toValue(type: PgType, text: string | Buffer, options?: CodecOptions): unknown {
  const bytes = Buffer.from(text as string)
  return codecFor(type, options).readValue(bytes, 0, bytes.length)
}
