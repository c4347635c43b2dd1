import { NULL_COLUMN } from '../../core/tape.js'
import { INTEGERS, outOfRange } from './casts.js'
import * as decimal from './decimal.js'
import { castExplicitly } from './explicitCast.js'
import { lower } from './functions.js'
import { jsonPart, jsonPartText } from './jsonText.js'
import { compileLike, type LikePattern, matchesLike } from './like.js'
import { ExpressionProblem, ValueProblem } from './problem.js'
import { compareSmall, noteArithmetic } from './small.js'
import { COLUMNS, coerce, comparatorOf, type Evaluate, LITERALS, operatorType, startOf, type Typed } from './typed.js'
import { type SqlType, TYPE_NAMES, toInteger, type Value } from './types.js'

const COMPARISONS: Readonly<Record<string, (order: number) => boolean>> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
}

/** `a OPERATOR b`; `a` is undefined where the operator stands before its one operand. */
export function operation(name: string, a: Typed | undefined, b: Typed, at: number): Typed {
  if (a === undefined) return prefix(name, b, at)
  if (COMPARISONS[name] !== undefined) return { type: 'bool', evaluate: comparison(name, a, b, at), at }
  if (name === '||') return concatenation(a, b, at)
  if (name === '->' || name === '->>') return jsonOperation(name, a, b, at)
  if ('+-*/%'.includes(name)) return arithmetic(name, a, b, at)
  throw new ExpressionProblem(`the operator ${name} is not supported here`, at)
}

function prefix(name: string, operand: Typed, at: number): Typed {
  if (name === '+') return operand
  if (name !== '-') throw new ExpressionProblem(`the operator ${name} is not supported here`, at)
  if (operand.type === 'any') return operand
  const zero: Typed = { type: operand.type === 'numeric' ? 'numeric' : 'int2', evaluate: () => 0, at }
  if (operand.type === 'numeric') {
    return {
      type: 'numeric',
      evaluate: mapped(operand.evaluate, (value) => decimal.negate(value as decimal.Decimal)),
      at,
    }
  }
  if (operand.type === 'float4' || operand.type === 'float8') {
    return { ...operand, evaluate: mapped(operand.evaluate, (value) => -(value as number)), at }
  }
  return arithmetic('-', zero, operand, at)
}

function mapped(evaluate: Evaluate, change: (value: Value) => Value): Evaluate {
  return (row) => {
    const value = evaluate(row)
    return value === null ? null : change(value)
  }
}

/** Both for a row; NULL where one of them is. */
function both(a: Evaluate, b: Evaluate, of: (a: Value, b: Value) => Value | null): Evaluate {
  return (row) => {
    const x = a(row)
    const y = b(row)
    return x === null || y === null ? null : of(x, y)
  }
}

/** Both as values of one type that can be compared, and how. */
export function comparable(name: string, parts: readonly Typed[], at: number, type = operatorType(parts)) {
  if (type === undefined) {
    const [a, b] = parts.map((part) => TYPE_NAMES[part.type])
    throw new ExpressionProblem(`${a} ${name} ${b} has no meaning: cast one of them`, at)
  }
  const compare = type === 'any' ? () => 0 : comparatorOf(type)
  if (compare === undefined) {
    throw new ExpressionProblem(`values of ${TYPE_NAMES[type]} cannot be compared here: cast them to text`, at)
  }
  const isText = type === 'text' || type === 'bpchar'
  const isEquality = name === '=' || name === '<>'
  if (!isEquality && isText && !parts.some(({ byBytes }) => byBytes)) {
    throw new ExpressionProblem(`texts have an order only by COLLATE "C" here: write a COLLATE "C" ${name} b`, at)
  }
  if (type === 'enum') {
    if (!isEquality) throw new ExpressionProblem('labels of an enum have no order here', at)
    const enums = new Set(parts.flatMap(({ enumOid }) => enumOid ?? []))
    if (enums.size > 1) throw new ExpressionProblem('two enums cannot be compared', at)
  }
  return { type, compare, operands: parts.map((part) => coerce(part, type)) }
}

