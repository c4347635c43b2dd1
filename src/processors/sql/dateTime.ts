import { calendarOf, clockText, DAY_MICROS, dateText, daysOf } from '../../core/calendar.js'
import { floorDivide } from '../../core/floorDivide.js'

/** Microseconds of a day. */
export const DAY = BigInt(DAY_MICROS)
/** Of timestamps, in place of microseconds. */
export const INFINITY = 1n << 70n

const DATE = /^(\d{4,7})-(\d\d)-(\d\d)( BC)?$/
const TIMESTAMP =
  /^(\d{4,7})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?(?: ?(Z|[-+]\d\d(?::?\d\d(?::?\d\d)?)?))?( BC)?$/i

function readCalendar(year: string, month: string, day: string, bc: string | undefined): number | undefined {
  if (Number(year) === 0) return undefined
  const days = daysOf(bc === undefined ? Number(year) : 1 - Number(year), Number(month), Number(day))
  const back = calendarOf(days)
  return back.month === Number(month) && back.day === Number(day) ? days : undefined
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
  return dateText(days)
}

/** As the server prints it with DateStyle ISO and TimeZone UTC. */
export function formatTimestamp(micros: bigint, withZone: boolean): string {
  if (micros === INFINITY || micros === -INFINITY) return micros > 0n ? 'infinity' : '-infinity'
  const days = floorDivide(micros, DAY)
  const clock = clockText(Number(micros - days * DAY))
  return dateText(Number(days), ` ${clock}${withZone ? '+00' : ''}`)
}
