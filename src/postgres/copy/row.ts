import { MALFORMED_MESSAGE } from '../../core/errors.js'
import { NULL_COLUMN, type Tape } from '../../core/tape.js'

const TAB = 0x09
const NEWLINE = 0x0a
const BACKSLASH = 0x5c
const CAPITAL_N = 0x4e

/** Bytes that are not simply part of a value. */
const STOP = new Uint8Array(256)
STOP[TAB] = STOP[NEWLINE] = STOP[BACKSLASH] = 1

// The same four bytes at a time: what is below 11 or a backslash. (x - n) & ~x has the high bit of the lowest byte below n.
const ELEVENS = 0x0b0b0b0b
const BACKSLASHES = 0x5c5c5c5c
const ONES = 0x01010101
const HIGH_BITS = 0x80808080

/** What a letter after a backslash stands for; any other byte stands for itself. */
const ESCAPED = Uint8Array.from({ length: 256 }, (_, byte) => byte)
for (const [letter, byte] of Object.entries({ b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 })) {
  ESCAPED[letter.charCodeAt(0)] = byte
}

/**
 * COPY's text format ("COPY: Text Format" in the PostgreSQL docs): columns parted by tabs, the row ended by a newline,
 * `\N` for NULL, and escapes by backslash, of which the server writes `\\ \b \t \n \v \f \r` only.
 *
 * Leaves start and end of each column on `tape`. Escapes are undone in place, since the bytes are ours and what they
 * stand for is shorter. Reads the one row that `bytes[p..end)` (`view` is the same memory) is: the server sends one in
 * each CopyData.
 */
export function readCopyRow(
  bytes: Uint8Array,
  view: DataView,
  p: number,
  end: number,
  columns: number,
  tape: Tape,
): void {
  requireLine(bytes, p, end)
  const last = end - 1
  tape.reserve(2 * columns)
  const values = tape.values
  let at = tape.length
  const limit = at + 2 * columns
  // A table without columns sends an empty line, one column's empty string too: the number asked for decides.
  if (columns === 0 && last === p) return
  const words = end - 3
  for (let cursor = p; ; cursor++) {
    if (at === limit) throw malformed(`a row of more than ${columns} columns`, cursor - p, p, end)
    const start = cursor
    for (; cursor < words; cursor += 4) {
      const four = view.getInt32(cursor, true)
      const backslash = four ^ BACKSLASHES
      const found = (((four - ELEVENS) & ~four) | ((backslash - ONES) & ~backslash)) & HIGH_BITS
      if (found === 0) continue
      cursor += (31 - Math.clz32(found & -found)) >> 3
      break
    }
    // A control character that is nothing here may have ended that. Ends at the newline at the latest.
    while (STOP[bytes[cursor]!] === 0) cursor++
    values[at] = start
    values[at + 1] = cursor
    if (bytes[cursor] === BACKSLASH) {
      if (isNull(bytes, start, cursor)) {
        values[at] = values[at + 1] = NULL_COLUMN
        cursor += 2
      } else {
        const after = endOfColumn(bytes, cursor, last)
        if (after > last) throw malformed('a row ends in the middle of an escape', last - p, p, end)
        values[at + 1] = undoEscapes(bytes, cursor, after)
        cursor = after
      }
    }
    at += 2
    if (cursor === last) break
    if (bytes[cursor] !== TAB) throw malformed('a newline in the middle of a row', cursor - p, p, end)
  }
  if (at !== limit) throw malformed(`a row of fewer than ${columns} columns`, end - p, p, end)
  tape.length = at
}

/** `\N` and nothing else. What follows it stands within the row, whose newline is behind it. */
function isNull(bytes: Uint8Array, start: number, cursor: number): boolean {
  if (cursor !== start || bytes[cursor + 1] !== CAPITAL_N) return false
  return bytes[cursor + 2] === TAB || bytes[cursor + 2] === NEWLINE
}

/** Where the column that has an escape at `cursor` ends; beyond `last` when its last escape does. */
function endOfColumn(bytes: Uint8Array, cursor: number, last: number): number {
  while (cursor < last && bytes[cursor] !== TAB && bytes[cursor] !== NEWLINE) {
    cursor += bytes[cursor] === BACKSLASH ? 2 : 1
  }
  return cursor
}

/** Undoes the escapes in `bytes[cursor..end)`, in place; gives the new end. */
function undoEscapes(bytes: Uint8Array, cursor: number, end: number): number {
  let to = cursor
  while (cursor < end) {
    if (bytes[cursor] === BACKSLASH) {
      bytes[to++] = ESCAPED[bytes[cursor + 1]!]!
      cursor += 2
    } else bytes[to++] = bytes[cursor++]!
  }
  return to
}

/** Whether the server sent one line, with its end; throws otherwise. What is in it is not looked at. */
export function requireLine(bytes: Uint8Array, p: number, end: number): void {
  if (end <= p || bytes[end - 1] !== NEWLINE) {
    throw malformed('a row does not end with a newline', end - p, p, end)
  }
}

function malformed(problem: string, offset: number, p: number, end: number): Error {
  return MALFORMED_MESSAGE({ message: 'CopyData', problem, offset, length: end - p })
}
