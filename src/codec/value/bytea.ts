import { VALUE_MALFORMED } from '../../core/errors.js'
import { HEX, isHex } from '../json/bytea.js'

/** bytea, from its hex form. */
export function readBytea(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (!isHex(bytes, start, end)) {
    throw VALUE_MALFORMED({ type: 'bytea', problem: 'it is not in hex form', offset: 0, length: end - start })
  }
  const value = new Uint8Array((end - start - 2) / 2)
  for (let i = 0, p = start + 2; p < end; i++, p += 2) value[i] = (HEX[bytes[p]!]! << 4) | HEX[bytes[p + 1]!]!
  return value
}