function comparison(name: string, a: Typed, b: Typed, at: number): Evaluate {
  const { type, compare, operands } = comparable(name, [a, b], at)
  const byBytes = BY_BYTES.includes(type) && (name === '=' || name === '<>') && sameBytes(operands, name === '<>')
  if (byBytes) return byBytes
  const holds = COMPARISONS[name]!
  const [left, right] = operands.map(({ evaluate }) => evaluate) as [Evaluate, Evaluate]
  const exactly = both(left, right, (x, y) => holds(compare(x, y)))
  return (type === 'int8' && compareSmall(left, right, holds, exactly)) || exactly
}

/** Equal values of them have the same text. */
const BY_BYTES: readonly SqlType[] = ['text', 'enum', 'uuid']

/** Where a column is compared with a literal nobody needs its value as a string; undefined: something else is. */
function sameBytes(operands: readonly Typed[], negated: boolean): Evaluate | undefined {
  const column = operands.map(({ evaluate }) => COLUMNS.get(evaluate)).find((one) => one !== undefined)
  const literal = operands.map(({ evaluate }) => LITERALS.get(evaluate)).find((one) => one !== undefined)
  if (column === undefined || typeof literal !== 'string') return undefined
  const wanted = Buffer.from(literal)
  // Of half a character there are no bytes.
  if (wanted.toString() !== literal) return undefined
  return (row) => {
    const place = row.pair(column.index)
    const start = startOf(row, place, column.name)
    if (start === NULL_COLUMN) return null
    const { bytes } = row
    if (row.tape[place + 1]! - start !== wanted.length) return negated
    for (let i = 0; i < wanted.length; i++) if (bytes[start + i] !== wanted[i]) return negated
    return !negated
  }
}

/** IS [NOT] DISTINCT FROM. */
export function distinct(a: Typed, b: Typed, negated: boolean, at: number): Typed {
  const { compare, operands } = comparable('=', [a, b], at)
  const [left, right] = operands.map(({ evaluate }) => evaluate) as [Evaluate, Evaluate]
  const evaluate: Evaluate = (row) => {
    const [x, y] = [left(row), right(row)]
    const differ = x === null || y === null ? x !== y : compare(x, y) !== 0
    return differ !== negated
  }
  return { type: 'bool', evaluate, at }
}

function concatenation(a: Typed, b: Typed, at: number): Typed {
  const isText = ({ type }: Typed) => ['text', 'bpchar', 'unknown', 'any'].includes(type)
  if (!isText(a) && !isText(b)) {
    throw new ExpressionProblem(`${TYPE_NAMES[a.type]} || ${TYPE_NAMES[b.type]} has no meaning: cast one to text`, at)
  }
  const text = (part: Typed) => (part.type === 'any' ? part : asText(part)).evaluate
  return { type: 'text', evaluate: both(text(a), text(b), (x, y) => `${x}${y}`), at }
}

function asText(part: Typed): Typed {
  if (part.literal !== undefined || part.type === 'unknown') return coerce(part, 'text')
  return castExplicitly(part, 'text')
}

function jsonOperation(name: string, a: Typed, b: Typed, at: number): Typed {
  if (!['json', 'jsonb', 'any'].includes(a.type)) {
    throw new ExpressionProblem(`${name} needs json or jsonb before it, not ${TYPE_NAMES[a.type]}`, at)
  }
  const isIndex = INTEGERS.includes(b.type)
  const part = coerce(b, isIndex ? 'int4' : 'text')
  const found = (json: Value, of: Value) => jsonPart(json as string, of as string | number)
  if (name === '->') return { type: a.type, evaluate: both(a.evaluate, part.evaluate, found), at }
  return { type: 'text', evaluate: both(a.evaluate, part.evaluate, (json, of) => jsonPartText(found(json, of))), at }
}

