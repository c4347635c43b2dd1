import { typeOf } from '../../../codec/codecFor.js'
import { FORM_JSON, FORM_OTHER } from '../../../codec/json/form.js'
import type { Table } from '../../../core/table.js'
import { type PgType, partsOf } from '../../../postgres/catalog/types.js'

const JSON_TYPE = 114
const BACKSLASH = 0x5c
const ESCAPE_BYTES = 6
const REPLACEMENT = Buffer.from('fffd')

/**
 * Columns in which the escape of half a surrogate pair (`\ud83d` alone) may stand: json is kept as it was written. It is no
 * character, and most readers of JSON refuse the whole line for it. (jsonb refuses it, and a text has characters only.)
 */
export function columnsOfJson({ codecs }: Table, columns: readonly number[]): readonly number[] {
  return columns.filter((column) => {
    const codec = codecs[column]!
    if (codec.form === FORM_JSON) return true
    const type = codec.form === FORM_OTHER ? typeOf(codec) : undefined
    return type !== undefined && hasJson(type)
  })
}

function hasJson(type: PgType): boolean {
  return [...partsOf(type)].some((part) => part.kind === 'scalar' && part.oid === JSON_TYPE)
}

/** Whether some escape of a surrogate stands in `bytes[start..end)`: most have none, and nothing else is done. */
export function mayHaveHalf(bytes: Uint8Array, start: number, end: number): boolean {
  const value = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
  return value.includes('\\ud') || value.includes('\\uD')
}

/** Has U+FFFD in place of each half, in JSON that is complete; gives whether there was one. */
export function mendHalves(json: Buffer): boolean {
  let mended = false
  for (let at = json.indexOf(BACKSLASH); at >= 0; at = json.indexOf(BACKSLASH, at)) {
    const unit = surrogateAt(json, at)
    if (unit === undefined) {
      // Whatever it escapes: a backslash too.
      at += 2
      continue
    }
    const isPair = unit < 0xdc00 && (surrogateAt(json, at + ESCAPE_BYTES) ?? 0) >= 0xdc00
    if (isPair) at += 2 * ESCAPE_BYTES
    else {
      REPLACEMENT.copy(json, at + 2)
      mended = true
      at += ESCAPE_BYTES
    }
  }
  return mended
}

/** The surrogate that is escaped at this place. */
function surrogateAt(json: Buffer, at: number): number | undefined {
  if (json[at] !== BACKSLASH || json[at + 1] !== 0x75) return undefined
  const unit = Number.parseInt(json.toString('latin1', at + 2, at + ESCAPE_BYTES), 16)
  return unit >= 0xd800 && unit <= 0xdfff ? unit : undefined
}
