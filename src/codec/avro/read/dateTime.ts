import { clockText, DAY_MICROS, dateText } from '../../../core/calendar.js'
import { floorDivide } from '../../../core/floorDivide.js'
import type { Logical } from './schema.js'

const MAX_INT = 2_147_483_647
const MAX_LONG = 2n ** 63n - 1n
const MIN_LONG = -(2n ** 63n)

/** A date or time as PostgreSQL writes it; `iso`: as its to_json does. Lossless but for nanoseconds, which the server rounds. */
export function dateTimeText(logical: Logical, value: number | bigint, iso: boolean): string {
  switch (logical) {
    case 'date':
      return value === MAX_INT ? 'infinity' : value === -MAX_INT - 1 ? '-infinity' : dateText(Number(value))
    case 'time-millis':
      return clockText(Number(value) * 1000)
    case 'time-micros':
      return clockText(Number(value))
    default:
      return timestampText(logical, value, iso)
  }
}

function timestampText(logical: Logical, value: number | bigint, iso: boolean): string {
  const zone = logical.startsWith('local') ? '' : iso ? '+00:00' : '+00'
  const separator = iso ? 'T' : ' '
  if (typeof value === 'number' && logical.endsWith('micros')) {
    const days = Math.floor(value / DAY_MICROS)
    return dateText(days, `${separator}${clockText(value - days * DAY_MICROS)}${zone}`)
  }
  const big = BigInt(value)
  if (big === MAX_LONG) return 'infinity'
  if (big === MIN_LONG) return '-infinity'
  const nanos = logical.endsWith('nanos')
  const micros = nanos ? floorDivide(big, 1000n) : logical.endsWith('millis') ? big * 1000n : big
  const days = floorDivide(micros, BigInt(DAY_MICROS))
  const rest = nanos ? String(big - micros * 1000n).padStart(3, '0') : ''
  const clock = clockText(Number(micros - days * BigInt(DAY_MICROS)), rest)
  return dateText(Number(days), `${separator}${clock}${zone}`)
}
