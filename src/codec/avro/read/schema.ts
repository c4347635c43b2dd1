import { AVRO_SCHEMA_INVALID } from '../../../core/avroErrors.js'

export type Primitive = 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string'

export type Logical =
  | 'date'
  | 'time-millis'
  | 'time-micros'
  | 'timestamp-millis'
  | 'timestamp-micros'
  | 'timestamp-nanos'
  | 'local-timestamp-millis'
  | 'local-timestamp-micros'
  | 'local-timestamp-nanos'

export interface SchemaField {
  readonly name: string
  /** What the column is called: the field's name, or what the writer kept beside it. */
  readonly column: string
  readonly type: SchemaNode
}

/** A schema as a tree; a named type that is part of itself is the same object again. */
export type SchemaNode =
  | { readonly kind: 'primitive'; readonly type: Primitive }
  | { readonly kind: 'logical'; readonly logical: Logical }
  /** A string; Conduit's own connector writes "" for NULL. */
  | { readonly kind: 'uuid' }
  | { readonly kind: 'decimal'; readonly scale: number; readonly size: number | undefined }
  | { readonly kind: 'fixed'; readonly size: number; readonly logical: 'uuid' | 'duration' | undefined }
  | { readonly kind: 'enum'; readonly symbols: readonly string[] }
  | { readonly kind: 'array'; readonly items: SchemaNode }
  | { readonly kind: 'map'; readonly values: SchemaNode }
  | { readonly kind: 'record'; readonly fields: SchemaField[] }
  | { readonly kind: 'union'; readonly branches: readonly SchemaNode[] }

const PRIMITIVES: ReadonlySet<string> = new Set<Primitive>([
  ...(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'] as const),
])

/** What each logical type lies in; on anything else it means nothing (Avro's own rule). */
const LOGICALS: ReadonlyMap<string, Primitive> = new Map<Logical, Primitive>([
  ['date', 'int'],
  ['time-millis', 'int'],
  ['time-micros', 'long'],
  ['timestamp-millis', 'long'],
  ['timestamp-micros', 'long'],
  ['timestamp-nanos', 'long'],
  ['local-timestamp-millis', 'long'],
  ['local-timestamp-micros', 'long'],
  ['local-timestamp-nanos', 'long'],
])

/** Beside a field whose column's name is none that Avro takes: the name. */
export const ORIGINAL_NAME = 'pg.name'

type Json = Readonly<Record<string, unknown>>

/** Reads a schema's JSON text; anything that is not Avro is AVRO_SCHEMA_INVALID with its place. */
export function parseSchema(text: string): SchemaNode {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw AVRO_SCHEMA_INVALID({ place: '', problem: 'it is no JSON' })
  }
  return new SchemaParser().node(json, '', '')
}

class SchemaParser {
  readonly #named = new Map<string, SchemaNode>()

  node(json: unknown, namespace: string, place: string): SchemaNode {
    if (typeof json === 'string') return this.#reference(json, namespace, place)
    if (Array.isArray(json)) return this.#union(json, namespace, place)
    if (!isObject(json)) throw invalid(place, `${JSON.stringify(json)} is no type`)
    const { type } = json
    switch (type) {
      case 'record':
      case 'error':
        return this.#record(json, namespace, place)
      case 'enum':
        return this.#define(json, namespace, place, { kind: 'enum', symbols: symbolsOf(json, place) })
      case 'fixed':
        return this.#define(json, namespace, place, fixed(json, place))
      case 'array':
        return { kind: 'array', items: this.node(json.items, namespace, join(place, 'items')) }
      case 'map':
        return { kind: 'map', values: this.node(json.values, namespace, join(place, 'values')) }
      default:
        if (typeof type !== 'string') return this.node(type, namespace, place)
        return PRIMITIVES.has(type) ? annotated(json, type as Primitive) : this.#reference(type, namespace, place)
    }
  }

