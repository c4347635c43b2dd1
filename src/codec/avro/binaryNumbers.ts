import { SERVER_EPOCH_DAYS, SERVER_EPOCH_MICROS } from '../../core/calendar.js'
import { NUMERIC_HEAD } from '../../postgres/binary/numeric.js'
import { putVarint } from './varint.js'

// Values of COPY's binary format as Avro has them; room must be there.

const BASE = 10_000
const SAFE_DIGITS = 15
const MIN_LONG = -(2n ** 63n)
const MAX_INT = 2_147_483_647
/** Decimal digits of a digit of a numeric. */
const DIGIT = 4
export const MAX_LONG = 2n ** 63n - 1n

/** An int2 or int4. */
export function putInteger(out: Uint8Array, at: number, value: number): number {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  for (; zigzag > 127; zigzag >>>= 7) out[at++] = (zigzag & 127) | 128
  out[at++] = zigzag
  return at
}

/** A number of which the double is a safe integer. */
export function putSafe(out: Uint8Array, at: number, value: number): number {
  return putVarint(out, at, value < 0 ? -2 * value - 1 : 2 * value)
}

/** The infinities are as they were. */
export function daysSince1970(days: number): number {
  return days === MAX_INT || days === -MAX_INT - 1 ? days : days + SERVER_EPOCH_DAYS
}

export function microsSince1970(micros: bigint): bigint {
  return micros === MAX_LONG || micros === MIN_LONG ? micros : micros + BigInt(SERVER_EPOCH_MICROS)
}

/** Of many bits that are no number, one. */
export function putDouble(view: DataView, at: number, value: number): void {
  if (Number.isNaN(value)) {
    view.setInt32(at, 0)
    view.setInt32(at + 4, 0x7ff8_0000, true)
  } else view.setFloat64(at, value, true)
}

export function putFloat(view: DataView, at: number, value: number): void {
  if (Number.isNaN(value)) view.setInt32(at, 0x7fc0_0000, true)
  else view.setFloat32(at, value, true)
}

/** What a numeric that fits is times ten to `scale`, without its sign; -1: a double may not have it. */
export function shortDecimal(view: DataView, start: number, scale: number): number {
  const digits = view.getUint16(start)
  const weight = view.getInt16(start + 2)
  const behind = Math.ceil(scale / DIGIT)
  const whole = weight < 0 ? 0 : weight + 1
  if (DIGIT * (whole + behind) > SAFE_DIGITS) return -1
  let value = 0
  let index = weight < 0 ? weight + 1 : 0
  for (let left = whole + behind; left > 0; left--, index++) {
    const digit = index >= 0 && index < digits ? view.getInt16(start + NUMERIC_HEAD + 2 * index) : 0
    value = value * BASE + digit
  }
  // What is beyond the scale is zeros.
  for (let beyond = DIGIT * behind - scale; beyond > 0; beyond--) value /= 10
  return value
}
