import { isPlain, kindOf, Operation, type Plain, TextMap, Unusable } from '../values.js'

/** A function of templates: how many arguments it takes, and what it makes of them. */
export interface TemplateFunction {
  readonly least: number
  readonly most: number
  readonly call: (...args: unknown[]) => unknown
}

export type Functions = Readonly<Record<string, TemplateFunction>>

/** `count` arguments, or from `count` to `most`. */
export function takes(count: number, call: TemplateFunction['call'], most: number = count): TemplateFunction {
  return { least: count, most, call }
}

export function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Operation) return value.name
  throw new Unusable(`it takes a text, and gets ${kindOf(value)}`)
}

/** A whole number, as an argument that counts something. */
export function countOf(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value)) return value
  throw new Unusable(`it takes a whole number, and gets ${kindOf(value)}`)
}

export function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new Unusable(`it takes a list, and gets ${kindOf(value)}`)
}

/** A map's entries; an own name only, so that no name is found in a prototype. */
export function entriesOf(value: unknown): ReadonlyMap<string, unknown> {
  if (value instanceof TextMap) return value.entries
  if (isPlain(value)) return new Map(Object.entries(value))
  throw new Unusable(`it takes a map, and gets ${kindOf(value)}`)
}

/** A map whose names are data. */
export function toMap(entries: Iterable<readonly [string, unknown]>): Plain {
  const map: Record<string, unknown> = Object.create(null)
  for (const [name, value] of entries) map[name] = value
  return map
}
