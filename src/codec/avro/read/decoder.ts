import { AVRO_SCHEMA_INVALID } from '../../../core/avroErrors.js'
import { type ArrayItems, arrayText } from '../../text/arrayText.js'
import { doubleText } from '../../text/doubleText.js'
import type { TextTarget } from '../../text/target.js'
import { Cursor } from './cursor.js'
import { dateTimeText } from './dateTime.js'
import { decimalText, durationText, floatText, uuidText } from './scalar.js'
import { type Logical, type Primitive, parseSchema, type SchemaNode } from './schema.js'
import { type TextSink, textWriter, type WriteText } from './textWriter.js'

type Read<T> = (cursor: Cursor) => T
type ReadText = Read<string | null>

/** More items than there are bytes: only items without bytes can be so many, and nobody means them. */
const FREE_ITEMS = 65_536

/**
 * Reads rows of one Avro schema as texts that PostgreSQL takes for its columns. Plain Avro, as Conduit has it: no header,
 * the schema is the one that wrote the bytes. For one thread of calls.
 */
export class AvroDecoder {
  /** The columns that a row has, in the schema's order: names as the writer's table had them. */
  readonly columns: readonly string[]
  readonly #names: readonly string[]
  readonly #readers: readonly ReadText[]
  readonly #writers: readonly WriteText[]
  readonly #json: Read<string>
  readonly #cursor = new Cursor()

  /** `targetOf`: what each column takes. Throws AVRO_SCHEMA_INVALID. */
  constructor(schema: string, targetOf: (column: string) => TextTarget) {
    const node = parseSchema(schema)
    if (node.kind !== 'record') {
      const problem = `it is of type ${node.kind === 'primitive' ? node.type : node.kind}, and a row is a record`
      throw AVRO_SCHEMA_INVALID({ place: '', problem })
    }
    const compiler = new Compiler()
    this.columns = node.fields.map(({ column }) => column)
    this.#names = node.fields.map(({ name }) => name)
    this.#readers = node.fields.map(({ column, type }) => compiler.column(type, targetOf(column)))
    this.#writers = node.fields.map(({ type }, i) =>
      textWriter(type, targetOf(this.columns[i]!).kind, this.#readers[i]!),
    )
    this.#json = compiler.json(node)
  }

  /** The row's texts, in the order of `columns`; null is NULL. Throws AVRO_DATA_MALFORMED, with the field's name. */
  decode(bytes: Uint8Array): (string | null)[] {
    const cursor = this.#cursor
    cursor.open(bytes)
    const readers = this.#readers
    const texts = new Array<string | null>(readers.length)
    for (let i = 0; i < readers.length; i++) {
      cursor.field = this.#names[i]!
      texts[i] = readers[i]!(cursor)
    }
    cursor.field = ''
    cursor.close()
    return texts
  }

  /** The same of the row `bytes[start..end)`, given to `sink`, without a string for what is text already. */
  write(bytes: Uint8Array, start: number, end: number, sink: TextSink): void {
    const cursor = this.#cursor
    cursor.open(bytes, start, end)
    const writers = this.#writers
    for (let i = 0; i < writers.length; i++) {
      cursor.field = this.#names[i]!
      writers[i]!(cursor, sink)
    }
    cursor.field = ''
    cursor.close()
  }

  /** The row as a JSON object, as the server's to_json would have it; integers keep their digits. Throws the same. */
  decodeJson(bytes: Uint8Array): string {
    this.#cursor.open(bytes)
    const json = this.#json(this.#cursor)
    this.#cursor.close()
    return json
  }
}

class Compiler {
  readonly #json = new Map<SchemaNode, Read<string>>()

  column(node: SchemaNode, target: TextTarget): ReadText {
    if (target.kind === 'json' && !target.array) return this.#document(node)
    return this.#text(node, target)
  }

