import { isPlain, isTrue, kindOf, Operation, print, TextMap, Unusable } from '../values.js'
import { countOf, type Functions, listOf, takes, textOf } from './arguments.js'
import { printf } from './printf.js'

/** What text/template itself has. `and` and `or` look at no more than they must: see evaluate.ts. */
export const BUILTINS: Functions = {
  and: takes(1, (...args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1), Infinity),
  or: takes(1, (...args) => args.find(isTrue) ?? args.at(-1), Infinity),
  not: takes(1, (value) => !isTrue(value)),
  eq: takes(2, (first, ...others) => others.some((other) => compare(first, other) === 0), Infinity),
  ne: takes(2, (a, b) => compare(a, b) !== 0),
  lt: takes(2, (a, b) => order(a, b) < 0),
  le: takes(2, (a, b) => order(a, b) <= 0),
  gt: takes(2, (a, b) => order(a, b) > 0),
  ge: takes(2, (a, b) => order(a, b) >= 0),
  len: takes(1, length),
  index: takes(1, (value, ...keys) => keys.reduce(indexed, value), Infinity),
  slice: takes(1, slice, 3),
  print: takes(0, (...args) => sprint(args), Infinity),
  println: takes(0, (...args) => `${args.map(print).join(' ')}\n`, Infinity),
  printf: takes(1, (format, ...args) => printf(textOf(format), args), Infinity),
}

/** 0: they are equal. Values of two kinds are no mistake of ours to hide: it is an error, as in Go. */
function compare(a: unknown, b: unknown): number {
  const [left, right] = pair(a, b)
  if (left === null || right === null) return left === right ? 0 : 1
  if (typeof left !== typeof right) throw new Unusable(`${kindOf(a)} is compared with ${kindOf(b)}`)
  return left === right ? 0 : typeof left === 'string' ? byBytes(left, right as string) : left < right ? -1 : 1
}

function order(a: unknown, b: unknown): number {
  const [left, right] = pair(a, b)
  if (typeof left === 'boolean' || left === null || right === null || typeof left !== typeof right) {
    throw new Unusable(`${kindOf(a)} is compared with ${kindOf(b)}`)
  }
  return compare(a, b)
}

type Comparable = string | number | bigint | boolean | null

function pair(a: unknown, b: unknown): readonly [Comparable, Comparable] {
  // an operation is compared by its name or, as Go's constants are, by its number
  const [left, right] = [basic(a, typeof b === 'number'), basic(b, typeof a === 'number')]
  if (typeof left === 'bigint' && typeof right === 'number')
    return [left, Number.isInteger(right) ? BigInt(right) : right]
  if (typeof left === 'number' && typeof right === 'bigint')
    return [Number.isInteger(left) ? BigInt(left) : left, right]
  return [left, right]
}

function basic(value: unknown, asNumber: boolean): Comparable {
  if (value instanceof Operation) return asNumber ? value.number : value.name
  if (value === undefined || value === null) return null
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') return value
  if (typeof value === 'boolean') return value
  throw new Unusable(`${kindOf(value)} cannot be compared`)
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** Of a text its bytes. */
function length(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length
  if (value instanceof TextMap) return value.entries.size
  if (isPlain(value)) return Object.keys(value).length
  throw new Unusable(`${kindOf(value)} has no length`)
}

function indexed(value: unknown, key: unknown): unknown {
  if (value instanceof TextMap) return value.entries.get(textOf(key)) ?? ''
  if (isPlain(value)) {
    const name = textOf(key)
    return Object.hasOwn(value, name) ? value[name] : undefined
  }
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  if (!Array.isArray(bytes) && !(bytes instanceof Uint8Array)) throw new Unusable(`it is asked of ${kindOf(value)}`)
  const place = countOf(key)
  if (place < 0 || place >= bytes.length) throw new Unusable(`there is no item ${place} of ${bytes.length}`)
  return bytes[place]
}

/** Sprig's, which takes the place of Go's own: of lists only. */
function slice(value: unknown, from: unknown = 0, to?: unknown): unknown {
  const list = listOf(value)
  const start = countOf(from)
  const end = to === undefined ? list.length : countOf(to)
  if (start < 0 || end > list.length || start > end)
    throw new Unusable(`there is no ${start} to ${end} of ${list.length}`)
  return list.slice(start, end)
}

/** A blank stands between two values of which neither is a text. */
function sprint(args: readonly unknown[]): string {
  return args
    .map((arg, i) =>
      i > 0 && typeof arg !== 'string' && typeof args[i - 1] !== 'string' ? ` ${print(arg)}` : print(arg),
    )
    .join('')
}
