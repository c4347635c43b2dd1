import { ValueProblem } from '../sql/problem.js'
import { formatValue, parseValue, type SqlType, TYPE_NAMES } from '../sql/types.js'

/** A value that a function made, in the server's text form of the column's type; null is NULL. */
export function textOfJs(type: SqlType, column: string, value: unknown): string | null {
  if (value === null || value === undefined) return null
  const isJson = type === 'json' || type === 'jsonb'
  if (isJson) return jsonOf(column, value)
  const text = written(value)
  if (text !== undefined) {
    // Of other types only the server knows what they are written like.
    if (type === 'enum' || type === 'inet' || type === 'other') return text
    const parsed = parseValue(type, text)
    if (parsed !== undefined) return formatValue(type, parsed)
  }
  throw new ValueProblem(`what it made of "${column}" is no ${TYPE_NAMES[type]}`)
}

function written(value: unknown): string | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString()
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
  return typeof value === 'object' ? undefined : String(value)
}

function jsonOf(column: string, value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (error) {
    throw new ValueProblem(`what it made of "${column}" is no JSON: ${(error as Error).message}`)
  }
}
