import type { Logical } from './schema.js'

const DAY = 86_400_000_000
const MAX_INT = 2_147_483_647
const MAX_LONG = 2n ** 63n - 1n
const MIN_LONG = -(2n ** 63n)

/** A date or time as PostgreSQL writes it; `iso`: as its to_json does. Lossless but for nanoseconds, which the server rounds. */
export function dateTimeText(logical: Logical, value: number | bigint, iso: boolean): string {
  switch (logical) {
    case 'date':
      return value === MAX_INT ? 'infinity' : value === -MAX_INT - 1 ? '-infinity' : dateText(Number(value), '')
    case 'time-millis':
      return clockText(Number(value) * 1000, '')
    case 'time-micros':
      return clockText(Number(value), '')
    default:
      return timestampText(logical, value, iso)
  }
}

function timestampText(logical: Logical, value: number | bigint, iso: boolean): string {
  const zone = logical.startsWith('local') ? '' : iso ? '+00:00' : '+00'
  const separator = iso ? 'T' : ' '
  if (typeof value === 'number' && logical.endsWith('micros')) {
    const days = Math.floor(value / DAY)
    return dateText(days, `${separator}${clockText(value - days * DAY, '')}${zone}`)
  }
  const big = BigInt(value)
  if (big === MAX_LONG) return 'infinity'
  if (big === MIN_LONG) return '-infinity'
  const nanos = logical.endsWith('nanos')
  const micros = nanos ? floorDivide(big, 1000n) : logical.endsWith('millis') ? big * 1000n : big
  const days = floorDivide(micros, BigInt(DAY))
  const rest = nanos ? String(big - micros * 1000n).padStart(3, '0') : ''
  const clock = clockText(Number(micros - days * BigInt(DAY)), rest)
  return dateText(Number(days), `${separator}${clock}${zone}`)
}

function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by
  return value % by < 0n ? quotient - 1n : quotient
}

/** `behind` stands before ` BC`. civil_from_days, by Howard Hinnant. */
function dateText(days: number, behind: string): string {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const name = String(year > 0 ? year : 1 - year).padStart(4, '0')
  return `${name}-${two(month)}-${two(day)}${behind}${year > 0 ? '' : ' BC'}`
}

/** Trailing zeros are left out, as the server does. `nanos`: three more digits. */
function clockText(micros: number, nanos: string): string {
  const seconds = Math.floor(micros / 1_000_000)
  const clock = `${two((seconds / 3600) | 0)}:${two(((seconds / 60) | 0) % 60)}:${two(seconds % 60)}`
  const rest = micros - seconds * 1_000_000
  if (rest === 0 && nanos === '') return clock
  const fraction = (String(rest).padStart(6, '0') + nanos).replace(/0+$/, '')
  return fraction === '' ? clock : `${clock}.${fraction}`
}

const TWO_DIGITS = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))

function two(n: number): string {
  return TWO_DIGITS[n] ?? String(n)
}