  #text(node: SchemaNode, target: TextTarget): ReadText {
    switch (node.kind) {
      case 'array': {
        const items = this.#items(node.items, target)
        return (cursor) => arrayText(items(cursor), target.delimiter)
      }
      case 'record':
      case 'map':
        return this.json(node)
      case 'union':
        return union(node.branches.map((branch) => this.column(branch, target)))
      default:
        return scalar(node, target.kind)
    }
  }

  #items(node: SchemaNode, target: TextTarget): Read<ArrayItems> {
    return list(this.#item(node, { ...target, array: false }))
  }

  /** Arrays of arrays are dimensions, unless what is nested is JSON. */
  #item(node: SchemaNode, target: TextTarget): Read<string | null | ArrayItems> {
    if (node.kind === 'union') return union(node.branches.map((branch) => this.#item(branch, target)))
    if (node.kind === 'array' && target.kind !== 'json') return this.#items(node.items, target)
    return this.column(node, target)
  }

  /** For a column of json: text and bytes are JSON as they are, anything else becomes JSON. */
  #document(node: SchemaNode): ReadText {
    if (node.kind === 'union') return union(node.branches.map((branch) => this.#document(branch)))
    if (node.kind === 'primitive') {
      if (node.type === 'null') return () => null
      if (node.type === 'bytes' || node.type === 'string') return scalar(node, 'json')
    }
    return this.json(node)
  }

  json(node: SchemaNode): Read<string> {
    const known = this.#json.get(node)
    if (known !== undefined) return known
    // a record may be part of itself: what is compiled while it is compiled finds this
    let compiled: Read<string> | undefined
    this.#json.set(node, (cursor) => compiled!(cursor))
    compiled = this.#compileJson(node)
    this.#json.set(node, compiled)
    return compiled
  }

  #compileJson(node: SchemaNode): Read<string> {
    switch (node.kind) {
      case 'primitive':
        return jsonPrimitive(node.type)
      case 'decimal':
        return scalar(node, 'text') as Read<string>
      case 'uuid':
        return (cursor) => JSON.stringify(cursor.text() || null)
      case 'logical':
        return (cursor) => JSON.stringify(dateTime(cursor, node.logical, true))
      case 'fixed':
      case 'enum': {
        const read = scalar(node, 'bytea')
        return (cursor) => JSON.stringify(read(cursor))
      }
      case 'array': {
        const items = list(this.json(node.items))
        return (cursor) => `[${items(cursor).join(',')}]`
      }
      case 'map': {
        const value = this.json(node.values)
        const pairs = list((cursor) => {
          const key = cursor.text()
          return `${JSON.stringify(key)}:${value(cursor)}`
        })
        return (cursor) => `{${pairs(cursor).join(',')}}`
      }
      case 'record': {
        const fields = node.fields.map(({ column, type }) => [column, this.json(type)] as const)
        return (cursor) => {
          const texts = fields.map(([name, read]) => {
            cursor.enter(name)
            const text = read(cursor)
            cursor.leave()
            return `${JSON.stringify(name)}:${text}`
          })
          return `{${texts.join(',')}}`
        }
      }
      case 'union':
        return union(node.branches.map((branch) => this.json(branch)))
    }
  }
}

function union<T>(branches: readonly Read<T>[]): Read<T> {
  return (cursor) => {
    const index = cursor.count("a union's branch")
    const read = branches[index]
    if (read === undefined) throw cursor.malformed(`it is of branch ${index} of a union of ${branches.length}`)
    return read(cursor)
  }
}

/** An array or map: blocks of a count and so many items; a negative count has the block's length behind it; 0 ends it. */
function list<T>(item: Read<T>): Read<T[]> {
  return (cursor) => {
    const items: T[] = []
    cursor.enter('[]')
    for (;;) {
      let count = Number(cursor.long())
      if (count === 0) break
      if (count < 0) {
        count = -count
        cursor.long()
      }
      if (count > cursor.left + FREE_ITEMS) throw cursor.malformed(`it claims ${count} items`)
      for (; count > 0; count--) items.push(item(cursor))
    }
    cursor.leave()
    return items
  }
}

type Scalar = Exclude<SchemaNode, { kind: 'array' | 'map' | 'record' | 'union' }>

function scalar(node: Scalar, kind: TextTarget['kind']): ReadText {
  switch (node.kind) {
    case 'primitive':
      return primitive(node.type, kind)
    case 'logical':
      return (cursor) => dateTime(cursor, node.logical, false)
    case 'uuid':
      return (cursor) => cursor.text() || null
    case 'decimal':
      return (cursor) => decimalText(cursor.bytes(node.size ?? cursor.count('a length')), node.scale)
    case 'enum':
      return (cursor) => {
        const index = cursor.count("an enum's symbol")
        const symbol = node.symbols[index]
        if (symbol === undefined) throw cursor.malformed(`it is symbol ${index} of an enum of ${node.symbols.length}`)
        return symbol
      }
    case 'fixed':
      if (node.logical === 'uuid') return (cursor) => uuidText(cursor.bytes(16))
      if (node.logical === 'duration') return (cursor) => durationText(cursor.bytes(12))
      return (cursor) => bytesText(cursor, cursor.bytes(node.size), kind)
  }
}

function primitive(type: Primitive, kind: TextTarget['kind']): ReadText {
  switch (type) {
    case 'null':
      return () => null
    case 'boolean':
      return boolean
    case 'int':
    case 'long':
      return (cursor) => String(cursor.long())
    case 'float':
      return (cursor) => floatText(cursor.float())
    case 'double':
      return (cursor) => doubleText(cursor.double())
    case 'bytes':
      return (cursor) => bytesText(cursor, cursor.bytes(cursor.count('a length')), kind)
    case 'string':
      return (cursor) => cursor.text()
  }
}

function jsonPrimitive(type: Primitive): Read<string> {
  const read = primitive(type, 'bytea')
  switch (type) {
    case 'null':
      return () => 'null'
    case 'bytes':
    case 'string':
      return (cursor) => JSON.stringify(read(cursor))
    case 'float':
    case 'double':
      // NaN and the infinities are strings in to_json
      return (cursor) => read(cursor)!.replace(/^-?(?:NaN|Infinity)$/, '"$&"')
    default:
      return read as Read<string>
  }
}

function boolean(cursor: Cursor): string {
  const byte = cursor.byte()
  if (byte > 1) throw cursor.malformed(`a boolean is ${byte}`)
  return byte === 1 ? 'true' : 'false'
}

function dateTime(cursor: Cursor, logical: Logical, iso: boolean): string {
  return dateTimeText(logical, cursor.long(), iso)
}

/** Bytes are bytea's where the column is, else text: Conduit's own connector writes json as bytes. */
function bytesText(cursor: Cursor, bytes: Buffer, kind: TextTarget['kind']): string {
  return kind === 'bytea' ? `\\x${bytes.toString('hex')}` : cursor.toText(bytes)
}
