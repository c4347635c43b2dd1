import * as z from 'zod'
import { SETTING_INVALID, SETTING_UNKNOWN } from './errors.js'
import { nearest } from './nearest.js'

/** What is known of a setting besides its type and default: help, docs and homes' own schemas are made from it. */
export interface SettingFacts {
  /** One sentence or two, for people. */
  readonly description: string
  /** Of a number: `ms`, `bytes`. */
  readonly unit?: string
  readonly example?: string
  /** Its value is never printed. */
  readonly secret?: boolean
}

const registry = z.registry<SettingFacts>()

/** Declares a setting. Must come last: what a zod method makes of the schema is another, undeclared one. */
export function setting<Schema extends z.ZodType>(schema: Schema, facts: SettingFacts): Schema {
  registry.add(schema, facts as never)
  return schema
}

/** Undefined: it was not declared as a setting. */
export function factsOf(schema: z.ZodType): SettingFacts | undefined {
  return registry.get(schema)
}

function requiredFactsOf(schema: z.ZodType): SettingFacts {
  const facts = factsOf(schema)
  if (facts === undefined) throw new Error('a setting without facts')
  return facts
}

export interface SettingDescription extends SettingFacts {
  readonly name: string
  readonly type: string
  readonly required: boolean
  readonly default: unknown
  readonly choices: readonly string[] | undefined
  /** Of a number: the least and the greatest; of a text: what it must match. */
  readonly minimum: number | undefined
  readonly maximum: number | undefined
  readonly pattern: string | undefined
  /** A number without decimals. */
  readonly whole: boolean
}

type Shape = Readonly<Record<string, z.ZodType>>

/** `snapshotWorkers` → `snapshot_workers`: how files write the names of settings. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** Every setting of a group, in order of declaration. */
export function describeSettings(shape: Shape): SettingDescription[] {
  return Object.entries(shape).map(([name, schema]) => {
    const { type, choices } = describeType(schema)
    const parsed = schema.safeParse(undefined)
    const fallback = parsed.success ? parsed.data : undefined
    return {
      name,
      ...requiredFactsOf(schema),
      type,
      required: !parsed.success,
      default: fallback,
      choices,
      ...bounds(schema),
    }
  })
}

/** Reads settings, or throws: unknown names with the nearest known one, wrong values with what was expected. */
export function parseSettings<S extends Shape>(shape: S, input: object): z.infer<z.ZodObject<S>> {
  const names = Object.keys(shape)
  for (const name of Object.keys(input)) {
    if (!names.includes(name)) throw SETTING_UNKNOWN({ name, near: nearest(name, names), known: names })
  }
  // It is used once: to compile a function for it takes longer than to go through it.
  const parsed = z.object(shape).safeParse(input, { jitless: true })
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  const name = String(issue.path[0])
  const value = (input as Record<string, unknown>)[name]
  const schema = shape[name]
  const shown = schema !== undefined && requiredFactsOf(schema).secret === true ? undefined : value
  throw SETTING_INVALID({ name, value: shown, problem: value === undefined ? 'it is required' : issue.message })
}

function bounds(schema: z.ZodType): Pick<SettingDescription, 'minimum' | 'maximum' | 'pattern' | 'whole'> {
  const { innerType } = schema.def as { readonly innerType?: z.ZodType }
  if (innerType !== undefined) return bounds(innerType)
  const finite = (bound: number | null) =>
    bound === null || Math.abs(bound) >= Number.MAX_SAFE_INTEGER ? undefined : bound
  if (schema instanceof z.ZodNumber) {
    return {
      minimum: finite(schema.minValue),
      maximum: finite(schema.maxValue),
      pattern: undefined,
      whole: schema.isInt,
    }
  }
  const { pattern } = (schema.def as { checks?: readonly z.core.$ZodCheck[] }).checks
    ?.map((check) => check._zod.def as { readonly pattern?: RegExp })
    .find((def) => def.pattern !== undefined) ?? { pattern: undefined }
  return { minimum: undefined, maximum: undefined, pattern: pattern?.source, whole: false }
}

function describeType(schema: z.ZodType): { readonly type: string; readonly choices: readonly string[] | undefined } {
  const { def } = schema as z.ZodType & { readonly def: { readonly type: string; readonly innerType?: z.ZodType } }
  if (def.innerType !== undefined) return describeType(def.innerType)
  if (schema instanceof z.ZodEnum) return { type: 'choice', choices: schema.options.map(String) }
  if (schema instanceof z.ZodUnion) {
    const types = schema.options.map((option) => describeType(option as z.ZodType).type)
    return { type: [...new Set(types)].join(' or '), choices: undefined }
  }
  if (schema instanceof z.ZodArray) return { type: 'list', choices: undefined }
  if (schema instanceof z.ZodRecord) return { type: 'map', choices: undefined }
  return { type: def.type, choices: undefined }
}
