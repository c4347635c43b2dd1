import type { ReadValue } from '../../core/table.js'
import type { FieldCodec } from '../json/composite.js'
import { CompositeReader, NULL_FIELD } from '../text/compositeReader.js'
import { fits } from '../text/fits.js'
import { Unescaper } from '../text/unescape.js'
import { setField } from './setField.js'
import { readText } from './text.js'

/** An object by field name; text of another shape is given whole, as a string, as in JSON. */
export function compositeReader(type: string, fields: readonly FieldCodec[], onMismatch: () => void): ReadValue {
  const reader = new CompositeReader(type, fields.length)
  const unescaper = new Unescaper()

  return function readComposite(bytes, start, end) {
    if (!reader.read(bytes, start, end) || !fields.every((field, i) => fieldFits(field, bytes, i))) {
      onMismatch()
      return readText(bytes, start, end)
    }
    const object: Record<string, unknown> = {}
    for (const [i, { name, codec }] of fields.entries()) setField(object, name, readField(codec.readValue, bytes, i))
    return object
  }

  function fieldFits({ codec }: FieldCodec, bytes: Uint8Array, i: number): boolean {
    return reader.starts[i] === NULL_FIELD || fits(codec.form, bytes, reader.starts[i]!, reader.ends[i]!)
  }

  function readField(readValue: ReadValue, bytes: Uint8Array, i: number): unknown {
    const from = reader.starts[i]!
    const to = reader.ends[i]!
    if (from === NULL_FIELD) return null
    if (reader.escaped[i] === 0) return readValue(bytes, from, to)
    return readValue(unescaper.unescape(bytes, from, to), 0, unescaper.length)
  }
}