  #reference(name: string, namespace: string, place: string): SchemaNode {
    if (PRIMITIVES.has(name)) return { kind: 'primitive', type: name as Primitive }
    const known = this.#named.get(qualified(name, namespace)) ?? this.#named.get(name)
    if (known === undefined) throw invalid(place, `there is no type ${JSON.stringify(name)}`)
    return known
  }

  #union(json: readonly unknown[], namespace: string, place: string): SchemaNode {
    if (json.length === 0) throw invalid(place, 'a union has no branch')
    const branches = json.map((branch, i) => this.node(branch, namespace, `${place}[${i}]`))
    if (branches.some(({ kind }) => kind === 'union')) throw invalid(place, 'a union stands in a union')
    return { kind: 'union', branches }
  }

  #record(json: Json, namespace: string, place: string): SchemaNode {
    if (!Array.isArray(json.fields)) throw invalid(place, 'a record has no list of fields')
    const fields: SchemaField[] = []
    const record = this.#define(json, namespace, place, { kind: 'record', fields })
    const inner = namespaceOf(json, namespace)
    for (const field of json.fields as unknown[]) {
      if (!isObject(field) || typeof field.name !== 'string') throw invalid(place, 'a field has no name')
      const { name } = field
      const original = field[ORIGINAL_NAME]
      const column = typeof original === 'string' ? original : name
      if (fields.some((one) => one.column === column)) throw invalid(place, `there are two fields ${column}`)
      fields.push({ name, column, type: this.node(field.type, inner, join(place, name)) })
    }
    return record
  }

  #define(json: Json, namespace: string, place: string, node: SchemaNode): SchemaNode {
    if (typeof json.name !== 'string') throw invalid(place, `a type ${String(json.type)} has no name`)
    this.#named.set(qualified(json.name, namespaceOf(json, namespace)), node)
    return node
  }
}

function annotated(json: Json, type: Primitive): SchemaNode {
  const { logicalType } = json
  if (logicalType === 'decimal' && type === 'bytes') return decimal(json, undefined) ?? { kind: 'primitive', type }
  if (logicalType === 'uuid' && type === 'string') return { kind: 'uuid' }
  if (typeof logicalType === 'string' && LOGICALS.get(logicalType) === type) {
    return { kind: 'logical', logical: logicalType as Logical }
  }
  return { kind: 'primitive', type }
}

function fixed(json: Json, place: string): SchemaNode {
  const { size, logicalType } = json
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 0) throw invalid(place, 'a fixed has no size')
  if (logicalType === 'decimal') {
    const node = decimal(json, size)
    if (node !== undefined) return node
  }
  const logical =
    logicalType === 'uuid' && size === 16 ? 'uuid' : logicalType === 'duration' && size === 12 ? 'duration' : undefined
  return { kind: 'fixed', size, logical }
}

/** Undefined: not one that Avro has, so that it means nothing. */
function decimal({ precision, scale = 0 }: Json, size: number | undefined): SchemaNode | undefined {
  if (typeof precision !== 'number' || typeof scale !== 'number') return undefined
  if (precision < 1 || scale < 0 || scale > precision) return undefined
  return { kind: 'decimal', scale, size }
}

function symbolsOf({ symbols }: Json, place: string): readonly string[] {
  if (!Array.isArray(symbols) || !symbols.every((symbol) => typeof symbol === 'string')) {
    throw invalid(place, 'an enum has no list of symbols')
  }
  return symbols as string[]
}

function qualified(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}

function namespaceOf({ name, namespace }: Json, outer: string): string {
  if (typeof name === 'string' && name.includes('.')) return name.slice(0, name.lastIndexOf('.'))
  return typeof namespace === 'string' ? namespace : outer
}

function isObject(json: unknown): json is Json {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function join(place: string, name: string): string {
  return place === '' ? name : `${place}.${name}`
}

function invalid(place: string, problem: string): Error {
  return AVRO_SCHEMA_INVALID({ place, problem })
}
