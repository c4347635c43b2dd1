import { digits } from './digits.js'

// date:         year-MM-DD[ BC]                                      | infinity | -infinity
// time:         HH:MM:SS[.ffffff][±HH[:MM[:SS]]]                       up to 24:00:00
// timestamp:    year-MM-DD HH:MM:SS[.ffffff][ BC]                    | infinity | -infinity
// timestamptz:  year-MM-DD HH:MM:SS[.ffffff]±HH[:MM[:SS]][ BC]   (+00 in our sessions)
// year has four to six digits (seven in dates)

const MINUS = 0x2d
const POINT = 0x2e
const PLUS = 0x2b
const ZERO = 0x30
const COLON = 0x3a
const LETTER_C = 0x43

/** Where the clock begins in a timestamp: behind the first blank. */
export function clockIn(src: Uint8Array, p: number): number {
  let blank = p + 10
  while (src[blank] !== 0x20) blank++
  return blank + 1
}

/** Days since 1970-01-01 of the date at `p`; ` BC` is looked for before `end`. */
export function readDays(src: Uint8Array, p: number, end: number): number {
  let hyphen = p + 4
  while (src[hyphen] !== MINUS) hyphen++
  let year = digits(src, p, hyphen)
  if (src[end - 1] === LETTER_C) year = 1 - year
  let month = two(src, hyphen + 1)
  const day = two(src, hyphen + 4)
  // `daysOf` of core/calendar.ts, written out: a call to it is not always inlined, which costs 8 % of each timestamp in Avro.
  if (month > 2) month -= 3
  else {
    month += 9
    year--
  }
  const era = Math.floor(year / 400)
  const yearOfEra = year - era * 400
  const dayOfYear = (((153 * month + 2) / 5) | 0) + day - 1
  return era * 146_097 + yearOfEra * 365 + (yearOfEra >> 2) - ((yearOfEra / 100) | 0) + dayOfYear - 719_468
}

/** Microseconds of the clock at `p`, less its zone, which may make them negative. */
export function readClock(src: Uint8Array, p: number, end: number): number {
  let micros = ((two(src, p) * 60 + two(src, p + 3)) * 60 + two(src, p + 6)) * 1_000_000
  p += 8
  if (p < end && src[p] === POINT) {
    let unit = 100_000
    for (p++; p < end && isDigit(src[p]!); p++, unit = (unit / 10) | 0) micros += (src[p]! - ZERO) * unit
  }
  if (p >= end || (src[p] !== PLUS && src[p] !== MINUS)) return micros
  const sign = src[p++] === MINUS ? -1 : 1
  let seconds = two(src, p) * 3600
  if (src[p + 2] === COLON && p + 2 < end) seconds += two(src, p + 3) * 60
  if (src[p + 5] === COLON && p + 5 < end) seconds += two(src, p + 6)
  return micros - sign * seconds * 1_000_000
}

function two(src: Uint8Array, p: number): number {
  return (src[p]! - ZERO) * 10 + src[p + 1]! - ZERO
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 0x39
}
