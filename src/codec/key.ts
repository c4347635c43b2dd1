import { ByteWriter } from '../core/byteWriter.js'
import { NO_OLD } from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../core/tape.js'
import { NO_FALLBACK } from './json/row.js'
import { SHORT } from './json/short.js'
import { writeJsonString } from './json/text.js'

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c

/**
 * Where a key column that is unchanged and was not sent can be found: the old tuple has it in both kinds, since the
 * key's columns belong to the replica identity.
 */
export function keyFallback(oldAt: number, oldKind: number): number {
  return oldKind === NO_OLD ? NO_FALLBACK : oldAt
}

/** Whether an update has another key than the row before it, by the bytes of the text form. */
export function keyChanged(
  table: Table,
  bytes: Uint8Array,
  tape: Int32Array,
  newAt: number,
  oldAt: number,
  oldKind: number,
): boolean {
  if (oldKind === NO_OLD) return false
  for (const column of table.key) {
    const start = tape[newAt + 2 * column]!
    if (start === UNCHANGED_COLUMN) continue
    const oldStart = tape[oldAt + 2 * column]!
    if (oldStart < 0 || start < 0) {
      if (oldStart !== start) return true
      continue
    }
    const length = tape[newAt + 2 * column + 1]! - start
    if (length !== tape[oldAt + 2 * column + 1]! - oldStart) return true
    for (let i = 0; i < length; i++) if (bytes[start + i] !== bytes[oldStart + i]) return true
  }
  return false
}

/**
 * The key in a record's id, inside a JSON string: the columns' text, with commas between them; in a composite key a
 * comma or backslash of a value has a backslash before it, so that no two keys look alike. A snapshot row without a
 * key has its place in the table instead, which stands behind the columns on the tape (see snapshot/query.ts).
 */
export function writeKeyText(
  writer: ByteWriter,
  table: Table,
  bytes: Uint8Array,
  tape: Int32Array,
  newAt: number,
): void {
  if (table.key.length <= 1) {
    const column = table.key.length === 1 ? table.key[0]! : table.columns.length
    writeInside(writer, bytes, tape[newAt + 2 * column]!, tape[newAt + 2 * column + 1]!)
    return
  }
  for (let i = 0; i < table.key.length; i++) {
    if (i > 0) writer.writeAscii(',')
    const start = tape[newAt + 2 * table.key[i]!]!
    const end = tape[newAt + 2 * table.key[i]! + 1]!
    const escaped = escapeSeparators(bytes, start, end)
    if (escaped === undefined) writeInside(writer, bytes, start, end)
    else writeInside(writer, escaped, 0, escaped.length)
  }
}

/** Writes a value's text as a part of a JSON string. */
function writeInside(writer: ByteWriter, bytes: Uint8Array, start: number, end: number): void {
  if (start === NULL_COLUMN) return
  if (end - start <= SHORT) {
    writer.reserve(end - start)
    const out = writer.bytes
    let at = writer.length
    let p = start
    for (; p < end; p++) {
      const byte = bytes[p]!
      if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) break
      out[at++] = byte
    }
    if (p === end) {
      writer.length = at
      return
    }
  }
  const quoted = new ByteWriter(64 + 2 * (end - start))
  writeJsonString(quoted, bytes, start, end)
  const text = quoted.toBuffer()
  writer.write(text.subarray(1, text.length - 1))
}

/** A copy with a backslash before each comma and backslash; undefined when there is none. */
function escapeSeparators(bytes: Uint8Array, start: number, end: number): Uint8Array | undefined {
  if (start < 0) return undefined
  const escaped: number[] = []
  for (let p = start; p < end; p++) {
    const byte = bytes[p]!
    if (byte === COMMA || byte === BACKSLASH) escaped.push(BACKSLASH)
    escaped.push(byte)
  }
  return escaped.length === end - start ? undefined : Uint8Array.from(escaped)
}
