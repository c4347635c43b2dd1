import { MALFORMED_MESSAGE } from '../../core/errors.js'
import { NULL_COLUMN, type Tape } from '../../core/tape.js'

const TAB = 0x09
const NEWLINE = 0x0a
const BACKSLASH = 0x5c
const CAPITAL_N = 0x4e

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
 * stand for is shorter. Reads the one row that `bytes[p..end)` is: the server sends one in each CopyData.
 */
export function readCopyRow(bytes: Uint8Array, p: number, end: number, columns: number, tape: Tape): void {
  if (end === p || bytes[end - 1] !== NEWLINE) throw malformed('a row does not end with a newline', end - p, end - p)
  tape.reserve(2 * columns)
  const values = tape.values
  const from = tape.length
  const limit = from + 2 * columns
  const last = end - 1
  let at = from
  // A table without columns sends an empty line, one column's empty string too: the number asked for decides.
  if (columns === 0 && last === p) return
  for (let cursor = p, start = p; ; cursor++) {
    const byte = cursor === last ? TAB : bytes[cursor]!
    if (byte === TAB) {
      if (at === limit) throw malformed(`a row of more than ${columns} columns`, cursor - p, end - p)
      values[at] = start
      values[at + 1] = cursor
      at += 2
      if (cursor === last) break
      start = cursor + 1
    } else if (byte === BACKSLASH) {
      if (at === limit) throw malformed(`a row of more than ${columns} columns`, cursor - p, end - p)
      if (cursor + 1 === last) throw malformed('a row ends in the middle of an escape', cursor - p, end - p)
      if (cursor === start && bytes[cursor + 1] === CAPITAL_N && (cursor + 2 === last || bytes[cursor + 2] === TAB)) {
        values[at] = values[at + 1] = NULL_COLUMN
        at += 2
        cursor += 2
        if (cursor === last) break
        start = cursor + 1
      } else {
        // From the first escape to the column's end bytes move to the left.
        let to = cursor
        while (cursor < last && bytes[cursor] !== TAB) {
          if (bytes[cursor] === BACKSLASH) {
            if (++cursor === last) throw malformed('a row ends in the middle of an escape', cursor - p, end - p)
            bytes[to++] = ESCAPED[bytes[cursor++]!]!
          } else bytes[to++] = bytes[cursor++]!
        }
        values[at] = start
        values[at + 1] = to
        at += 2
        if (cursor === last) break
        start = cursor + 1
      }
    }
  }
  if (at !== limit) throw malformed(`a row of ${(at - from) / 2} columns, not ${columns}`, end - p, end - p)
  tape.length = at
}

function malformed(problem: string, offset: number, length: number): Error {
  return MALFORMED_MESSAGE({ message: 'CopyData', problem, offset, length })
}
