import type { PgType } from '../../../postgres/catalog/types.js'

export type JsonSchema = { readonly [key: string]: unknown }

export interface SchemaOptions {
  readonly bytea: 'base64' | 'hex'
  readonly bigNumbers: 'number' | 'string'
}

const text: JsonSchema = { type: 'string' }
const integer: JsonSchema = { type: 'integer' }
const number: JsonSchema = { type: 'number' }
const document: JsonSchema = { type: ['object', 'array', 'string', 'number', 'boolean'], airbyte_type: 'json' }
const temporal = (format: string, airbyteType?: string): JsonSchema => ({
  type: 'string',
  format,
  ...(airbyteType !== undefined && { airbyte_type: airbyteType }),
})

/** Of built-in types that are no text in JSON, or of a format, by OID; numbers as docs/airbyte.md has them. */
const SCALARS: ReadonlyMap<number, JsonSchema> = new Map([
  [16, { type: 'boolean' }],
  [21, integer],
  [23, integer],
  [20, integer],
  [700, number],
  [701, number],
  [1700, number],
  [1082, temporal('date')],
  [1083, temporal('time', 'time_without_timezone')],
  [1266, temporal('time', 'time_with_timezone')],
  [1114, temporal('date-time', 'timestamp_without_timezone')],
  [1184, temporal('date-time', 'timestamp_with_timezone')],
  [114, document],
  [3802, document],
])

const INT8 = 20
const NUMERIC = 1700
const BYTEA = 17

/** What a JSON Schema says of the values of a type, null among them unless `notNull`. */
export function jsonSchemaOf(type: PgType, options: SchemaOptions, notNull = false): JsonSchema {
  const schema = schemaOf(type, options)
  return notNull ? schema : { ...schema, type: [schema.type, 'null'].flat() }
}

function schemaOf(type: PgType, options: SchemaOptions): JsonSchema {
  switch (type.kind) {
    case 'scalar':
      return scalar(type.oid, options)
    case 'hstore':
      return { type: 'object', additionalProperties: true }
    case 'composite':
      return { type: 'object', additionalProperties: true }
    case 'array':
      return { type: 'array', items: type.vector ? integer : itemsOf(type.element, options) }
  }
}

/** A column's arrays may have any number of dimensions; NaN within is a text. */
function itemsOf(element: PgType, options: SchemaOptions): JsonSchema {
  const schema = schemaOf(element, options)
  const types = [schema.type, schema.type === 'number' ? 'string' : [], 'array', 'null'].flat(2)
  const { format: _, airbyte_type: __, ...rest } = schema
  return { ...rest, type: [...new Set(types)] }
}

function scalar(oid: number, { bytea, bigNumbers }: SchemaOptions): JsonSchema {
  if (bigNumbers === 'string' && oid === INT8) return { type: 'string', airbyte_type: 'big_integer' }
  if (bigNumbers === 'string' && oid === NUMERIC) return text
  if (oid === BYTEA && bytea === 'base64') return { type: 'string', contentEncoding: 'base64' }
  return SCALARS.get(oid) ?? text
}
