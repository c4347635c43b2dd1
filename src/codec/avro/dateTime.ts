import type { ByteWriter } from '../../core/byteWriter.js'
import { digits } from './integer.js'
import { putBigLong, putVarint, VARINT_ROOM } from './varint.js'

// date:         year-MM-DD[ BC]                                      | infinity | -infinity
// time:         HH:MM:SS[.ffffff]                                      up to 24:00:00
// timestamp:    year-MM-DD HH:MM:SS[.ffffff][ BC]                    | infinity | -infinity
// timestamptz:  year-MM-DD HH:MM:SS[.ffffff]±HH[:MM[:SS]][ BC]   (+00 in our sessions)
// year has four to six digits (seven in dates)

const MINUS = 0x2d
const POINT = 0x2e
const PLUS = 0x2b
const ZERO = 0x30
const COLON = 0x3a
const LETTER_C = 0x43
const LETTER_Y = 0x79
const DAY = 86_400_000_000
const MAX_INT = 2_147_483_647
/** Twice as many microseconds are still a safe integer: 1827 to 2112. */
const SAFE_MICROS = 2 ** 52
/** What stands for infinity and -infinity, as in PostgreSQL's own binary form. */
const MAX_LONG = 2n ** 63n - 1n
const MIN_LONG = -(2n ** 63n)

/** int of logical type date: days since 1970-01-01; the infinities are the largest and the smallest int. */
export function writeDate(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  writer.reserve(VARINT_ROOM)
  const days = src[end - 1] === LETTER_Y ? (src[p] === MINUS ? -MAX_INT - 1 : MAX_INT) : readDays(src, p, end)
  writer.length = putVarint(writer.bytes, writer.length, days < 0 ? -2 * days - 1 : 2 * days)
}

/** long of logical type time-micros. */
export function writeTime(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  writer.reserve(VARINT_ROOM)
  writer.length = putVarint(writer.bytes, writer.length, 2 * readClock(src, p, end))
}

/**
 * long of logical type timestamp-micros or local-timestamp-micros: microseconds since 1970; the infinities are the
 * largest and the smallest long. See {@link fitsTimestamp}.
 */
export function writeTimestamp(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  writer.reserve(VARINT_ROOM)
  const out = writer.bytes
  if (src[end - 1] === LETTER_Y) {
    writer.length = putBigLong(out, writer.length, src[p] === MINUS ? MIN_LONG : MAX_LONG)
    return
  }
  const days = readDays(src, p, end)
  const clock = readClock(src, clockIn(src, p), end)
  const micros = days * DAY + clock
  if (micros >= 0 && micros < SAFE_MICROS) writer.length = putVarint(out, writer.length, 2 * micros)
  else if (micros < 0 && micros > -SAFE_MICROS) writer.length = putVarint(out, writer.length, -2 * micros - 1)
  else writer.length = putBigLong(out, writer.length, exactMicros(days, clock))
}

/** Whether a long holds it: the last 29 years of PostgreSQL's calendar, from 294248 on, are beyond 2^63. */
export function fitsTimestamp(src: Uint8Array, p: number, end: number): boolean {
  if (src[p + 4] === MINUS || src[end - 1] === LETTER_Y || src[end - 1] === LETTER_C) return true
  return exactMicros(readDays(src, p, end), readClock(src, clockIn(src, p), end)) < MAX_LONG
}

function exactMicros(days: number, clock: number): bigint {
  return BigInt(days) * BigInt(DAY) + BigInt(clock)
}

/** Where the clock begins in a timestamp: behind the first blank. */
function clockIn(src: Uint8Array, p: number): number {
  let blank = p + 10
  while (src[blank] !== 0x20) blank++
  return blank + 1
}

/** Days since 1970-01-01 of the date at `p`; ` BC` is looked for before `end`. */
function readDays(src: Uint8Array, p: number, end: number): number {
  let hyphen = p + 4
  while (src[hyphen] !== MINUS) hyphen++
  let year = digits(src, p, hyphen)
  if (src[end - 1] === LETTER_C) year = 1 - year
  let month = two(src, hyphen + 1)
  const day = two(src, hyphen + 4)
  // days_from_civil, by Howard Hinnant: the year begins in March, so that its last day is the leap day
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
function readClock(src: Uint8Array, p: number, end: number): number {
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
