import { createHash } from 'node:crypto'
import { calendarOf, daysOf } from '../../core/calendar.js'
import { floorDivide } from '../../core/floorDivide.js'
import { DAY, INFINITY } from './dateTime.js'
import * as decimal from './decimal.js'
import { ValueProblem } from './problem.js'
import type { SqlType, Value } from './types.js'

/** One of the functions of a name: strict, so NULL for an argument that is NULL. */
export interface SqlFunction {
  readonly args: readonly SqlType[]
  readonly result: SqlType
  readonly call: (...args: never[]) => Value | null
}

const text = (...args: SqlType[]) => args
function of<Args extends readonly Value[]>(
  args: readonly SqlType[],
  result: SqlType,
  call: (...args: Args) => Value | null,
): SqlFunction {
  return { args, result, call: call as unknown as SqlFunction['call'] }
}

/** One for each code point, as a server with a UTF-8 locale of libc has it: none becomes two. */
function mapped(value: string, change: (character: string) => string): string {
  let result = ''
  for (const character of value) {
    const one = change(character)
    result += [...one].length === 1 ? one : character
  }
  return result
}

export const lower = (value: string) => mapped(value, (one) => one.toLowerCase())
const upper = (value: string) => mapped(value, (one) => one.toUpperCase())

function trimmed(value: string, characters: string, atStart: boolean, atEnd: boolean): string {
  const set = new Set(characters)
  const all = [...value]
  let from = 0
  let to = all.length
  while (atStart && from < to && set.has(all[from]!)) from++
  while (atEnd && to > from && set.has(all[to - 1]!)) to--
  return all.slice(from, to).join('')
}

/** Characters from `start`, counted from 1, which may lie before the text. */
function substring(value: string, start: number, length?: number): string {
  if (length !== undefined && length < 0) throw new ValueProblem('negative substring length not allowed')
  const from = Math.max(0, start - 1)
  const to = length === undefined ? undefined : Math.max(from, start - 1 + length)
  return [...value].slice(from, to).join('')
}

function position(value: string, part: string): number {
  const at = value.indexOf(part)
  return at < 0 ? 0 : [...value.slice(0, at)].length + 1
}

function left(value: string, count: number): string {
  return [...value].slice(0, count).join('')
}

function right(value: string, count: number): string {
  const all = [...value]
  return all.slice(count < 0 ? -count : Math.max(0, all.length - count)).join('')
}

function splitPart(value: string, separator: string, field: number): string {
  if (field === 0) throw new ValueProblem('field position must not be zero')
  const parts = separator === '' ? [value] : value.split(separator)
  return parts[field > 0 ? field - 1 : parts.length + field] ?? ''
}

const whole = (bound: bigint, type: string) => (value: number | bigint) => {
  const result = value < 0 ? -value : value
  if (BigInt(result) >= bound) throw new ValueProblem(`${type} out of range`)
  return result
}

function modulo<Number extends number | bigint>(a: Number, b: Number): Number {
  if (BigInt(b) === 0n) throw new ValueProblem('division by zero')
  return (a % b) as Number
}

function remainder(a: decimal.Decimal, b: decimal.Decimal): decimal.Decimal {
  if (decimal.isZero(b)) throw new ValueProblem('division by zero')
  return decimal.remainder(a, b)
}

/** `rint` of C. */
function nearestEven(value: number): number {
  const rounded = Math.round(value)
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}

const MICROS = 1_000_000n
const number = (value: number | bigint): decimal.Decimal => decimal.fromBigint(BigInt(value))

/** `EXTRACT`: exact since PostgreSQL 14. */
function extract(field: string, micros: bigint): decimal.Decimal | null {
  if (micros === INFINITY || micros === -INFINITY) {
    const grows = ['year', 'epoch'].includes(field)
    return grows ? { units: 0n, scale: 0, special: micros > 0n ? Infinity : -Infinity } : null
  }
  const days = Number(floorDivide(micros, DAY))
  const time = micros - BigInt(days) * DAY
  const { year, month, day } = calendarOf(days)
  switch (field) {
    case 'year':
      return number(year > 0 ? year : year - 1)
    case 'quarter':
      return number(Math.floor((month - 1) / 3) + 1)
    case 'month':
      return number(month)
    case 'day':
      return number(day)
    case 'dow':
      return number((((days + 4) % 7) + 7) % 7)
    case 'isodow':
      return number(((((days + 3) % 7) + 7) % 7) + 1)
    case 'doy':
      return number(days - daysOf(year, 1, 1) + 1)
    case 'hour':
      return number(time / (3600n * MICROS))
    case 'minute':
      return number((time / (60n * MICROS)) % 60n)
    case 'second':
      return { units: time % (60n * MICROS), scale: 6 }
    case 'epoch':
      return { units: micros, scale: 6 }
    default:
      throw new ValueProblem(`the field "${field}" is not supported`)
  }
}

function extractOfDate(field: string, days: number): decimal.Decimal | null {
  if (['hour', 'minute', 'second'].includes(field)) {
    throw new ValueProblem(`unit "${field}" not supported for type date`)
  }
  if (!Number.isFinite(days)) return extract(field, days > 0 ? INFINITY : -INFINITY)
  const value = extract(field, BigInt(days) * DAY)
  return field === 'epoch' && value !== null ? decimal.round(value, 0) : value
}

export const EXTRACT_FIELDS: readonly string[] = [
  ...['year', 'quarter', 'month', 'day', 'dow', 'isodow', 'doy', 'hour', 'minute', 'second', 'epoch'],
]
export const TRUNCATED_UNITS: readonly string[] = [
  ...['year', 'quarter', 'month', 'week', 'day', 'hour', 'minute', 'second'],
]

