import type { ReadValue } from '../../core/table.js'
import { HstoreReader } from '../text/hstoreReader.js'
import { Unescaper } from '../text/unescape.js'
import { setField } from './setField.js'
import { readText } from './text.js'

/** Record<string, string | null>. */
export function hstoreReader(type: string): ReadValue {
  const reader = new HstoreReader(type)
  const unescaper = new Unescaper()

  function text(bytes: Uint8Array, from: number, to: number, escaped: boolean): string {
    if (!escaped) return readText(bytes, from, to)
    return readText(unescaper.unescape(bytes, from, to), 0, unescaper.length)
  }

  return function readHstore(bytes, start, end) {
    const object: Record<string, unknown> = {}
    for (let p = start; p < end; ) {
      p = reader.next(bytes, start, p, end)
      const key = text(bytes, reader.keyStart, reader.keyEnd, reader.keyEscaped)
      const value = reader.valueIsNull ? null : text(bytes, reader.valueStart, reader.valueEnd, reader.valueEscaped)
      setField(object, key, value)
    }
    return object
  }
}
