import { writeJsonString } from '../codec/json/text.js'
import type { ByteSink } from '../core/byteWriter.js'

/** Where positions are written to. */
export interface PositionWriter extends ByteSink {
  write(bytes: Uint8Array): void
  /** In UTF-8. */
  writeText(text: string): void
  writeDigits(value: number): void
}

const COMMA = 0x2c
const QUOTE = 0x22

/**
 * How a position of a row that is read ends, behind `upToText`, in short: how many were read, and, where these are ranges of keys, the
 * row's key (`columns` of the tuple at `tape[at]`), as its texts stand in JSON.
 */
export function writeStep(
  writer: PositionWriter,
  rows: number,
  columns: readonly number[] | undefined,
  bytes: Uint8Array,
  tape: Int32Array,
  at: number,
): void {
  writer.writeDigits(rows)
  if (columns === undefined) return
  for (const column of columns) {
    const pair = at + 2 * column
    writeJsonString(writer, bytes, tape[pair]!, tape[pair + 1]!)
  }
}

/** The same of a key that is one whole number. */
export function writeNumberStep(writer: PositionWriter, rows: number, key: number): void {
  writer.writeDigits(rows)
  writeByte(writer, QUOTE)
  writer.writeDigits(key)
  writeByte(writer, QUOTE)
}

/** The same, of a key's texts. */
export function stepOf(rows: number, key: readonly string[]): string {
  return `${rows}${key.map((text) => JSON.stringify(text)).join('')}`
}

const STEP = /^(\d+)((?:"(?:[^"\\]|\\.)*")*)$/s
const STRINGS = /"(?:[^"\\]|\\.)*"/gs

/** What a step says, as it stands in a position; undefined: it is none. */
export function stepText(short: string): string | undefined {
  const [, rows, key] = STEP.exec(short) ?? []
  if (rows === undefined) return undefined
  return key === '' ? `${rows}}}}` : `${rows},"to":[${key!.match(STRINGS)!.join()}]}}}`
}

/**
 * How a position in the stream ends, behind the LSN and a comma, in short; `last`: the fingerprint, or where the transaction ends, as
 * an LSN.
 */
export function writePlace(writer: PositionWriter, seq: number, sub: number, last: number | string): void {
  writer.writeDigits(seq)
  writeByte(writer, COMMA)
  writer.writeDigits(sub)
  writeByte(writer, COMMA)
  if (typeof last === 'string') writer.writeText(last)
  else writer.writeDigits(last)
}

const PLACE = /^([\dA-F]+\/[\dA-F]+),(-?\d+),(-?\d+),(?:(-?\d+)|([\dA-F]+\/[\dA-F]+))$/

/** What a place says, with the LSN before it, as it stands in a position; undefined: it is none. */
export function placeText(short: string): string | undefined {
  const [, lsn, seq, sub, fingerprint, end] = PLACE.exec(short) ?? []
  if (lsn === undefined) return undefined
  const last = end === undefined ? `"fingerprint":${fingerprint}` : `"end":"${end}"`
  return `,"lsn":"${lsn}","seq":${seq},"sub":${sub},${last}}`
}

function writeByte(writer: PositionWriter, byte: number): void {
  writer.reserve(1)
  writer.bytes[writer.length++] = byte
}
