import type { WriteJson } from '../../core/table.js'
import { writeToken } from '../json/token.js'

/** Says that a value does not fit what it was declared as; never with the value. Must throw. */
export type OnMisfit = (problem: string) => never

const MINUS = 0x2d
const NINE = 0x39
const POINT = 0x2e
const ZERO = 0x30
/** So many digits are within the bounds of every type, but for their sign. */
const SAFE_DIGITS = 9

/** A whole number within bounds as a token: `12` and `12.00`, but not `12.5`, which no rounding may hide. */
export function wholeWriter([least, most]: readonly [bigint, bigint], onMisfit: OnMisfit): WriteJson {
  return (writer, src, p, end) => {
    let point = p
    while (point < end && src[point] !== POINT) point++
    for (let q = point + 1; q < end; q++) if (src[q] !== ZERO) onMisfit('it has decimals')
    const first = src[p] === MINUS ? p + 1 : p
    if (point - first > SAFE_DIGITS || first > p) {
      if (src[first]! > NINE) onMisfit('it is no number')
      const value = BigInt(Buffer.from(src.buffer, src.byteOffset + p, point - p).toString('latin1'))
      if (value < least || value > most) onMisfit('it is out of range')
    } else if (src[point - 1]! > NINE) onMisfit('it is no number')
    writeToken(writer, src, p, point)
  }
}
