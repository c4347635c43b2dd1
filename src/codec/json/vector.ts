import type { WriteJson } from '../../core/table.js'
import { VectorReader } from '../text/vectorReader.js'
import { writeByte } from './copy.js'

const COMMA = 0x2c
const LEFT = 0x5b
const RIGHT = 0x5d

/** int2vector: `1 2 3` → `[1,2,3]`; oidvector: `4 5` → `["4","5"]`. */
export function vectorWriter(type: string, writeElement: WriteJson): WriteJson {
  const reader = new VectorReader(type)
  return function writeVector(writer, src, start, end) {
    writeByte(writer, LEFT)
    for (let p = start; p < end; ) {
      if (p > start) writeByte(writer, COMMA)
      p = reader.next(src, start, p, end)
      writeElement(writer, src, reader.itemStart, reader.itemEnd)
    }
    writeByte(writer, RIGHT)
  }
}
