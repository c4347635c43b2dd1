import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../core/tape.js'
import type { Tuple } from '../rows/tuple.js'
import { castTo, RANKS } from './casts.js'
import { compareDecimals, compareDoubles, type Decimal } from './decimal.js'
import { ExpressionProblem, NotSent } from './problem.js'
import { columnReader, parseValue, type SqlType, TYPE_NAMES, type Value } from './types.js'

/** The value for one row; null is NULL. */
export type Evaluate = (row: Tuple) => Value | null

/** A part of an expression whose type is known. */
export interface Typed {
  readonly type: SqlType
  readonly evaluate: Evaluate
  /** Offset in characters of where it begins. */
  readonly at: number
  /** Of a literal that has not met a type yet. */
  readonly literal?: string
  /** COLLATE "C": texts have an order that needs no server. */
  readonly byBytes?: boolean
  /** A text that is a character varying, which gives way to a character(n) beside it where a text does not. */
  readonly varying?: boolean
  /** Which enum. */
  readonly enumOid?: number
}

export const NULL_VALUE: Evaluate = () => null

/** Those that do nothing but read a column, and which. */
export const COLUMNS = new WeakMap<Evaluate, { readonly index: number; readonly name: string }>()

/** Those that give what a literal says. */
export const LITERALS = new WeakMap<Evaluate, Value>()

/** Those that give a number of `int2` or `int4` as a bigint, and that. */
export const WIDENED = new WeakMap<Evaluate, Evaluate>()

/** Reads a column. */
export function readsColumn(index: number, type: SqlType, name: string): Evaluate {
  const read = columnReader(type)
  const evaluate: Evaluate = (row) => {
    const pair = row.pair(index)
    const start = startOf(row, pair, name)
    return start === NULL_COLUMN ? null : read(row.bytes, start, row.tape[pair + 1]!)
  }
  COLUMNS.set(evaluate, { index, name })
  return evaluate
}

/** Where the column's value begins, or {@link NULL_COLUMN}; throws `NotSent`. */
export function startOf(row: Tuple, pair: number, name: string): number {
  const start = row.tape[pair]!
  if (start === UNCHANGED_COLUMN) throw new NotSent(name)
  return start
}

/** How far a value of `from` is from being taken for one of `to`; undefined: it is not without a cast. */
export function distance(from: SqlType, to: SqlType): number | undefined {
  if (from === to || from === 'any' || to === 'any') return 0
  if (from === 'unknown') return to === 'text' ? 0 : 1
  const [rank, wanted] = [RANKS.indexOf(from), RANKS.indexOf(to)]
  if (rank >= 0 && wanted > rank)
    return to === 'float8' ? 4 : to === 'numeric' ? 5 : to === 'float4' ? 6 : wanted - rank
  if (from === 'bpchar' && to === 'text') return 1
  if (from === 'date' && to === 'timestamptz') return 1
  if (from === 'date' && to === 'timestamp') return 2
  return from === 'timestamp' && to === 'timestamptz' ? 1 : undefined
}

/** `part` as a value of `type`, which it can be without a cast. */
export function coerce(part: Typed, type: SqlType): Typed {
  if (part.type === type || part.type === 'any' || type === 'any') return part
  if (part.literal !== undefined) {
    const value = parseValue(type, part.literal)
    if (value === undefined) {
      throw new ExpressionProblem(`${JSON.stringify(part.literal)} is no ${TYPE_NAMES[type]}`, part.at)
    }
    const evaluate = () => value
    LITERALS.set(evaluate, value)
    return { type, evaluate, at: part.at }
  }
  // NULL is of every type.
  if (part.type === 'unknown') return { ...part, type }
  const cast = castTo(part.type, type)
  if (cast === undefined) throw new ExpressionProblem(`${TYPE_NAMES[part.type]} is no ${TYPE_NAMES[type]}`, part.at)
  const evaluate = strict(part.evaluate, cast)
  if (type === 'int8' && (part.type === 'int2' || part.type === 'int4')) WIDENED.set(evaluate, part.evaluate)
  return { ...part, type, evaluate }
}

export function strict(evaluate: Evaluate, change: (value: Value) => Value | null): Evaluate {
  return (row) => {
    const value = evaluate(row)
    return value === null ? null : change(value)
  }
}

/** The type that all of them can be, as UNION and CASE find it: of texts that of the first; undefined: there is none. */
export function commonType(parts: readonly Typed[]): SqlType | undefined {
  const types = [...new Set(parts.map(({ type }) => type))].filter((type) => type !== 'unknown')
  if (types.length === 0) return 'text'
  if (types.includes('any')) return 'any'
  if (types.every((type) => type === 'text' || type === 'bpchar')) return types[0]
  return types.find((type) => types.every((other) => distance(other, type) !== undefined))
}

/** All as values of their common type; undefined: there is none. */
export function unified(parts: readonly Typed[]): { type: SqlType; varying: boolean; parts: Typed[] } | undefined {
  const type = commonType(parts)
  if (type === undefined) return undefined
  const varying = type === 'text' && parts.find((part) => part.type !== 'unknown')?.varying === true
  return { type, varying, parts: parts.map((part) => coerce(part, type)) }
}

/**
 * The same for the two sides of an operator: none is of a single and another number, other than that of doubles, and a
 * character(n) is compared as a text with a text.
 */
export function operatorType(parts: readonly Typed[]): SqlType | undefined {
  const type = commonType(parts)
  const isSingle = type === 'float4' && parts.some((part) => part.type !== 'float4' && part.type !== 'unknown')
  if (isSingle) return 'float8'
  if ((type !== 'text' && type !== 'bpchar') || !parts.some((part) => part.type === 'bpchar')) return type
  return parts.some((part) => part.type === 'text' && part.varying !== true) ? 'text' : 'bpchar'
}

/** Each has operators with the others of its family, and needs no cast for them. */
const FAMILIES: readonly (readonly SqlType[])[] = [
  ['int2', 'int4', 'int8'],
  ['float4', 'float8'],
  ['date', 'timestamp', 'timestamptz'],
]

/** What the `=` between both takes on its left; NULLIF is of that type (PostgreSQL docs, 9.18.3). */
export function leftType(a: Typed, b: Typed): SqlType | undefined {
  const stays = a.type === 'float4' || FAMILIES.some((family) => family.includes(a.type) && family.includes(b.type))
  return stays ? a.type : operatorType([a, b])
}

/** Negative, zero or positive; NaN is greater than all other numbers. Undefined: values of the type have no order here. */
export function comparatorOf(type: SqlType): ((a: Value, b: Value) => number) | undefined {
  switch (type) {
    case 'numeric':
      return (a, b) => compareDecimals(a as Decimal, b as Decimal)
    case 'float4':
    case 'float8':
      return (a, b) => compareDoubles(a as number, b as number)
    case 'text':
      return (a, b) => comparePoints(a as string, b as string)
    case 'bpchar':
      return (a, b) => comparePoints(unpadded(a), unpadded(b))
    case 'json':
    case 'jsonb':
    case 'inet':
    case 'other':
      return undefined
    default:
      return (a, b) => (a < b ? -1 : a > b ? 1 : 0)
  }
}

function unpadded(value: Value): string {
  return (value as string).replace(/ +$/, '')
}

/** By code points, which is by bytes of UTF-8; not by the halves of surrogate pairs. */
function comparePoints(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (x === y) continue
    const [high, low] = [isSurrogate(x), isSurrogate(y)]
    if (high !== low) return high ? 1 : -1
    return x < y ? -1 : 1
  }
  return a.length < b.length ? -1 : 1
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}
