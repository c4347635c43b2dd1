import { SERVER_EPOCH_MICROS } from '../../core/calendar.js'
import { floorDivide } from '../../core/floorDivide.js'
import { DAY, INFINITY } from './dateTime.js'
import { type Decimal, divideRounded, formatDecimal, fromBigint, parseDecimal, round, toDouble } from './decimal.js'
import { ValueProblem } from './problem.js'
import { formatValue, parseValue, type SqlType, TYPE_NAMES, toInteger, type Value } from './types.js'

export type Cast = (value: Value) => Value

/** What a value becomes in another type; undefined: the server has no such cast, or we do not. */
export function castTo(from: SqlType, to: SqlType): Cast | undefined {
  if (from === to) return (value) => value
  if (to === 'text') return toText(from)
  if (from === 'text' || from === 'bpchar' || from === 'unknown') return fromText(to)
  if (isNumeric(from) && isNumeric(to)) return numericCast(from, to)
  if (to === 'bpchar' && from !== 'other') return toText(from)
  return OTHERS[`${from} ${to}`]
}

function isNumeric(type: SqlType): boolean {
  return RANKS.includes(type)
}

/** Each is cast implicitly to those behind it. */
export const RANKS: readonly SqlType[] = ['int2', 'int4', 'int8', 'numeric', 'float4', 'float8']
export const INTEGERS: readonly SqlType[] = ['int2', 'int4', 'int8']

function toText(from: SqlType): Cast {
  // A character(n) is without the blanks that fill it up.
  if (from === 'bpchar') return (value) => (value as string).replace(/ +$/, '')
  if (from === 'bool') return (value) => String(value)
  // A cast tells the width that the type's own text leaves out.
  if (from === 'inet') return (value) => withWidth(value as string)
  return (value) => formatValue(from, value)
}

function withWidth(address: string): string {
  return address.includes('/') ? address : `${address}${address.includes(':') ? '/128' : '/32'}`
}

function fromText(to: SqlType): Cast | undefined {
  if (to === 'enum' || to === 'inet' || to === 'other' || to === 'jsonb' || to === 'unknown') return undefined
  return (value) => {
    const parsed = parseValue(to, value as string)
    if (parsed === undefined) throw new ValueProblem(`invalid input syntax for type ${TYPE_NAMES[to]}`)
    return parsed
  }
}

function numericCast(from: SqlType, to: SqlType): Cast {
  if (to === 'float8') return (value) => toNumber(from, value)
  if (to === 'float4') return (value) => inRange(Math.fround(toNumber(from, value)), toNumber(from, value))
  if (to === 'numeric') return (value) => toDecimal(from, value)
  return (value) => {
    const whole = toInteger(to as 'int4', toBigint(from, value))
    if (whole === undefined) throw outOfRange(to)
    return whole
  }
}

function inRange(single: number, double: number): number {
  if (!Number.isFinite(single) && Number.isFinite(double)) throw new ValueProblem('value out of range: overflow')
  if (single === 0 && double !== 0) throw new ValueProblem('value out of range: underflow')
  return single
}

export function outOfRange(type: SqlType): ValueProblem {
  return new ValueProblem(`${TYPE_NAMES[type]} out of range`)
}

function toNumber(from: SqlType, value: Value): number {
  if (typeof value === 'number') return value
  return from === 'int8' ? Number(value) : toDouble(value as Decimal)
}

function toDecimal(from: SqlType, value: Value): Decimal {
  if (from === 'numeric') return value as Decimal
  if (INTEGERS.includes(from)) return fromBigint(BigInt(value as number | bigint))
  const double = value as number
  if (!Number.isFinite(double)) return { units: 0n, scale: 0, special: double }
  // As many digits as the type is sure of.
  return parseDecimal(shortened(double.toPrecision(from === 'float4' ? 6 : 15)))!
}

/** As %g prints it: without the zeros at the end. */
function shortened(text: string): string {
  const [mantissa, exponent] = text.split('e') as [string, string | undefined]
  const digits = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa
  return exponent === undefined ? digits : `${digits}e${exponent}`
}

function toBigint(from: SqlType, value: Value): bigint {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new ValueProblem('integer out of range')
    return BigInt(INTEGERS.includes(from) ? value : halfToEven(value))
  }
  const decimal = value as Decimal
  if (decimal.special !== undefined) throw new ValueProblem('cannot convert NaN or infinity to an integer')
  return round(decimal, 0).units
}

/** `rint` of C. */
function halfToEven(value: number): number {
  const rounded = Math.round(value)
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}

const startOfDay: Cast = (days) =>
  Number.isFinite(days) ? BigInt(days as number) * DAY : (days as number) > 0 ? INFINITY : -INFINITY

const dayOfTime: Cast = (micros) => {
  if (micros === INFINITY || micros === -INFINITY) return (micros as bigint) > 0n ? Infinity : -Infinity
  return Number(floorDivide(micros as bigint, DAY))
}

const OTHERS: Readonly<Record<string, Cast>> = {
  'bool int4': (value) => (value === true ? 1 : 0),
  'int4 bool': (value) => value !== 0,
  'date timestamp': startOfDay,
  'date timestamptz': startOfDay,
  'timestamp date': dayOfTime,
  'timestamptz date': dayOfTime,
  'timestamp timestamptz': (value) => value,
  'timestamptz timestamp': (value) => value,
  'enum bpchar': (value) => value,
  'jsonb json': (value) => value,
}

/** What a type's modifier does to a value of it: `numeric(10,2)`, `varchar(20)`; explicit casts cut texts off. */
export function applyModifier(type: SqlType, modifiers: readonly number[]): Cast | undefined {
  const [first, second = 0] = modifiers
  if (first === undefined) return (value) => value
  if (type === 'numeric') return (value) => fitNumeric(value as Decimal, first, second)
  if (type === 'text') return (value) => [...(value as string)].slice(0, first).join('')
  if (type === 'bpchar') return (value) => fitCharacter([...(value as string)], first)
  if ((type === 'timestamp' || type === 'timestamptz') && first <= 6)
    return (value) => toPrecision(value as bigint, first)
  return undefined
}

function fitCharacter(characters: readonly string[], length: number): string {
  return characters.slice(0, length).join('') + ' '.repeat(Math.max(length - characters.length, 0))
}

function fitNumeric(value: Decimal, precision: number, scale: number): Decimal {
  if (value.special !== undefined && Number.isNaN(value.special)) return value
  const rounded = round(value, scale)
  const digits = formatDecimal({ units: rounded.units < 0n ? -rounded.units : rounded.units, scale: 0 })
  const fits = rounded.units === 0n || digits.length <= precision - scale + rounded.scale
  if (value.special !== undefined || !fits) throw new ValueProblem('numeric field overflow')
  return rounded
}

const SERVER_EPOCH = BigInt(SERVER_EPOCH_MICROS)

function toPrecision(micros: bigint, precision: number): bigint {
  if (micros === INFINITY || micros === -INFINITY) return micros
  const unit = 10n ** BigInt(6 - precision)
  // Halves go away from the server's own beginning of time.
  return divideRounded(micros - SERVER_EPOCH, unit) * unit + SERVER_EPOCH
}
