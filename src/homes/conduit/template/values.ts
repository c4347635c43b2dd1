/** Something whose fields are known: the record and its payload. */
export class Struct {
  readonly fields: ReadonlyMap<string, unknown>

  constructor(fields: Readonly<Record<string, unknown>>) {
    this.fields = new Map(Object.entries(fields))
  }
}

/** A map of texts, whose missing entries are "" for `index`, as Go has it. Metadata. */
export class TextMap {
  readonly entries: ReadonlyMap<string, string>

  constructor(entries: Readonly<Record<string, string>>) {
    this.entries = new Map(Object.entries(entries))
  }
}

const OPERATIONS = ['create', 'update', 'delete', 'snapshot']

/** Prints as its name; Go's number for it is 1 to 4. */
export class Operation {
  readonly name: string
  readonly number: number

  constructor(name: string) {
    this.name = name
    this.number = OPERATIONS.indexOf(name) + 1
  }
}

/** Why a value cannot be had. The caller knows the place. */
export class Unusable extends Error {}

export type Plain = Readonly<Record<string, unknown>>

export function isPlain(value: unknown): value is Plain {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** What kind of value it is, for messages, which never show the value itself. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (value instanceof Uint8Array) return 'raw data'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'string' || value instanceof Operation) return 'a text'
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number'
  if (typeof value === 'boolean') return 'true or false'
  return value instanceof Struct ? 'the record' : 'a map'
}

/** Of nothing every field is nothing: a condition may ask for it, and printing it is an error. */
export function field(value: unknown, name: string): unknown {
  if (value === null || value === undefined) return undefined
  if (value instanceof Struct) {
    if (!value.fields.has(name)) throw new Unusable(`there is no field ${name}`)
    return value.fields.get(name)
  }
  if (value instanceof TextMap) return value.entries.get(name)
  if (isPlain(value)) return Object.hasOwn(value, name) ? value[name] : undefined
  if (value instanceof Operation && name === 'String') return value.name
  if (value instanceof Uint8Array) throw new Unusable(`${name} is asked of raw data, which was not decoded`)
  throw new Unusable(`${name} is asked of ${kindOf(value)}`)
}

/** Go's truth: nothing, false, 0, "" and what is empty are false. */
export function isTrue(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '' || value === 0 || value === 0n) {
    return false
  }
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length > 0
  if (value instanceof TextMap) return value.entries.size > 0
  return !isPlain(value) || Object.keys(value).length > 0
}

/** As `%v` prints it. */
export function print(value: unknown): string {
  if (value === null || value === undefined) return '<nil>'
  if (typeof value === 'string') return value
  if (typeof value === 'number') return printNumber(value)
  if (value instanceof Operation) return value.name
  if (value instanceof Uint8Array) return Buffer.from(value).toString()
  if (Array.isArray(value)) return `[${value.map(print).join(' ')}]`
  if (value instanceof TextMap) return printMap([...value.entries])
  if (value instanceof Struct) throw new Unusable('a whole record is no text')
  if (isPlain(value)) return printMap(Object.entries(value))
  return String(value)
}

function printMap(entries: readonly (readonly [string, unknown])[]): string {
  const sorted = [...entries].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return `map[${sorted.map(([key, value]) => `${key}:${print(value)}`).join(' ')}]`
}

/** As `%v` prints a float64: by the fewest digits, with an exponent of two digits below 1e-4 and from 1e21 on. */
function printNumber(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  if (Object.is(value, -0)) return '-0'
  const size = Math.abs(value)
  const text = size !== 0 && (size < 1e-4 || size >= 1e21) ? value.toExponential() : String(value)
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}
