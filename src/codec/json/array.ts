import type { WriteJson } from '../../core/table.js'
import { ArrayReader, CLOSE, DONE, NULL, OPEN } from '../text/arrayReader.js'
import { Unescaper } from '../text/unescape.js'
import { writeByte } from './copy.js'
import { writeNull } from './null.js'

const COMMA = 0x2c
const LEFT = 0x5b
const RIGHT = 0x5d

/** `{{1,2},{3,NULL}}` → `[[1,2],[3,null]]`, each element by `writeElement`; lower bounds are dropped. */
export function arrayWriter(type: string, delimiter: number, writeElement: WriteJson): WriteJson {
  const reader = new ArrayReader(type, delimiter)
  const unescaper = new Unescaper()
  return function writeArray(writer, src, start, end) {
    reader.open(src, start, end)
    for (let first = true, token = reader.next(); token !== DONE; token = reader.next()) {
      if (!first && token !== CLOSE) writeByte(writer, COMMA)
      first = token === OPEN
      if (token === OPEN) writeByte(writer, LEFT)
      else if (token === CLOSE) writeByte(writer, RIGHT)
      else if (token === NULL) writeNull(writer)
      else if (!reader.escaped) writeElement(writer, src, reader.itemStart, reader.itemEnd)
      else {
        const item = unescaper.unescape(src, reader.itemStart, reader.itemEnd)
        writeElement(writer, item, 0, unescaper.length)
      }
    }
  }
}