function dateTrunc(unit: string, micros: bigint): bigint {
  if (micros === INFINITY || micros === -INFINITY) return micros
  const days = Number(floorDivide(micros, DAY))
  const { year, month } = calendarOf(days)
  const startOf = (first: number) => BigInt(daysOf(year, first, 1)) * DAY
  const cut = (part: bigint) => floorDivide(micros, part) * part
  switch (unit) {
    case 'year':
      return startOf(1)
    case 'quarter':
      return startOf(month - ((month - 1) % 3))
    case 'month':
      return startOf(month)
    case 'week':
      return BigInt(days - ((((days + 3) % 7) + 7) % 7)) * DAY
    case 'day':
      return cut(DAY)
    case 'hour':
      return cut(3600n * MICROS)
    case 'minute':
      return cut(60n * MICROS)
    case 'second':
      return cut(MICROS)
    default:
      throw new ValueProblem(`the unit "${unit}" is not supported`)
  }
}

const double = text('float8')
const numeric = text('numeric')

/** What may stand in an expression, by name. Nothing that gives another value each time: a record may come twice. */
export const FUNCTIONS: Readonly<Record<string, readonly SqlFunction[]>> = {
  lower: [of(text('text'), 'text', lower)],
  upper: [of(text('text'), 'text', upper)],
  length: [of(text('text'), 'int4', (value: string) => [...value].length)],
  octet_length: [of(text('text'), 'int4', (value: string) => Buffer.byteLength(value))],
  btrim: [
    of(text('text'), 'text', (value: string) => trimmed(value, ' ', true, true)),
    of(text('text', 'text'), 'text', (value: string, set: string) => trimmed(value, set, true, true)),
  ],
  ltrim: [
    of(text('text'), 'text', (value: string) => trimmed(value, ' ', true, false)),
    of(text('text', 'text'), 'text', (value: string, set: string) => trimmed(value, set, true, false)),
  ],
  rtrim: [
    of(text('text'), 'text', (value: string) => trimmed(value, ' ', false, true)),
    of(text('text', 'text'), 'text', (value: string, set: string) => trimmed(value, set, false, true)),
  ],
  substr: [
    of(text('text', 'int4'), 'text', (value: string, start: number) => substring(value, start)),
    of(text('text', 'int4', 'int4'), 'text', (value: string, start: number, count: number) =>
      substring(value, start, count),
    ),
  ],
  position: [of(text('text', 'text'), 'int4', position)],
  left: [of(text('text', 'int4'), 'text', left)],
  right: [of(text('text', 'int4'), 'text', right)],
  replace: [
    of(text('text', 'text', 'text'), 'text', (value: string, from: string, to: string) =>
      from === '' ? value : value.split(from).join(to),
    ),
  ],
  reverse: [of(text('text'), 'text', (value: string) => [...value].reverse().join(''))],
  starts_with: [of(text('text', 'text'), 'bool', (value: string, prefix: string) => value.startsWith(prefix))],
  split_part: [of(text('text', 'text', 'int4'), 'text', splitPart)],
  md5: [of(text('text'), 'text', (value: string) => createHash('md5').update(value).digest('hex'))],
  abs: [
    of(text('int2'), 'int2', whole(1n << 15n, 'smallint')),
    of(text('int4'), 'int4', whole(1n << 31n, 'integer')),
    of(text('int8'), 'int8', whole(1n << 63n, 'bigint')),
    of(numeric, 'numeric', (value: decimal.Decimal) =>
      value.units < 0n || value.special === -Infinity ? decimal.negate(value) : value,
    ),
    of(text('float4'), 'float4', Math.abs),
    of(double, 'float8', Math.abs),
  ],
  mod: [
    of(text('int2', 'int2'), 'int2', modulo<number>),
    of(text('int4', 'int4'), 'int4', modulo<number>),
    of(text('int8', 'int8'), 'int8', modulo<bigint>),
    of(text('numeric', 'numeric'), 'numeric', remainder),
  ],
  round: [
    of(double, 'float8', nearestEven),
    of(numeric, 'numeric', (value: decimal.Decimal) => decimal.round(value, 0)),
    of(text('numeric', 'int4'), 'numeric', (value: decimal.Decimal, scale: number) => decimal.round(value, scale)),
  ],
  trunc: [
    of(double, 'float8', Math.trunc),
    of(numeric, 'numeric', (value: decimal.Decimal) => decimal.truncate(value, 0)),
    of(text('numeric', 'int4'), 'numeric', (value: decimal.Decimal, scale: number) => decimal.truncate(value, scale)),
  ],
  floor: [of(double, 'float8', Math.floor), of(numeric, 'numeric', decimal.floor)],
  ceil: [of(double, 'float8', Math.ceil), of(numeric, 'numeric', decimal.ceil)],
  sign: [
    of(double, 'float8', (value: number) => (value > 0 ? 1 : value < 0 ? -1 : 0)),
    of(numeric, 'numeric', (value: decimal.Decimal) =>
      value.special === undefined || Number.isNaN(value.special)
        ? value.special === undefined
          ? number(value.units > 0n ? 1 : value.units < 0n ? -1 : 0)
          : value
        : number(Math.sign(value.special)),
    ),
  ],
  extract: [
    of(text('text', 'timestamp'), 'numeric', extract),
    of(text('text', 'timestamptz'), 'numeric', extract),
    of(text('text', 'date'), 'numeric', extractOfDate),
  ],
  date_trunc: [
    of(text('text', 'timestamp'), 'timestamp', dateTrunc),
    of(text('text', 'timestamptz'), 'timestamptz', dateTrunc),
  ],
}

/** Other names of the same. */
export const ALIASES: Readonly<Record<string, string>> = {
  char_length: 'length',
  character_length: 'length',
  strpos: 'position',
  substring: 'substr',
  ceiling: 'ceil',
}