function arithmetic(name: string, a: Typed, b: Typed, at: number): Typed {
  const ofDates = dateArithmetic(name, a, b, at)
  if (ofDates !== undefined) return ofDates
  const type = operatorType([a, b])
  const operators: ArithmeticOf | undefined = type && (type === 'any' ? ANYTHING : ARITHMETIC[type])
  const operator = operators?.[name]
  if (operator === undefined) {
    const hint = name === '%' && type?.startsWith('float') ? ': cast to numeric' : ''
    throw new ExpressionProblem(`${TYPE_NAMES[a.type]} ${name} ${TYPE_NAMES[b.type]} is not supported here${hint}`, at)
  }
  const [left, right] = [coerce(a, type!).evaluate, coerce(b, type!).evaluate]
  const evaluate = both(left, right, operator)
  if (type === 'int8') noteArithmetic(evaluate, name, left, right)
  return { type: type!, evaluate, at }
}

type ArithmeticOf = Readonly<Record<string, (a: Value, b: Value) => Value>>

const ANYTHING: ArithmeticOf = Object.fromEntries([...'+-*/%'].map((name) => [name, (a: Value) => a]))

function requireDivisor(isZero: boolean): void {
  if (isZero) throw new ValueProblem('division by zero')
}

/** Of doubles, which have every result exactly that is in range, and the quotient of two such numbers but for its fraction. */
function smallIntegers(type: 'int2' | 'int4'): ArithmeticOf {
  const bound = type === 'int2' ? 2 ** 15 : 2 ** 31
  const of = (call: (a: number, b: number) => number) => (a: Value, b: Value) => {
    const result = call(a as number, b as number)
    if (result < -bound || result >= bound) throw outOfRange(type)
    // There is no -0.
    return result + 0
  }
  return {
    '+': of((a, b) => a + b),
    '-': of((a, b) => a - b),
    '*': of((a, b) => a * b),
    '/': of((a, b) => {
      requireDivisor(b === 0)
      return Math.trunc(a / b)
    }),
    '%': of((a, b) => {
      requireDivisor(b === 0)
      return a % b
    }),
  }
}

function bigIntegers(): ArithmeticOf {
  const of = (call: (a: bigint, b: bigint) => bigint) => (a: Value, b: Value) => {
    const result = toInteger('int8', call(a as bigint, b as bigint))
    if (result === undefined) throw outOfRange('int8')
    return result
  }
  return {
    '+': of((a, b) => a + b),
    '-': of((a, b) => a - b),
    '*': of((a, b) => a * b),
    '/': of((a, b) => {
      requireDivisor(b === 0n)
      return a / b
    }),
    '%': of((a, b) => {
      requireDivisor(b === 0n)
      return a % b
    }),
  }
}

function floats(type: 'float4' | 'float8'): ArithmeticOf {
  const of = (call: (a: number, b: number) => number, canVanish: boolean) => (a: Value, b: Value) => {
    const exact = call(a as number, b as number)
    const result = type === 'float4' ? Math.fround(exact) : exact
    const finite = Number.isFinite(a as number) && Number.isFinite(b as number)
    if (finite && !Number.isFinite(result)) throw new ValueProblem('value out of range: overflow')
    if (canVanish && finite && result === 0 && a !== 0) throw new ValueProblem('value out of range: underflow')
    return result
  }
  return {
    '+': of((a, b) => a + b, false),
    '-': of((a, b) => a - b, false),
    '*': (a, b) => of((x, y) => x * y, b !== 0)(a, b),
    '/': of((a, b) => {
      requireDivisor(b === 0 && !Number.isNaN(a))
      return a / b
    }, true),
  }
}

