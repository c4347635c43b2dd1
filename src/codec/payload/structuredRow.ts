import { PAYLOAD_INVALID } from '../../core/payloadErrors.js'
import { type ArrayItems, arrayText } from '../text/arrayText.js'
import { doubleText } from '../text/doubleText.js'
import type { TextTarget } from '../text/target.js'
import { memberTargets, objectText, takesObjects } from './objectText.js'
import { fromText, type TargetOf, type TextRow } from './text.js'

/** A google.protobuf.Struct as an object: null, numbers, texts, true and false, lists, objects. */
export type Structured = Readonly<Record<string, unknown>>

/** Structured data as texts for columns. Its numbers are doubles: what lost digits on the way has lost them. Throws PAYLOAD_INVALID. */
export function structuredRow(data: Structured, targetOf: TargetOf): TextRow {
  const columns = Object.keys(data)
  return { columns, texts: columns.map((column) => fromValue(data[column], targetOf(column), column)) }
}

function fromValue(value: unknown, target: TextTarget, column: string): string | null {
  if (value === null || value === undefined) return null
  if (target.array && Array.isArray(value)) {
    return arrayText(fromItems(value, { ...target, array: false }, column), target.delimiter)
  }
  switch (typeof value) {
    case 'string':
      return target.array ? value : fromText(value, target, column) // an array's own text, as PostgreSQL writes it
    case 'number':
      // NaN and the infinities are no JSON, and strings in the server's own
      return target.kind === 'json' && !Number.isFinite(value) ? `"${value}"` : doubleText(value)
    case 'boolean':
      return String(value)
    case 'object':
      if (takesObjects(target) && !Array.isArray(value)) {
        const targets = memberTargets(target, column)
        const texts = Object.entries(value).map(([name, one]) => [name, fromValue(one, targets(name), column)] as const)
        return objectText(target, new Map(texts))
      }
      return JSON.stringify(value, withoutLoss)
    default:
      throw PAYLOAD_INVALID({ column, problem: `structured data holds a ${typeof value}` })
  }
}

function fromItems(list: readonly unknown[], target: TextTarget, column: string): ArrayItems {
  return list.map((item) =>
    Array.isArray(item) && target.kind !== 'json' ? fromItems(item, target, column) : fromValue(item, target, column),
  )
}

function withoutLoss(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}
