// As PostgreSQL 12 and later print floats: the fewest digits that lie between the two halfway points to the neighbours, and of
// those the nearest. JavaScript takes a halfway point itself, too, where it would be read as the same number (5e-324 there is as here,
// 9007199254740992e16 is not): so its own text is used only where no halfway point has as few digits. All else is exact, and slow.

/** Of a float8: bits of the fraction, and of the exponent. */
const DOUBLE = { fraction: 52n, exponent: 11n, bias: 1075, fixedBelow: 15 } as const
const FLOAT = { fraction: 23n, exponent: 8n, bias: 150, fixedBelow: 6 } as const
type Format = typeof DOUBLE | typeof FLOAT

/** Before it, numbers are written without an exponent from here on. */
const FIXED_FROM = -4

/** Between these halfway points of float8s have 18 digits or more: 53 bits and two behind the point. */
const LEAST_OWN = 2 ** -1022
const MOST_OWN = 2 ** 52

const memory = new DataView(new ArrayBuffer(8))

export function float8Text(value: number): string {
  const size = Math.abs(value)
  if (size >= LEAST_OWN && size < MOST_OWN) {
    const [digits, power] = size.toExponential().split('e') as [string, string]
    return (value < 0 ? '-' : '') + written(digits.replace('.', ''), Number(power), DOUBLE)
  }
  memory.setFloat64(0, value)
  return textOf(value, memory.getBigUint64(0), DOUBLE)
}

/** `value` is a float4. */
export function float4Text(value: number): string {
  memory.setFloat32(0, value)
  return textOf(value, BigInt(memory.getUint32(0)), FLOAT)
}

function textOf(value: number, bits: bigint, format: Format): string {
  if (Number.isNaN(value)) return 'NaN'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  if (value === 0) return `${sign}0`
  if (!Number.isFinite(value)) return `${sign}Infinity`
  const { digits, power } = shortest(bits, format)
  return sign + written(digits, power, format)
}

/** The number is 0.`digits` times ten to `power` + 1. */
function written(digits: string, power: number, { fixedBelow }: Format): string {
  if (power >= FIXED_FROM && power < fixedBelow) {
    if (power < 0) return `0.${'0'.repeat(-power - 1)}${digits}`
    const whole = digits.slice(0, power + 1).padEnd(power + 1, '0')
    return digits.length > power + 1 ? `${whole}.${digits.slice(power + 1)}` : whole
  }
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
  return `${digits[0]}${fraction}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}

/** Digits without zeros behind them, and the power of ten of the first one. */
function shortest(bits: bigint, { fraction, exponent, bias }: Format): { digits: string; power: number } {
  const stored = bits & ((1n << fraction) - 1n)
  const biased = Number((bits >> fraction) & ((1n << exponent) - 1n))
  const mantissa = biased === 0 ? stored : stored | (1n << fraction)
  // A quarter of the last bit: the halfway point below a power of two is nearer than the one above.
  const two = (biased === 0 ? 1 : biased) - bias - 2
  const exact = 4n * mantissa
  const below = exact - (stored === 0n && biased > 1 ? 1n : 2n)
  const above = exact + 2n
  // All of them times 2^two, as fractions with one denominator.
  const scale = two >= 0 ? 1n << BigInt(two) : 1n
  const unit = two >= 0 ? 1n : 1n << BigInt(-two)
  const power = powerOf(exact * scale, unit)
  for (let count = 1; ; count++) {
    // The last digit's power of ten.
    const last = power - count + 1
    const [up, down] = last >= 0 ? [10n ** BigInt(last), 1n] : [1n, 10n ** BigInt(-last)]
    const step = up * unit
    const target = exact * scale * down
    const floor = target / step
    const best = [floor, floor + 1n]
      .filter((digits) => digits * step > below * scale * down && digits * step < above * scale * down)
      .map((digits) => ({ digits, off: digits * step > target ? digits * step - target : target - digits * step }))
      .sort((a, b) => (a.off === b.off ? Number(a.digits % 2n) - Number(b.digits % 2n) : a.off < b.off ? -1 : 1))[0]
    if (best === undefined) continue
    const text = String(best.digits)
    return { digits: text.replace(/0+$/, ''), power: last + text.length - 1 }
  }
}

/** The largest power of ten that is not above the fraction. */
function powerOf(numerator: bigint, denominator: bigint): number {
  let power = String(numerator).length - String(denominator).length
  const isBelow = (at: number) =>
    at >= 0 ? numerator < denominator * 10n ** BigInt(at) : numerator * 10n ** BigInt(-at) < denominator
  while (isBelow(power)) power--
  while (!isBelow(power + 1)) power++
  return power
}
