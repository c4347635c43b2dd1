import type { ReadValue } from '../../core/table.js'
import { ArrayReader, CLOSE, DONE, NULL, OPEN } from '../text/arrayReader.js'
import { Unescaper } from '../text/unescape.js'
import { VectorReader } from '../text/vectorReader.js'

/** Nested arrays, one level a dimension; lower bounds are dropped, NULL is null. */
export function arrayReader(type: string, delimiter: number, readElement: ReadValue): ReadValue {
  const reader = new ArrayReader(type, delimiter)
  const unescaper = new Unescaper()
  return function readArray(bytes, start, end) {
    reader.open(bytes, start, end)
    const outer: unknown[][] = []
    let array: unknown[] = []
    for (let token = reader.next(); token !== DONE; token = reader.next()) {
      if (token === OPEN) {
        outer.push(array)
        array = []
      } else if (token === CLOSE) {
        const inner = array
        array = outer.pop()!
        array.push(inner)
      } else if (token === NULL) array.push(null)
      else if (!reader.escaped) array.push(readElement(bytes, reader.itemStart, reader.itemEnd))
      else array.push(readElement(unescaper.unescape(bytes, reader.itemStart, reader.itemEnd), 0, unescaper.length))
    }
    return array[0]
  }
}

/** int2vector, oidvector: an array of numbers. */
export function vectorReader(type: string, readElement: ReadValue): ReadValue {
  const reader = new VectorReader(type)
  return function readVector(bytes, start, end) {
    const array: unknown[] = []
    for (let p = start; p < end; ) {
      p = reader.next(bytes, start, p, end)
      array.push(readElement(bytes, reader.itemStart, reader.itemEnd))
    }
    return array
  }
}
