import { readText } from './text.js'

/** As in JSON: `2020-01-01T00:00:00.5`, `infinity`. */
export function readTimestamp(bytes: Uint8Array, start: number, end: number): string {
  return readText(bytes, start, end).replace(' ', 'T')
}

/** As in JSON: `2020-01-01T00:00:00.5+00:00`, `0044-03-15T00:00:00+00:00 BC`. */
export function readTimestamptz(bytes: Uint8Array, start: number, end: number): string {
  return readTimestamp(bytes, start, end).replace(/([+-]\d\d)( BC)?$/, '$1:00$2')
}

//                      year      month  day         hour   minute second fraction   zone                          era
const TIMESTAMP =
  /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(\.\d+)?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?( BC)?$/

/**
 * timestamp (read as UTC) or timestamptz as a Date. It loses the microseconds below the millisecond. What no Date can
 * hold stays the string it is without this option: `infinity`, `-infinity`, and years after 275760.
 */
export function readDate(bytes: Uint8Array, start: number, end: number): Date | string {
  const parts = TIMESTAMP.exec(readText(bytes, start, end))
  if (parts === null) return readTimestamptz(bytes, start, end)
  const [, year, month, day, hour, minute, second, fraction, sign, zoneHour, zoneMinute, zoneSecond, era] = parts
  const date = new Date(0)
  date.setUTCFullYear(era === undefined ? Number(year) : 1 - Number(year), Number(month) - 1, Number(day))
  date.setUTCHours(Number(hour), Number(minute), Number(second), milliseconds(fraction))
  if (sign !== undefined) {
    const seconds = Number(zoneHour) * 3600 + Number(zoneMinute ?? 0) * 60 + Number(zoneSecond ?? 0)
    date.setTime(date.getTime() - (sign === '-' ? -seconds : seconds) * 1000)
  }
  if (!Number.isNaN(date.getTime())) return date
  return sign === undefined ? readTimestamp(bytes, start, end) : readTimestamptz(bytes, start, end)
}

/** `.5` → 500. By digits: `.57 * 1000` and its like are not whole. */
function milliseconds(fraction = ''): number {
  return Number(fraction.slice(1, 4).padEnd(3, '0'))
}
