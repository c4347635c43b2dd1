import type * as z from 'zod'
import { CONNECTOR_INVALID, type SettingProblem } from '../../../core/conduitErrors.js'
import { nearest } from '../../../core/nearest.js'
import { describeSettings, type SettingDescription } from '../../../core/setting.js'
import type { Alias } from './aliases.js'
import { parseDuration } from './duration.js'

export type Shape = Readonly<Record<string, z.ZodType>>

export interface ReadSettings<S extends Shape> {
  readonly values: z.output<z.ZodObject<S>>
  /** Names that the user gave, as they are called today. */
  readonly given: ReadonlySet<string>
  /** What is to be told of names that are others today. */
  readonly notices: readonly string[]
}

const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True']
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False']

/**
 * Settings as Conduit hands them over: texts as the user wrote them. Names and values are trimmed, an empty one stands for
 * the default; unknown names and wrong values are all told together (`CONNECTOR_INVALID`).
 */
export function readSettings<S extends Shape>(
  shape: S,
  aliases: Readonly<Record<string, Alias>>,
  raw: Readonly<Record<string, string>>,
): ReadSettings<S> {
  const described = new Map(describeSettings(shape).map((one) => [one.name, one]))
  const problems: SettingProblem[] = []
  const notices: string[] = []
  const texts = new Map<string, string>()
  for (const [rawName, rawValue] of Object.entries(raw)) {
    const written = rawName.trim()
    const alias = aliases[written]
    const name = alias?.name ?? written
    const value = alias?.convert?.(rawValue.trim()) ?? rawValue.trim()
    if (!described.has(name))
      problems.push({ name: written, value: undefined, problem: unknown(written, described, aliases) })
    else if (value !== '') {
      if (texts.has(name)) {
        problems.push({ name: written, value: undefined, problem: `"${name}" is given by two names, give that alone` })
      }
      texts.set(name, value)
      if (alias !== undefined) notices.push(`setting "${written}" is called "${name}" today`)
    }
  }
  const values: Record<string, unknown> = {}
  for (const [name, facts] of described) {
    const text = texts.get(name)
    const read = readValue(shape[name]!, facts, text)
    if ('problem' in read) problems.push({ name, value: facts.secret ? undefined : text, problem: read.problem })
    else values[name] = read.value
  }
  if (problems.length > 0) throw CONNECTOR_INVALID({ problems })
  return { values: values as z.output<z.ZodObject<S>>, given: new Set(texts.keys()), notices }
}

function unknown(
  name: string,
  described: ReadonlyMap<string, unknown>,
  aliases: Readonly<Record<string, Alias>>,
): string {
  const near = nearest(name, [...described.keys(), ...Object.keys(aliases)])
  return near === undefined ? 'there is no such setting' : `there is no such setting; did you mean "${near}"?`
}

type Read = { readonly value: unknown } | { readonly problem: string }

function readValue(schema: z.ZodType, facts: SettingDescription, text: string | undefined): Read {
  if (text === undefined && facts.required) return { problem: 'it is required' }
  const typed = text === undefined ? { value: undefined } : typedValue(facts, text)
  if ('problem' in typed) return typed
  const parsed = schema.safeParse(typed.value)
  if (parsed.success) return { value: parsed.data }
  if (facts.choices !== undefined) return { problem: `it is one of ${facts.choices.join(', ')}` }
  if (facts.pattern !== undefined) return { problem: `it is to match ${facts.pattern}` }
  return { problem: parsed.error.issues[0]!.message }
}

function typedValue({ type, unit, whole }: SettingDescription, text: string): Read {
  if (type === 'boolean') {
    if (TRUE.includes(text)) return { value: true }
    return FALSE.includes(text) ? { value: false } : { problem: 'it is true or false' }
  }
  if (type !== 'number') return { value: text }
  if (unit === 'ms') {
    const ms = parseDuration(text)
    return ms === undefined ? { problem: 'it is a duration such as 300ms, 5s or 2h45m' } : { value: Math.round(ms) }
  }
  if (!whole) return readFloat(text)
  return /^[+-]?[0-9]+$/.test(text) ? { value: Number(text) } : { problem: 'it is a whole number' }
}

/** As Go reads one, but for those that are no decimal numbers. */
function readFloat(text: string): Read {
  const isDecimal = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(text)
  return isDecimal ? { value: Number(text) } : { problem: 'it is a number' }
}
