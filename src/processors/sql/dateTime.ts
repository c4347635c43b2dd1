/** Microseconds of a day. */
export const DAY = 86_400_000_000n
/** Of timestamps, in place of microseconds. */
export const INFINITY = 1n << 70n
const EPOCH_DAYS = 719_468

const DATE = /^(\d{4,7})-(\d\d)-(\d\d)( BC)?$/
const TIMESTAMP =
  /^(\d{4,7})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?(?: ?(Z|[-+]\d\d(?::?\d\d(?::?\d\d)?)?))?( BC)?$/i

export interface Calendar {
  readonly year: number
  readonly month: number
  readonly day: number
}

/** Days since 1970-01-01 in the Gregorian calendar; year 0 is 1 BC. */
export function daysOf({ year, month, day }: Calendar): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const ofEra = y - era * 400
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - EPOCH_DAYS
}

export function calendarOf(days: number): Calendar {
  const shifted = days + EPOCH_DAYS
  const era = Math.floor(shifted / 146_097)
  const ofEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  )
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const m = Math.floor((5 * ofYear + 2) / 153)
  const month = m < 10 ? m + 3 : m - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: ofYear - Math.floor((153 * m + 2) / 5) + 1,
  }
}

function readCalendar(year: string, month: string, day: string, bc: string | undefined): number | undefined {
  const calendar = { year: bc === undefined ? Number(year) : 1 - Number(year), month: Number(month), day: Number(day) }
  if (Number(year) === 0) return undefined
  const days = daysOf(calendar)
  const back = calendarOf(days)
  return back.month === calendar.month && back.day === calendar.day ? days : undefined
}

/** Days since 1970-01-01, or an infinity; undefined: no date as ISO 8601 writes it. */
export function parseDate(text: string): number | undefined {
  const trimmed = text.trim()
  const infinity = infinityOf(trimmed)
  if (infinity !== undefined) return infinity * Number.POSITIVE_INFINITY
  const match = DATE.exec(trimmed)
  return match === null ? undefined : readCalendar(match[1]!, match[2]!, match[3]!, match[4])
}

/**
 * Microseconds since 1970-01-01 UTC, or {@link INFINITY}; undefined: no timestamp as ISO 8601 writes it. An offset counts
 * only `withZone`; without one the time is UTC's.
 */
export function parseTimestamp(text: string, withZone: boolean): bigint | undefined {
  const trimmed = text.trim()
  const infinity = infinityOf(trimmed)
  if (infinity !== undefined) return infinity > 0 ? INFINITY : -INFINITY
  const match = TIMESTAMP.exec(trimmed)
  if (match === null) return undefined
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone, bc] = match
  const days = readCalendar(year!, month!, day!, bc)
  if (days === undefined || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined
  const seconds = Number(hour) * 3600 + Number(minute) * 60 + Number(second)
  const time = BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0'))
  return BigInt(days) * DAY + time - (withZone && zone !== undefined ? offsetOf(zone) : 0n)
}

function infinityOf(text: string): 1 | -1 | undefined {
  if (/^infinity$/i.test(text)) return 1
  return /^-infinity$/i.test(text) ? -1 : undefined
}

function offsetOf(zone: string): bigint {
  if (/^z$/i.test(zone)) return 0n
  const [hours = '0', minutes = '0', seconds = '0'] = zone.slice(1).match(/\d\d/g) ?? []
  const offset = BigInt(Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1_000_000n
  return zone.startsWith('-') ? -offset : offset
}

/** As the server prints it with DateStyle ISO. */
export function formatDate(days: number): string {
  if (!Number.isFinite(days)) return days > 0 ? 'infinity' : '-infinity'
  const { year, month, day } = calendarOf(days)
  const two = (part: number) => String(part).padStart(2, '0')
  const text = `${String(year > 0 ? year : 1 - year).padStart(4, '0')}-${two(month)}-${two(day)}`
  return year > 0 ? text : `${text} BC`
}

/** As the server prints it with DateStyle ISO and TimeZone UTC. */
export function formatTimestamp(micros: bigint, withZone: boolean): string {
  if (micros === INFINITY || micros === -INFINITY) return micros > 0n ? 'infinity' : '-infinity'
  const days = floorDivide(micros, DAY)
  const time = Number(micros - days * DAY)
  const two = (part: number) => String(part).padStart(2, '0')
  const seconds = Math.floor(time / 1_000_000)
  const fraction = String(time % 1_000_000)
    .padStart(6, '0')
    .replace(/0+$/, '')
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  const [date, bc] = formatDate(Number(days)).split(' ')
  const text = `${date} ${clock}${fraction === '' ? '' : `.${fraction}`}${withZone ? '+00' : ''}`
  return bc === undefined ? text : `${text} ${bc}`
}

export function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient
}