const decimals = (call: (a: decimal.Decimal, b: decimal.Decimal) => decimal.Decimal, divides = false) => {
  return (a: Value, b: Value) => {
    const [x, y] = [a as decimal.Decimal, b as decimal.Decimal]
    if (divides && !Number.isNaN(x.special ?? 0)) requireDivisor(decimal.isZero(y))
    return call(x, y)
  }
}

const ARITHMETIC: Partial<Record<SqlType, ArithmeticOf>> = {
  int2: smallIntegers('int2'),
  int4: smallIntegers('int4'),
  int8: bigIntegers(),
  float4: floats('float4'),
  float8: floats('float8'),
  numeric: {
    '+': decimals(decimal.add),
    '-': decimals(decimal.subtract),
    '*': decimals(decimal.multiply),
    '/': decimals(decimal.divide, true),
    '%': decimals(decimal.remainder, true),
  },
}

/** date + days, date - days, date - date. */
function dateArithmetic(name: string, a: Typed, b: Typed, at: number): Typed | undefined {
  const isDays = ({ type }: Typed) => type === 'int4' || type === 'int2'
  const moved = (days: Value, by: number) => (days as number) + by
  const of = (type: SqlType, call: (x: Value, y: Value) => Value): Typed => {
    return { type, evaluate: both(a.evaluate, b.evaluate, call), at }
  }
  if (a.type === 'date' && isDays(b) && name === '+') return of('date', (x, y) => moved(x, y as number))
  if (isDays(a) && b.type === 'date' && name === '+') return of('date', (x, y) => moved(y, x as number))
  if (a.type === 'date' && isDays(b) && name === '-') return of('date', (x, y) => moved(x, -(y as number)))
  if (a.type !== 'date' || name !== '-') return undefined
  if (b.type !== 'date' && b.type !== 'unknown') return undefined
  const other = coerce(b, 'date')
  const evaluate = both(a.evaluate, other.evaluate, (x, y) => {
    if (!Number.isFinite(x) || !Number.isFinite(y)) throw new ValueProblem('cannot subtract infinite dates')
    return (x as number) - (y as number)
  })
  return { type: 'int4', evaluate, at }
}

/** [NOT] LIKE and ILIKE. `escaping` undefined: the backslash. */
export function like(
  a: Typed,
  b: Typed,
  escaping: Typed | undefined,
  folded: boolean,
  negated: boolean,
  at: number,
): Typed {
  const isText = ({ type }: Typed) => ['text', 'bpchar', 'unknown', 'any'].includes(type)
  for (const part of [a, b]) {
    if (!isText(part)) throw new ExpressionProblem(`LIKE is for texts, not ${TYPE_NAMES[part.type]}`, part.at)
  }
  if (escaping !== undefined && escaping.literal === undefined) {
    throw new ExpressionProblem('ESCAPE needs a literal here', escaping.at)
  }
  // A character(n) keeps its blanks, other than as a pattern.
  const value = a.type === 'bpchar' ? a : coerce(a, 'text')
  const pattern = coerce(b, 'text')
  const sign = escaping?.literal ?? '\\'
  if ([...sign].length > 1) throw new ExpressionProblem('ESCAPE takes one character', escaping!.at)
  const fold = folded ? lower : (value: string) => value
  const compiled = new Map<string, LikePattern>()
  const patternOf = (pattern: string): LikePattern => {
    let found = compiled.get(pattern)
    if (found === undefined) {
      found = compileLike(fold(pattern), sign)
      if (found === undefined) throw new ValueProblem('LIKE pattern must not end with escape character')
      // Patterns out of a column are not kept without end.
      if (compiled.size > 100) compiled.clear()
      compiled.set(pattern, found)
    }
    return found
  }
  const matches = (value: Value, pattern: Value) => matchesLike(fold(value as string), patternOf(pattern as string))
  return { type: 'bool', evaluate: both(value.evaluate, pattern.evaluate, (x, y) => matches(x, y) !== negated), at }
}
