import { PAYLOAD_INVALID } from '../../core/payloadErrors.js'
import { type ArrayItems, arrayText } from '../text/arrayText.js'
import type { TextTarget } from '../text/target.js'
import { memberTargets, objectText, takesObjects } from './objectText.js'
import { fromText, type TargetOf, type TextRow } from './text.js'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Raw data that is a JSON object, as texts for columns: numbers keep all their digits, and what goes into a column of json
 * stays as it was written. Of a name that comes twice the last counts, as in JSON.parse. Throws PAYLOAD_INVALID.
 */
export function jsonRow(bytes: Uint8Array, targetOf: TargetOf): TextRow {
  const text = decode(bytes)
  checkObject(text)
  const texts = members(text, targetOf)
  return { columns: [...texts.keys()], texts: [...texts.values()] }
}

/** The members of an object by name, each as it was written. Throws PAYLOAD_INVALID. */
export function jsonMembers(text: string): ReadonlyMap<string, string> {
  checkObject(text)
  return new Map(slices(text))
}

/** One value, without blanks around it, as the text that a column takes; null is NULL. */
export function jsonText(json: string, target: TextTarget, column: string): string | null {
  return fromJson(json, target, column)
}

/** Of an object the texts of its members, by name; `inside`: the column that it is in. */
function members(text: string, targetOf: TargetOf, inside?: string): Map<string, string | null> {
  const texts = new Map<string, string | null>()
  for (const [name, json] of slices(text)) {
    texts.delete(name)
    texts.set(name, fromJson(json, targetOf(name), inside ?? name))
  }
  return texts
}

function* slices(text: string): Iterable<[name: string, json: string]> {
  let p = skipBlanks(text, text.indexOf('{') + 1)
  while (text[p] !== '}') {
    const nameEnd = valueEnd(text, p)
    const name: string = JSON.parse(text.slice(p, nameEnd))
    const start = skipBlanks(text, skipBlanks(text, nameEnd) + 1)
    const end = valueEnd(text, start)
    yield [name, text.slice(start, end)]
    p = afterComma(text, end)
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw PAYLOAD_INVALID({ column: '', problem: 'it is raw data that is no UTF-8, so no JSON' })
  }
}

/** The rest relies on its being JSON. */
function checkObject(text: string): void {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw PAYLOAD_INVALID({ column: '', problem: 'it is raw data, without a schema in the metadata, and no JSON' })
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return
  throw PAYLOAD_INVALID({ column: '', problem: 'it is JSON, and no object' })
}

/** `json` is one value, without blanks around it. */
function fromJson(json: string, target: TextTarget, column: string): string | null {
  if (json === 'null') return null
  if (target.kind === 'json' && target.verbatim && !target.array) return json
  if (target.array && json.startsWith('[')) {
    return arrayText(fromItems(json, { ...target, array: false }, column), target.delimiter)
  }
  if (json.startsWith('{') && takesObjects(target)) {
    return objectText(target, members(json, memberTargets(target, column), column))
  }
  if (json.startsWith('"')) {
    const text: string = JSON.parse(json)
    return target.array ? text : fromText(text, target, column) // an array's own text, as PostgreSQL writes it
  }
  return json
}

/** Lists in lists are dimensions, unless they are JSON. */
function fromItems(json: string, target: TextTarget, column: string): ArrayItems {
  const items: (string | null | ArrayItems)[] = []
  for (let p = skipBlanks(json, 1); json[p] !== ']'; ) {
    const end = valueEnd(json, p)
    const item = json.slice(p, end)
    const nested = item.startsWith('[') && target.kind !== 'json'
    items.push(nested ? fromItems(item, target, column) : fromJson(item, target, column))
    p = afterComma(json, end)
  }
  return items
}

/** The offset after the value at `p`. */
function valueEnd(json: string, p: number): number {
  if (json[p] === '"') return stringEnd(json, p)
  if (json[p] !== '{' && json[p] !== '[') {
    while (p < json.length && !',}] \t\r\n:'.includes(json[p]!)) p++
    return p
  }
  for (let depth = 0; ; p++) {
    const character = json[p]!
    if (character === '"') p = stringEnd(json, p) - 1
    else if (character === '{' || character === '[') depth++
    else if ((character === '}' || character === ']') && --depth === 0) return p + 1
  }
}

function stringEnd(json: string, p: number): number {
  for (p++; json[p] !== '"'; p++) if (json[p] === '\\') p++
  return p + 1
}

function afterComma(json: string, p: number): number {
  p = skipBlanks(json, p)
  return json[p] === ',' ? skipBlanks(json, p + 1) : p
}

function skipBlanks(json: string, p: number): number {
  while (json[p] === ' ' || json[p] === '\t' || json[p] === '\r' || json[p] === '\n') p++
  return p
}
