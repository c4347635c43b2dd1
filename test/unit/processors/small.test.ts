import { beforeAll, expect, test } from 'vitest'
import { NULL_COLUMN } from '../../../src/core/tape.js'
import { Tuple } from '../../../src/processors/rows/tuple.js'
import { SqlCondition } from '../../../src/processors/sql/expression.js'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import { Random } from '../../chaos/random.js'
import { tableOf } from '../../support/processing.js'

beforeAll(loadGrammar)
const random = new Random(5)
const table = tableOf('t', ['a int8', 'b int8', 'c int4'])
const BOUND = 2n ** 63n

/** What it is in PostgreSQL: null is NULL; an error is its text. */
type Result = bigint | boolean | null

interface Expression {
  readonly text: string
  /** It is a bigint, not an integer. */
  readonly isBig: boolean
  readonly of: (row: readonly (bigint | null)[]) => bigint | null
}

const LITERALS = [0n, 1n, 2n, 3n, 10n, 7919n, 2n ** 31n, 2n ** 52n, 2n ** 53n - 1n, 2n ** 53n, 10n ** 15n, 2n ** 62n]

function columnOf(index: number): Expression {
  return { text: 'abc'[index]!, isBig: index < 2, of: (row) => row[index]! }
}

function expressionOf(depth: number): Expression {
  const kind = depth === 0 ? random.integer(0, 1) : random.integer(0, 4)
  if (kind === 0) return columnOf(random.integer(0, 2))
  if (kind === 1) {
    const value = random.pick(LITERALS)
    return { text: String(value), isBig: value >= 2n ** 31n, of: () => value }
  }
  const [a, b] = pair(expressionOf(depth - 1), expressionOf(depth - 1))
  const sign = random.pick(['+', '-', '*', '/', '%'])
  return {
    text: `(${a.text} ${sign} ${b.text})`,
    isBig: true,
    of: (row) => {
      const [x, y] = [a.of(row), b.of(row)]
      return x === null || y === null ? null : fitting(computed(sign, x, y))
    },
  }
}

/** One of them is a bigint, so that what is made of both is one. */
function pair(a: Expression, b: Expression): readonly [Expression, Expression] {
  return a.isBig || b.isBig ? [a, b] : random.integer(0, 1) === 0 ? [columnOf(0), b] : [a, columnOf(1)]
}

function computed(sign: string, x: bigint, y: bigint): bigint {
  if ((sign === '/' || sign === '%') && y === 0n) throw new Error('division by zero')
  if (sign === '+') return x + y
  if (sign === '-') return x - y
  if (sign === '*') return x * y
  return sign === '/' ? x / y : x % y
}

function fitting(value: bigint): bigint {
  if (value < -BOUND || value >= BOUND) throw new Error('out of range')
  return value
}

const HOLDS: Readonly<Record<string, (x: bigint, y: bigint) => boolean>> = {
  ...{ '=': (x, y) => x === y, '<>': (x, y) => x !== y, '<': (x, y) => x < y },
  ...{ '<=': (x, y) => x <= y, '>': (x, y) => x > y, '>=': (x, y) => x >= y },
}

function tupleOf(row: readonly (bigint | null)[]): Tuple {
  const tuple = new Tuple()
  const texts = row.map((value) => (value === null ? '' : String(value)))
  tuple.bytes = Buffer.from(texts.join(''))
  let at = 0
  tuple.tape = Int32Array.from(
    row.flatMap((value, index) => {
      if (value === null) return [NULL_COLUMN, NULL_COLUMN]
      at += texts[index]!.length
      return [at - texts[index]!.length, at]
    }),
  )
  return tuple
}

function sizedValue(bits: number): bigint | null {
  if (random.integer(0, 11) === 0) return null
  const near = random.pick([0n, 2n ** 31n, 2n ** 53n, 10n ** 14n, 10n ** 15n, 2n ** 62n, BOUND - 4n])
  const value = near + BigInt(random.integer(-4, 3))
  const small = BigInt(random.integer(-1000, 1000))
  const bounded = random.integer(0, 1) === 0 ? small : random.integer(0, 1) === 0 ? value : -value
  return BigInt.asIntN(bits, bounded)
}

const outcome = (of: () => Result): string => {
  try {
    return String(of())
  } catch (error) {
    return /division|range/.exec((error as Error).message)![0]
  }
}

test('bigints are compared and computed as exactly as by objects, whatever their size', () => {
  const seen = new Set<string>()
  for (let round = 0; round < 400; round++) {
    const [left, right] = pair(expressionOf(random.integer(0, 3)), expressionOf(random.integer(0, 2)))
    const name = random.pick(Object.keys(HOLDS))
    const text = `${left.text} ${name} ${right.text}`
    const { matches } = SqlCondition.parse(text).of(table)
    for (let i = 0; i < 40; i++) {
      const row = [sizedValue(64), sizedValue(64), sizedValue(32)]
      const expected = outcome(() => {
        const [x, y] = [left.of(row), right.of(row)]
        return x === null || y === null ? null : HOLDS[name]!(x, y)
      })
      expect(`${text} of ${row}: ${outcome(() => matches(tupleOf(row)))}`).toBe(`${text} of ${row}: ${expected}`)
      seen.add(expected)
    }
  }
  expect([...seen].sort()).toEqual(['division', 'false', 'null', 'range', 'true'])
})
