// Int16 digits   Int16 weight, of the first digit, in powers of 10,000   Int16 sign   Int16 decimals   ( Int16 digit, below 10,000 ) …

import { MALFORMED_MESSAGE } from '../../core/errors.js'

/** Bytes before the digits. */
export const NUMERIC_HEAD = 8
/** Where the sign stands, and how many decimals are shown. */
export const NUMERIC_SIGN = 4
export const NUMERIC_DECIMALS = 6

export const NUMERIC_POSITIVE = 0
export const NUMERIC_NEGATIVE = 0x4000
const NAN = 0xc000
const INFINITE = 0xd000
const NEGATIVE_INFINITE = 0xf000

/** A numeric as numeric_out writes it. */
export function numericText(view: DataView, start: number, end: number): string {
  if (end - start < NUMERIC_HEAD) throw malformed('it has no head', end - start)
  const count = view.getUint16(start)
  const weight = view.getInt16(start + 2)
  const sign = view.getUint16(start + NUMERIC_SIGN)
  const decimals = view.getUint16(start + NUMERIC_DECIMALS)
  if (sign === NAN) return 'NaN'
  if (sign === INFINITE) return 'Infinity'
  if (sign === NEGATIVE_INFINITE) return '-Infinity'
  if (end - start !== NUMERIC_HEAD + 2 * count) throw malformed(`${count} digits`, end - start)
  const digit = (index: number) => {
    return index < 0 || index >= count
      ? '0000'
      : String(view.getInt16(start + NUMERIC_HEAD + 2 * index)).padStart(4, '0')
  }
  let whole = ''
  for (let index = 0; index <= weight; index++) whole += digit(index)
  let fraction = ''
  for (let index = weight + 1; fraction.length < decimals; index++) fraction += digit(index)
  whole = whole.replace(/^0+(?=\d)/, '') || '0'
  const text = decimals === 0 ? whole : `${whole}.${fraction.slice(0, decimals)}`
  return sign === NUMERIC_NEGATIVE ? `-${text}` : text
}

function malformed(problem: string, length: number): Error {
  return MALFORMED_MESSAGE({ message: 'CopyData', problem: `a numeric of which ${problem}`, offset: 0, length })
}
