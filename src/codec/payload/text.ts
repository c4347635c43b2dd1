import { PAYLOAD_INVALID } from '../../core/payloadErrors.js'
import type { TextTarget } from '../text/target.js'

/** Column names and their texts, side by side; null is NULL. */
export interface TextRow {
  readonly columns: readonly string[]
  readonly texts: readonly (string | null)[]
}

export type TargetOf = (column: string) => TextTarget

const HEX = /^\\x(?:[\da-fA-F]{2})*$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * A text for a column that is no list. bytea: `\x…` as PostgreSQL writes it, else base64, as Conduit has bytes in structured
 * data; anything between is refused, since half of it would be taken for the one and half for the other. json: text that is
 * JSON is that JSON, as Conduit's own connector has it; any other is a JSON string.
 */
export function fromText(text: string, { kind }: TextTarget, column: string): string {
  if (kind === 'bytea') {
    if (HEX.test(text)) return text
    if (BASE64.test(text)) return `\\x${Buffer.from(text, 'base64').toString('hex')}`
    throw PAYLOAD_INVALID({ column, problem: 'a text for bytea is neither hex, with \\x before it, nor base64' })
  }
  return kind !== 'json' || isJson(text) ? text : JSON.stringify(text)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
