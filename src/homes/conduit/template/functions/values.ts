import { isTrue, kindOf, Unusable } from '../values.js'
import { countOf, entriesOf, type Functions, listOf, takes, textOf, toMap } from './arguments.js'

/** Sprig's defaults, lists, maps and whole numbers. */
export const VALUES: Functions = {
  default: takes(1, (fallback, value) => (isTrue(value) ? value : fallback), 2),
  empty: takes(1, (value) => !isTrue(value)),
  coalesce: takes(0, (...values) => values.find(isTrue) ?? null, Infinity),
  all: takes(0, (...values) => values.every(isTrue), Infinity),
  any: takes(0, (...values) => values.some(isTrue), Infinity),
  ternary: takes(3, (yes, no, condition) => (boolean(condition) ? yes : no)),

  list: takes(0, (...values) => values, Infinity),
  first: takes(1, (list) => listOf(list)[0] ?? null),
  last: takes(1, (list) => listOf(list).at(-1) ?? null),
  rest: takes(1, (list) => listOf(list).slice(1)),
  initial: takes(1, (list) => listOf(list).slice(0, -1)),
  reverse: takes(1, (list) => [...listOf(list)].reverse()),
  uniq: takes(1, (list) => [...new Set(listOf(list))]),
  has: takes(2, (item, list) => listOf(list).includes(item)),

  dict: takes(0, dict, Infinity),
  get: takes(2, (map, name) => entriesOf(map).get(textOf(name)) ?? ''),
  hasKey: takes(2, (map, name) => entriesOf(map).has(textOf(name))),

  int: takes(1, toInteger),
  int64: takes(1, toInteger),
  atoi: takes(1, (text) => integerIn(textOf(text), /^[+-]?\d+$/)),
  add1: takes(1, (value) => toNumber(big(value) + 1n)),
  add: takes(0, (...values) => toNumber(values.map(big).reduce((sum, value) => sum + value, 0n)), Infinity),
  sub: takes(2, (a, b) => toNumber(big(a) - big(b))),
  mul: takes(1, (...values) => toNumber(values.map(big).reduce((product, value) => product * value, 1n)), Infinity),
  div: takes(2, (a, b) => toNumber(big(a) / nonZero(big(b)))),
  mod: takes(2, (a, b) => toNumber(big(a) % nonZero(big(b)))),
  max: takes(1, (...values) => toNumber(values.map(big).reduce((a, b) => (a > b ? a : b))), Infinity),
  min: takes(1, (...values) => toNumber(values.map(big).reduce((a, b) => (a < b ? a : b))), Infinity),
  until: takes(1, (count) => Array.from({ length: Math.min(Math.max(countOf(count), 0), 10_000) }, (_, i) => i)),
}

function boolean(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw new Unusable(`it takes true or false, and gets ${kindOf(value)}`)
}

function dict(...values: unknown[]): object {
  const pairs: [string, unknown][] = []
  for (let i = 0; i < values.length; i += 2) pairs.push([String(values[i]), values[i + 1] ?? ''])
  return toMap(pairs)
}

/** A number without its fraction, of a text that is one; 0 of anything else, as in Sprig. */
function big(value: unknown): bigint {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n
  if (typeof value === 'boolean') return value ? 1n : 0n
  return typeof value === 'string' ? BigInt(integerIn(value, /^[+-]?\d+$/)) : 0n
}

function toInteger(value: unknown): number | bigint {
  return toNumber(big(value))
}

function integerIn(text: string, form: RegExp): number | bigint {
  return form.test(text) ? toNumber(BigInt(text.replace(/^\+/, ''))) : 0
}

function nonZero(value: bigint): bigint {
  if (value === 0n) throw new Unusable('nothing can be divided by 0')
  return value
}

function toNumber(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
