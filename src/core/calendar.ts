/** Of a day. */
export const DAY_MICROS = 86_400_000_000
/** 2000-01-01, where PostgreSQL's clock begins. */
export const SERVER_EPOCH_DAYS = 10_957
export const SERVER_EPOCH_MICROS = SERVER_EPOCH_DAYS * DAY_MICROS
const SECOND = 1_000_000

// Days are counted from 1970-01-01 in the Gregorian calendar, which goes on backwards for ever; year 0 is 1 BC. Both ways between
// days and dates are Howard Hinnant's: years begin in March, so that the leap day is the last one, and 400 of them, an era,
// always have 146,097 days. 1970-01-01 is day 719,468 from 1 March of year 0.

export interface CalendarDate {
  readonly year: number
  readonly month: number
  readonly day: number
}

export function daysOf(year: number, month: number, day: number): number {
  let fromMarch = month - 3
  if (fromMarch < 0) {
    fromMarch += 12
    year--
  }
  const leapDays = (year >> 2) - Math.floor(year / 100) + Math.floor(year / 400)
  return 365 * year + leapDays + (((153 * fromMarch + 2) / 5) | 0) + day - 1 - 719_468
}

export function calendarOf(days: number): CalendarDate {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const leapDays = ((dayOfEra / 1460) | 0) - ((dayOfEra / 36_524) | 0) + ((dayOfEra / 146_096) | 0)
  const yearOfEra = ((dayOfEra - leapDays) / 365) | 0
  const dayOfYear = dayOfEra - (365 * yearOfEra + (yearOfEra >> 2) - ((yearOfEra / 100) | 0))
  const fromMarch = ((5 * dayOfYear + 2) / 153) | 0
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - (((153 * fromMarch + 2) / 5) | 0) + 1,
  }
}

/** As the server writes it with DateStyle ISO; `behind`, such as a clock, stands before ` BC`. */
export function dateText(days: number, behind = ''): string {
  const { year, month, day } = calendarOf(days)
  const name = String(year > 0 ? year : 1 - year).padStart(4, '0')
  return `${name}-${two(month)}-${two(day)}${behind}${year > 0 ? '' : ' BC'}`
}

/** Microseconds of a day, up to 24:00:00, as the server writes them: without zeros at the end. `nanos`: three digits more. */
export function clockText(micros: number, nanos = ''): string {
  const seconds = Math.floor(micros / SECOND)
  const clock = `${two((seconds / 3600) | 0)}:${two(((seconds / 60) | 0) % 60)}:${two(seconds % 60)}`
  const rest = micros - seconds * SECOND
  if (rest === 0 && nanos === '') return clock
  const fraction = (String(rest).padStart(6, '0') + nanos).replace(/0+$/, '')
  return fraction === '' ? clock : `${clock}.${fraction}`
}

const TWO_DIGITS = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))

function two(n: number): string {
  return TWO_DIGITS[n] ?? String(n)
}
