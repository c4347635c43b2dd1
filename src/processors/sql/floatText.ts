/** A double as `float8out` prints it: the fewest digits that make it out, without an exponent from 1e-4 to below 1e15. */
export function formatFloat8(value: number): string {
  return format(value, value.toExponential(), 15)
}

/** The same of a single: without an exponent below 1e6. */
export function formatFloat4(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  for (let digits = 0; ; digits++) {
    const text = value.toExponential(digits)
    if (Math.fround(Number(text)) === value || digits === 20) return format(value, text, 6)
  }
}

function format(value: number, exponential: string, limit: number): string {
  if (!Number.isFinite(value)) return String(value)
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const [mantissa, power] = exponential.split('e') as [string, string]
  const exponent = Number(power)
  const sign = mantissa.startsWith('-') ? '-' : ''
  const digits = mantissa.replace(/[-.]/g, '').replace(/0+$/, '') || '0'
  if (exponent < -4 || exponent >= limit) {
    const point = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits
    return `${sign}${point}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const rest = digits.slice(exponent + 1)
  return rest === '' ? `${sign}${whole}` : `${sign}${whole}.${rest}`
}
