import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../core/tape.js'
import type { MessageReader } from './reader.js'

const NULL = 0x6e // 'n'
const UNCHANGED = 0x75 // 'u'
const TEXT = 0x74 // 't'
const BINARY = 0x62 // 'b'

// TupleData:
//   Int16      number of columns; then for each:
//     Byte1    'n' null | 'u' unchanged TOASTed value | 't' text | 'b' binary
//     Int32    length of the value ('t' and 'b' only)
//     Byte[n]  the value
/**
 * Reads the tuple into `values[at..at + 2 * columns)`, which the caller has reserved. Leaves the tape's length alone:
 * what is written counts when the caller has found the whole message in order.
 */
export function readTuple(reader: MessageReader, columns: number, values: Int32Array, at: number): void {
  const count = reader.uint16('number of columns')
  if (count !== columns) reader.fail(`the tuple has ${count} columns, its relation ${columns}`, reader.p - 2)
  const { bytes, end } = reader
  let p = reader.p
  for (let left = columns; left > 0; left--) {
    if (p >= end) reader.fail('the tuple ends before its last column', p)
    const kind = bytes[p++]!
    if (kind === TEXT) {
      if (end - p < 4) reader.fail("the tuple ends in a value's length", p)
      const length = (bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!
      p += 4
      if (length >>> 0 > end - p) reader.fail('a value does not end in its message', p - 4) // a negative length, too
      values[at++] = p
      p += length
      values[at++] = p
    } else if (kind === NULL) {
      values[at++] = NULL_COLUMN
      values[at++] = NULL_COLUMN
    } else if (kind === UNCHANGED) {
      values[at++] = UNCHANGED_COLUMN
      values[at++] = UNCHANGED_COLUMN
    } else if (kind === BINARY) {
      reader.fail('binary values were not asked for', p - 1)
    } else {
      reader.fail(`unknown kind of value ${kind}`, p - 1)
    }
  }
  reader.p = p
}
