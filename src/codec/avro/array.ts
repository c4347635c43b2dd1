import { ArrayReader, CLOSE, DONE, NULL, OPEN } from '../text/arrayReader.js'
import { Unescaper } from '../text/unescape.js'
import type { AvroCodec } from './codec.js'
import { putLength, VARINT_ROOM } from './varint.js'

// array:  one block: long count, items; then long 0. An empty array is the 0 alone. Each item is of a union
//         ["null", T]: 0 for NULL, else 2 and the value

const NO_ITEM = 0
const ITEM = 2

/**
 * An array of one dimension, or none; its lower bound is dropped, as in JSON. Of more dimensions no schema of one depth
 * speaks: such a value does not fit.
 */
export function arrayCodec(type: string, delimiter: number, element: AvroCodec): AvroCodec {
  const reader = new ArrayReader(type, delimiter)
  const unescaper = new Unescaper()

  /** -1: a dimension too many, or an element that does not fit. */
  function count(src: Uint8Array, start: number, end: number, check: boolean): number {
    reader.open(src, start, end)
    let items = 0
    let flat = true
    let depth = 0
    for (let token = reader.next(); token !== DONE; token = reader.next()) {
      if (token === OPEN) flat &&= ++depth === 1
      else if (token !== CLOSE) {
        items++
        if (check && token !== NULL && element.fits !== undefined) flat &&= itemFits(src, element.fits)
      }
    }
    return flat ? items : -1
  }

  function itemFits(src: Uint8Array, fits: NonNullable<AvroCodec['fits']>): boolean {
    if (!reader.escaped) return fits(src, reader.itemStart, reader.itemEnd)
    return fits(unescaper.unescape(src, reader.itemStart, reader.itemEnd), 0, unescaper.length)
  }

  return {
    schema: `{"type":"array","items":["null",${element.schema}]}`,
    fits: (src, start, end) => count(src, start, end, true) >= 0,
    write(writer, src, start, end) {
      const items = count(src, start, end, false)
      writer.reserve(VARINT_ROOM + 1)
      if (items > 0) {
        writer.length = putLength(writer.bytes, writer.length, items)
        reader.open(src, start, end)
        for (let token = reader.next(); token !== DONE; token = reader.next()) {
          if (token === OPEN || token === CLOSE) continue
          writer.reserve(1)
          writer.bytes[writer.length++] = token === NULL ? NO_ITEM : ITEM
          if (token === NULL) continue
          if (!reader.escaped) element.write(writer, src, reader.itemStart, reader.itemEnd)
          else {
            const item = unescaper.unescape(src, reader.itemStart, reader.itemEnd)
            element.write(writer, item, 0, unescaper.length)
          }
        }
        writer.reserve(1)
      }
      writer.bytes[writer.length++] = 0
    },
  }
}
