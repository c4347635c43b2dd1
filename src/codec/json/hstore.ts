import type { ByteWriter } from '../../core/byteWriter.js'
import type { WriteJson } from '../../core/table.js'
import { HstoreReader } from '../text/hstoreReader.js'
import { Unescaper } from '../text/unescape.js'
import { writeByte } from './copy.js'
import { writeNull } from './null.js'
import { writeJsonString } from './text.js'

const COMMA = 0x2c
const COLON = 0x3a
const BLANK = 0x20
const LEFT = 0x7b
const RIGHT = 0x7d

/** `"a"=>"1", "b"=>NULL` → `{"a": "1", "b": null}`, with hstore_to_json's blanks; every value is a string. */
export function hstoreWriter(type: string): WriteJson {
  const reader = new HstoreReader(type)
  const unescaper = new Unescaper()

  function writeText(writer: ByteWriter, src: Uint8Array, from: number, to: number, escaped: boolean): void {
    if (escaped) writeJsonString(writer, unescaper.unescape(src, from, to), 0, unescaper.length)
    else writeJsonString(writer, src, from, to)
  }

  return function writeHstore(writer, src, start, end) {
    writeByte(writer, LEFT)
    for (let p = start; p < end; ) {
      if (p > start) {
        writeByte(writer, COMMA)
        writeByte(writer, BLANK)
      }
      p = reader.next(src, start, p, end)
      writeText(writer, src, reader.keyStart, reader.keyEnd, reader.keyEscaped)
      writeByte(writer, COLON)
      writeByte(writer, BLANK)
      if (reader.valueIsNull) writeNull(writer)
      else writeText(writer, src, reader.valueStart, reader.valueEnd, reader.valueEscaped)
    }
    writeByte(writer, RIGHT)
  }
}
