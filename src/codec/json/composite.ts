import { ByteWriter } from '../../core/byteWriter.js'
import type { ColumnCodec, WriteJson } from '../../core/table.js'
import { CompositeReader, NULL_FIELD } from '../text/compositeReader.js'
import { fits } from '../text/fits.js'
import { Unescaper } from '../text/unescape.js'
import { copyBytes, writeByte } from './copy.js'
import { writeNull } from './null.js'
import { writeJsonString } from './text.js'

const COMMA = 0x2c
const COLON = 0x3a
const LEFT = 0x7b
const RIGHT = 0x7d

export interface FieldCodec {
  readonly name: string
  readonly codec: ColumnCodec
}

/**
 * `(1,"x y",)` → `{"a":1,"b":"x y","c":null}`. A text that cannot be one of this shape (it was altered since the value
 * was written) is given whole, as a string, and `onMismatch` is called.
 */
export function compositeWriter(type: string, fields: readonly FieldCodec[], onMismatch: () => void): WriteJson {
  const reader = new CompositeReader(type, fields.length)
  const unescaper = new Unescaper()
  const prefixes = fields.map((field, i) => prefixOf(field.name, i === 0))
  const codecs = fields.map((field) => field.codec)

  return function writeComposite(writer, src, start, end) {
    if (!reader.read(src, start, end) || !everyFieldFits(src)) {
      onMismatch()
      writeJsonString(writer, src, start, end)
      return
    }
    writeByte(writer, LEFT)
    for (let i = 0; i < codecs.length; i++) {
      const prefix = prefixes[i]!
      writer.reserve(prefix.length)
      writer.length = copyBytes(prefix, 0, prefix.length, writer.bytes, writer.length)
      const from = reader.starts[i]!
      const to = reader.ends[i]!
      if (from === NULL_FIELD) writeNull(writer)
      else if (reader.escaped[i] === 0) codecs[i]!.writeJson(writer, src, from, to)
      else {
        const field = unescaper.unescape(src, from, to)
        codecs[i]!.writeJson(writer, field, 0, unescaper.length)
      }
    }
    writeByte(writer, RIGHT)
  }

  function everyFieldFits(src: Uint8Array): boolean {
    for (let i = 0; i < codecs.length; i++) {
      const from = reader.starts[i]!
      if (from !== NULL_FIELD && !fits(codecs[i]!.form, src, from, reader.ends[i]!)) return false
    }
    return true
  }
}

/** `"name":`, and a comma before it for all but the first. */
function prefixOf(name: string, first: boolean): Buffer {
  const utf8 = Buffer.from(name)
  const writer = new ByteWriter(2 + 6 * utf8.length + 2)
  if (!first) writeByte(writer, COMMA)
  writeJsonString(writer, utf8, 0, utf8.length)
  writeByte(writer, COLON)
  return writer.toBuffer()
}
