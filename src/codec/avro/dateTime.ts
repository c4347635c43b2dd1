import type { ByteRoom } from '../../core/byteWriter.js'
import { DAY_MICROS } from '../../core/calendar.js'
import { clockIn, readClock, readDays } from '../text/calendar.js'
import { putBigLong, putVarint, VARINT_ROOM } from './varint.js'

const MINUS = 0x2d
const LETTER_C = 0x43
const LETTER_Y = 0x79
const MAX_INT = 2_147_483_647
/** Twice as many microseconds are still a safe integer: 1827 to 2112. */
const SAFE_MICROS = 2 ** 52
/** What stands for infinity and -infinity, as in PostgreSQL's own binary form. */
const MAX_LONG = 2n ** 63n - 1n
const MIN_LONG = -(2n ** 63n)

/** int of logical type date: days since 1970-01-01; the infinities are the largest and the smallest int. */
export function writeDate(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  writer.reserve(VARINT_ROOM)
  const days = src[end - 1] === LETTER_Y ? (src[p] === MINUS ? -MAX_INT - 1 : MAX_INT) : readDays(src, p, end)
  writer.length = putVarint(writer.bytes, writer.length, days < 0 ? -2 * days - 1 : 2 * days)
}

/** long of logical type time-micros. */
export function writeTime(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  writer.reserve(VARINT_ROOM)
  writer.length = putVarint(writer.bytes, writer.length, 2 * readClock(src, p, end))
}

/**
 * long of logical type timestamp-micros or local-timestamp-micros: microseconds since 1970; the infinities are the
 * largest and the smallest long. See {@link fitsTimestamp}.
 */
export function writeTimestamp(writer: ByteRoom, src: Uint8Array, p: number, end: number): void {
  writer.reserve(VARINT_ROOM)
  const out = writer.bytes
  if (src[end - 1] === LETTER_Y) {
    writer.length = putBigLong(out, writer.length, src[p] === MINUS ? MIN_LONG : MAX_LONG)
    return
  }
  const days = readDays(src, p, end)
  const clock = readClock(src, clockIn(src, p), end)
  const micros = days * DAY_MICROS + clock
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
  return BigInt(days) * BigInt(DAY_MICROS) + BigInt(clock)
}
