import { VALUE_MALFORMED } from '../../core/errors.js'
import type { ReadValue } from '../../core/table.js'
import { readText } from './text.js'

/** json, jsonb: parsed. Numbers become JavaScript's, of duplicate keys the last one counts. */
export function documentReader(type: string): ReadValue {
  return function readDocument(bytes, start, end) {
    try {
      return JSON.parse(readText(bytes, start, end))
    } catch {
      // V8's own message quotes the value, and a value is never shown.
      throw VALUE_MALFORMED({ type, problem: 'it is no valid JSON', offset: 0, length: end - start })
    }
  }
}
