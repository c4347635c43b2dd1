import type { ByteWriter } from '../../core/byteWriter.js'
import { clockText, DAY_MICROS, dateText, SERVER_EPOCH_DAYS } from '../../core/calendar.js'
import { MALFORMED_MESSAGE } from '../../core/errors.js'
import { floorDivide } from '../../core/floorDivide.js'
import { float4Text, float8Text } from './floatText.js'
import {
  BINARY_BOOL,
  BINARY_BYTEA,
  BINARY_DATE,
  BINARY_FLOAT4,
  BINARY_FLOAT8,
  BINARY_INT2,
  BINARY_INT4,
  BINARY_INT8,
  BINARY_JSONB,
  BINARY_NUMERIC,
  BINARY_TEXT,
  BINARY_TIME,
  BINARY_TIMESTAMP,
  BINARY_TIMESTAMPTZ,
  BINARY_UUID,
} from './forms.js'
import { numericText } from './numeric.js'

const DAY = BigInt(DAY_MICROS)
const MAX_INT = 2_147_483_647
const MIN_INT = -MAX_INT - 1
const MAX_LONG = 2n ** 63n - 1n
const MIN_LONG = -(2n ** 63n)
const JSONB_VERSION = 1
const MINUS = 0x2d
const ZERO = 0x30
const INTEGER_CHARACTERS = 11
const BLOCK = 32 * 1024

/**
 * Writes the text form of a value in binary format: what the server would have sent as text, in the settings that our sessions
 * have (ISO dates, UTC, hex, all digits of a float). Room is asked for once, before anything is written.
 */
export function writeBinaryText(
  writer: ByteWriter,
  form: number,
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
): void {
  switch (form) {
    case BINARY_TEXT:
      return writer.write(bytes.subarray(start, end))
    case BINARY_JSONB:
      if (bytes[start] !== JSONB_VERSION) throw malformed(`a jsonb of version ${bytes[start]}`, end - start)
      return writer.write(bytes.subarray(start + 1, end))
    case BINARY_BYTEA:
      return writeBytea(writer, bytes, start, end)
    case BINARY_UUID: {
      const digits = hex(bytes, start, end)
      const parts = [
        digits.slice(0, 8),
        digits.slice(8, 12),
        digits.slice(12, 16),
        digits.slice(16, 20),
        digits.slice(20),
      ]
      return writeAscii(writer, parts.join('-'))
    }
    case BINARY_INT4:
      return writeInteger(writer, view.getInt32(start))
    case BINARY_INT8: {
      const high = view.getInt32(start)
      // Keys, whose texts are in positions, mostly are of few digits.
      const low = view.getInt32(start + 4)
      if (high === low >> 31) return writeInteger(writer, low)
      return writeAscii(writer, String(view.getBigInt64(start)))
    }
    default:
      return writeAscii(writer, shortText(form, view, start, end))
  }
}

function shortText(form: number, view: DataView, start: number, end: number): string {
  switch (form) {
    case BINARY_BOOL:
      return view.getUint8(start) === 0 ? 'f' : 't'
    case BINARY_INT2:
      return String(view.getInt16(start))
    case BINARY_FLOAT4:
      return float4Text(view.getFloat32(start))
    case BINARY_FLOAT8:
      return float8Text(view.getFloat64(start))
    case BINARY_NUMERIC:
      return numericText(view, start, end)
    case BINARY_DATE:
      return daysText(view.getInt32(start))
    case BINARY_TIME:
      return clockText(Number(view.getBigInt64(start)))
    case BINARY_TIMESTAMP:
      return timestampText(view.getBigInt64(start), '')
    case BINARY_TIMESTAMPTZ:
      return timestampText(view.getBigInt64(start), '+00')
    default:
      throw new Error(`there is no binary form ${form}`)
  }
}

function daysText(days: number): string {
  if (days === MAX_INT) return 'infinity'
  if (days === MIN_INT) return '-infinity'
  return dateText(SERVER_EPOCH_DAYS + days)
}

function timestampText(micros: bigint, zone: string): string {
  if (micros === MAX_LONG) return 'infinity'
  if (micros === MIN_LONG) return '-infinity'
  const days = floorDivide(micros, DAY)
  return dateText(SERVER_EPOCH_DAYS + Number(days), ` ${clockText(Number(micros - days * DAY))}${zone}`)
}

/** Of 32 bits. */
function writeInteger(writer: ByteWriter, value: number): void {
  writer.reserve(INTEGER_CHARACTERS)
  const { bytes } = writer
  let from = writer.length
  let rest = value
  if (value < 0) {
    bytes[from++] = MINUS
    rest = -value
  }
  let to = from + 1
  for (let bound = 10; rest >= bound; bound *= 10) to++
  writer.length = to
  while (to > from) {
    const tenth = Math.floor(rest / 10)
    bytes[--to] = ZERO + rest - 10 * tenth
    rest = tenth
  }
}

/** In pieces: a text of 512 MB is none for JavaScript. */
function writeBytea(writer: ByteWriter, bytes: Uint8Array, start: number, end: number): void {
  writer.reserve(2 * (end - start) + 2)
  writer.writeAscii('\\x')
  for (let from = start; from < end; from += BLOCK) writer.writeAscii(hex(bytes, from, Math.min(end, from + BLOCK)))
}

function hex(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('hex')
}

function writeAscii(writer: ByteWriter, text: string): void {
  writer.writeAscii(text)
}

function malformed(problem: string, length: number): Error {
  return MALFORMED_MESSAGE({ message: 'CopyData', problem, offset: 0, length })
}
