import { writeJsonString } from '../codec/json/text.js'
import type { ByteSink } from '../core/byteWriter.js'

/** Where positions are written to. */
export interface PositionWriter extends ByteSink {
  write(bytes: Uint8Array): void
  /** In UTF-8. */
  writeText(text: string): void
  writeDigits(value: number): void
}

const TO = Buffer.from(',"to":[')
const TO_END = Buffer.from(']}}}')
const COMMA = Buffer.from(',')
const STEP_END = Buffer.from('}}}')

/**
 * What a position of a row that is read ends with, behind `upToText`: how many were read, and, where these are ranges of keys, the
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
  if (columns === undefined) return writer.write(STEP_END)
  writer.write(TO)
  for (let i = 0; i < columns.length; i++) {
    if (i > 0) writer.write(COMMA)
    const pair = at + 2 * columns[i]!
    writeJsonString(writer, bytes, tape[pair]!, tape[pair + 1]!)
  }
  writer.write(TO_END)
}
