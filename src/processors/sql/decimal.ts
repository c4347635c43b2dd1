/** PostgreSQL's numeric: a whole number of units of 10^-scale, or one of the three that are no number. Exact. */
export interface Decimal {
  readonly units: bigint
  readonly scale: number
  /** NaN, Infinity or -Infinity; undefined for all others, which `units` and `scale` say. */
  readonly special?: number
}

/** What `numeric_in` takes, without the prefixes and underscores of later versions. */
const NUMBER = /^\s*([-+]?)(\d+(?:\.(\d*))?|\.(\d+))(?:[eE]([-+]?\d{1,5}))?\s*$/
/** The server takes 131072 digits before the point and 16383 behind it. */
const MOST_CHARACTERS = 150_000
const SPECIAL = /^\s*(nan|[-+]?inf(?:inity)?)\s*$/i
/** NUMERIC_MIN_SIG_DIGITS, DEC_DIGITS and NUMERIC_MAX_DISPLAY_SCALE of the server. */
const SIGNIFICANT = 16
const GROUP = 4
const MAX_DISPLAY_SCALE = 1000

/** Undefined: not a number. */
export function parseDecimal(text: string): Decimal | undefined {
  if (text.length > MOST_CHARACTERS) return undefined
  const match = NUMBER.exec(text)
  if (match === null) return SPECIAL.test(text) ? { units: 0n, scale: 0, special: specialOf(text.trim()) } : undefined
  const [, sign, body, fraction = '', only, exponent = '0'] = match
  const decimals = only ?? fraction
  const whole = body!.startsWith('.') ? '' : body!.split('.')[0]!
  const shift = Number(exponent)
  let units = BigInt(`${whole}${decimals}` || '0')
  if (sign === '-') units = -units
  const scale = decimals.length - shift
  if (scale < 0) return { units: units * 10n ** BigInt(-scale), scale: 0 }
  return { units, scale }
}

function specialOf(text: string): number {
  if (/^nan$/i.test(text)) return Number.NaN
  return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

export function fromBigint(units: bigint): Decimal {
  return { units, scale: 0 }
}

export function formatDecimal({ units, scale, special }: Decimal): string {
  if (special !== undefined) return String(special)
  const negative = units < 0n
  const digits = String(negative ? -units : units).padStart(scale + 1, '0')
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
  return negative ? `-${text}` : text
}

export function toDouble(value: Decimal): number {
  return value.special ?? Number(formatDecimal(value))
}

/** NaN equals itself and is greater than all others, as in every index of the server. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.special !== undefined || b.special !== undefined) return compareDoubles(rank(a), rank(b))
  if (a.scale === b.scale) return a.units < b.units ? -1 : a.units > b.units ? 1 : 0
  const scale = Math.max(a.scale, b.scale)
  const [x, y] = [atScale(a, scale), atScale(b, scale)]
  return x < y ? -1 : x > y ? 1 : 0
}

/** The same order of doubles. */
export function compareDoubles(a: number, b: number): number {
  if (a === b) return 0
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1
  if (Number.isNaN(b)) return -1
  return a < b ? -1 : 1
}

function rank({ special }: Decimal): number {
  return special ?? 0
}

/** Making them takes longer than the rest of a comparison. */
const POWERS = Array.from({ length: 32 }, (_, exponent) => 10n ** BigInt(exponent))

function atScale({ units, scale }: Decimal, wanted: number): bigint {
  if (scale === wanted) return units
  return units * (POWERS[wanted - scale] ?? 10n ** BigInt(wanted - scale))
}

/** With an infinity or NaN, as doubles have it: there the server's rules are theirs. */
function specially(a: Decimal, b: Decimal, of: (a: number, b: number) => number): Decimal | undefined {
  if (a.special === undefined && b.special === undefined) return undefined
  const sign = ({ units, special }: Decimal) => special ?? (units > 0n ? 1 : units < 0n ? -1 : 0)
  const result = of(sign(a), sign(b))
  if (Number.isFinite(result)) return { units: BigInt(result), scale: 0 }
  return { units: 0n, scale: 0, special: result }
}

export function add(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale)
  return specially(a, b, (x, y) => x + y) ?? { units: atScale(a, scale) + atScale(b, scale), scale }
}

