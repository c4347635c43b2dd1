import { NULL_COLUMN } from '../../core/tape.js'
import type { Tuple } from '../rows/tuple.js'
import { COLUMNS, type Evaluate, LITERALS, startOf, WIDENED } from './typed.js'
import { readSmallInteger, SAFE_DIGITS, type Value } from './types.js'

/**
 * A bigint as a double, which costs no object for each row; NaN where it is too large for that, or NULL, or cannot be told at all:
 * then the value itself is to be asked.
 */
export type Small = (row: Tuple) => number

/** Those of bigints that may be small. */
const SMALLS = new WeakMap<Evaluate, Small>()

type Arithmetic = (a: number, b: number) => number

/** Exact as long as operands and result are. Of two whole numbers that doubles have the quotient never reaches the next one by rounding. */
const ARITHMETIC: Readonly<Record<string, Arithmetic>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => (b === 0 ? Number.NaN : Math.trunc(a / b)),
  '%': (a, b) => (b === 0 ? Number.NaN : a % b),
}

/** Of what gives a bigint, if it can be. */
function smallOf(evaluate: Evaluate): Small | undefined {
  const column = COLUMNS.get(evaluate)
  if (column !== undefined) return ofColumn(column)
  const narrow = WIDENED.get(evaluate)
  if (narrow !== undefined) return (row) => (narrow(row) as number | null) ?? Number.NaN
  const literal = LITERALS.get(evaluate)
  if (typeof literal !== 'bigint') return SMALLS.get(evaluate)
  const number = Number(literal)
  return Number.isSafeInteger(number) ? () => number : undefined
}

/** `result` is of two bigints. */
export function noteArithmetic(result: Evaluate, name: string, a: Evaluate, b: Evaluate): void {
  const [left, right, call] = [smallOf(a), smallOf(b), ARITHMETIC[name]]
  if (left === undefined || right === undefined || call === undefined) return
  SMALLS.set(result, (row) => {
    const x = left(row)
    // What stands behind what cannot be told is not asked: it may fail with something else.
    if (Number.isNaN(x)) return x
    const number = call(x, right(row))
    // There is no -0.
    return Number.isSafeInteger(number) ? number + 0 : Number.NaN
  })
}

/** Compares two bigints, and has `exactly` do it where these are not small. */
export function compareSmall(
  a: Evaluate,
  b: Evaluate,
  holds: (order: number) => boolean,
  exactly: Evaluate,
): Evaluate | undefined {
  const [left, right] = [smallOf(a), smallOf(b)]
  if (left === undefined || right === undefined) return undefined
  return (row): Value | null => {
    const x = left(row)
    if (Number.isNaN(x)) return exactly(row)
    const y = right(row)
    return Number.isNaN(y) ? exactly(row) : holds(x - y)
  }
}

function ofColumn({ index, name }: { readonly index: number; readonly name: string }): Small {
  return (row) => {
    const pair = row.pair(index)
    const start = startOf(row, pair, name)
    const end = row.tape[pair + 1]!
    return start === NULL_COLUMN || end - start > SAFE_DIGITS ? Number.NaN : readSmallInteger(row.bytes, start, end)
  }
}
