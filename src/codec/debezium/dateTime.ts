import type { ByteWriter } from '../../core/byteWriter.js'
import { clockText, DAY_MICROS } from '../../core/calendar.js'
import type { WriteJson } from '../../core/table.js'
import { writePlain } from '../json/plain.js'
import { clockIn, readClock, readDays } from '../text/calendar.js'

const MINUS = 0x2d
const T = 0x54
const LETTER_C = 0x43
const LETTER_Y = 0x79
/** 365.25 / 12 days. */
const MONTH = 2_629_800_000_000n
/** Columns of up to so many decimals are written in milliseconds. */
const MILLIS_DECIMALS = 3
/** What PostgreSQL's JDBC driver makes of infinity and -infinity, in microseconds. */
const INFINITY = '9223372036825200000'
const MINUS_INFINITY = '-9223372036832400000'

/** date: days since 1970-01-01; the infinities, which have no such form, as text. */
export function writeDays(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  if (src[end - 1] === LETTER_Y) writePlain(writer, src, p, end)
  else writer.writeAscii(String(readDays(src, p, end)))
}

/** time: microseconds since midnight, or milliseconds. */
export function clockWriter(typmod: number): WriteJson {
  const divisor = divisorOf(typmod)
  return (writer, src, p, end) => writer.writeAscii(String(readClock(src, p, end) / divisor))
}

/** timestamp: microseconds since 1970-01-01, or milliseconds. */
export function timestampWriter(typmod: number): WriteJson {
  const divisor = divisorOf(typmod)
  return (writer, src, p, end) => {
    if (src[end - 1] === LETTER_Y) {
      const text = src[p] === MINUS ? MINUS_INFINITY : INFINITY
      return writer.writeAscii(divisor === 1 ? text : text.slice(0, -3))
    }
    const days = readDays(src, p, end)
    const clock = readClock(src, clockIn(src, p), end)
    const micros = days * DAY_MICROS + clock
    if (Number.isSafeInteger(micros)) writer.writeAscii(String(micros / divisor))
    else writer.writeAscii(String((BigInt(days) * BigInt(DAY_MICROS) + BigInt(clock)) / BigInt(divisor)))
  }
}

/** timestamptz: `2020-01-01T00:00:00.5Z`; sessions give it in UTC. */
export function writeZoned(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  if (src[end - 1] === LETTER_Y || src[end - 1] === LETTER_C) return writePlain(writer, src, p, end)
  writer.writeAscii('"')
  const from = writer.length
  writer.write(src.subarray(p, end - '+00'.length))
  writer.bytes[from + clockIn(src, p) - 1 - p] = T
  writer.writeAscii('Z"')
}

/** timetz: `10:00:00.5Z`. */
export function writeZonedTime(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  const clock = readClock(src, p, end)
  const micros = ((clock % DAY_MICROS) + DAY_MICROS) % DAY_MICROS
  writer.writeAscii(`"${clockText(micros)}Z"`)
}

const INTERVAL = /^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d+))?S)?)?$/

/** interval (IntervalStyle iso_8601): microseconds, a month being 365.25 / 12 days. */
export function writeInterval(writer: ByteWriter, src: Uint8Array, p: number, end: number): void {
  const found = INTERVAL.exec(Buffer.from(src.buffer, src.byteOffset + p, end - p).toString('latin1'))
  if (found === null) return writePlain(writer, src, p, end)
  const part = (index: number) => BigInt(found[index] ?? 0)
  const seconds = part(7) * 1_000_000n + BigInt((found[8] ?? '').padEnd(6, '0'))
  const clock = (part(4) * 60n + part(5)) * 60_000_000n + (found[6] === '-' ? -seconds : seconds)
  writer.writeAscii(String((part(1) * 12n + part(2)) * MONTH + part(3) * BigInt(DAY_MICROS) + clock))
}

function divisorOf(typmod: number): number {
  return typmod >= 0 && typmod <= MILLIS_DECIMALS ? 1000 : 1
}