export function subtract(a: Decimal, b: Decimal): Decimal {
  return add(a, negate(b))
}

export function multiply(a: Decimal, b: Decimal): Decimal {
  return specially(a, b, (x, y) => x * y) ?? { units: a.units * b.units, scale: a.scale + b.scale }
}

export function negate({ units, scale, special }: Decimal): Decimal {
  return special === undefined ? { units: -units, scale } : { units, scale, special: -special }
}

export function isZero({ units, special }: Decimal): boolean {
  return special === undefined && units === 0n
}

/** With as many digits as the server gives. `b` must not be zero. */
export function divide(a: Decimal, b: Decimal): Decimal {
  const special = specially(a, b, (x, y) =>
    Math.abs(y) === Number.POSITIVE_INFINITY && Number.isFinite(x) ? 0 : x / y,
  )
  if (special !== undefined) return special
  const scale = quotientScale(a, b)
  return { units: divideRounded(a.units * 10n ** BigInt(scale + b.scale), b.units * 10n ** BigInt(a.scale)), scale }
}

/** The remainder of a division that cuts off, with the dividend's sign. */
export function remainder(a: Decimal, b: Decimal): Decimal {
  if (a.special !== undefined || b.special !== undefined) {
    if (a.special === undefined && !Number.isNaN(b.special)) return a
    return { units: 0n, scale: 0, special: Number.NaN }
  }
  const scale = Math.max(a.scale, b.scale)
  return { units: atScale(a, scale) % atScale(b, scale), scale }
}

/** Half a unit goes away from zero. A negative scale rounds to tens, hundreds and so on. */
export function round(value: Decimal, scale: number): Decimal {
  return rescale(value, scale, divideRounded)
}

export function truncate(value: Decimal, scale: number): Decimal {
  return rescale(value, scale, (a, b) => a / b)
}

export function floor(value: Decimal): Decimal {
  return rescale(value, 0, (a, b) => (a < 0n && a % b !== 0n ? a / b - 1n : a / b))
}

export function ceil(value: Decimal): Decimal {
  return rescale(value, 0, (a, b) => (a > 0n && a % b !== 0n ? a / b + 1n : a / b))
}

function rescale(value: Decimal, scale: number, divided: (a: bigint, b: bigint) => bigint): Decimal {
  if (value.special !== undefined) return value
  const kept = Math.max(scale, 0)
  if (scale >= value.scale) return { units: atScale(value, scale), scale }
  const units = divided(value.units, 10n ** BigInt(value.scale - scale))
  return { units: scale < 0 ? units * 10n ** BigInt(-scale) : units, scale: kept }
}

export function divideRounded(a: bigint, b: bigint): bigint {
  const quotient = a / b
  const rest = a % b
  const twice = rest < 0n ? -2n * rest : 2n * rest
  if (twice < (b < 0n ? -b : b)) return quotient
  return a < 0n === b < 0n ? quotient + 1n : quotient - 1n
}

/** `select_div_scale` of the server's numeric.c: at least 16 significant digits, counted in groups of four. */
function quotientScale(a: Decimal, b: Decimal): number {
  const [first, second] = [leadingGroup(a), leadingGroup(b)]
  let weight = first.weight - second.weight
  if (first.digits <= second.digits) weight--
  const scale = Math.max(SIGNIFICANT - weight * GROUP, a.scale, b.scale, 0)
  return Math.min(scale, MAX_DISPLAY_SCALE)
}

/** The first group of four digits that is not zero, and how many groups stand between it and the point. */
function leadingGroup({ units, scale }: Decimal): { readonly weight: number; readonly digits: number } {
  if (units === 0n) return { weight: 0, digits: 0 }
  // A whole number of groups behind the point.
  const padding = (GROUP - (scale % GROUP)) % GROUP
  const digits = `${units < 0n ? -units : units}${'0'.repeat(padding)}`
  const groups = Math.ceil(digits.length / GROUP)
  const first = digits.slice(0, digits.length - (groups - 1) * GROUP)
  return { weight: groups - 1 - (scale + padding) / GROUP, digits: Number(first) }
}
