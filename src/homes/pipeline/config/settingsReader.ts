import type * as z from 'zod'
import { nearest } from '../../../core/nearest.js'
import type { PipelineProblem } from '../../../core/pipelineErrors.js'
import { describeSettings, type SettingDescription, snakeCase } from '../../../core/setting.js'
import { type ConfigMap, type ConfigNode, kindOf, type Place, plainValue } from './configTree.js'
import { meaningOf } from './environment.js'

type Issue = z.core.$ZodIssue

export type Shape = Readonly<Record<string, z.ZodType>>

/** Collects every mistake of a file, and reads its parts as settings. */
export class SettingsReader {
  readonly problems: PipelineProblem[] = []
  readonly #textAsWritten: boolean

  /** `textAsWritten`: where a text is expected a number without quotes is one, as it stands there. */
  constructor({ textAsWritten = false }: { readonly textAsWritten?: boolean } = {}) {
    this.#textAsWritten = textAsWritten
  }

  problem({ line, column }: Place, setting: string, problem: string, hint?: string): void {
    this.problems.push({ line, column, setting, problem, hint })
  }

  /** The map that must stand there; undefined, and a problem, if something else does. */
  map(node: ConfigNode | undefined, at: Place, setting: string): ConfigMap | undefined {
    if (node?.kind === 'map') return node
    this.problem(
      node?.place ?? at,
      setting,
      `a map of settings is expected here, not ${node ? kindOf(node) : 'nothing'}`,
    )
    return undefined
  }

  /**
   * The settings of a map by their declaration, under the names that this has; what is wrong is left out. `others` are
   * names that are read elsewhere; `nameOf`: how the file writes a declared name.
   */
  settings(
    map: ConfigMap,
    shape: Shape,
    path: string,
    others: readonly string[] = [],
    nameOf: (name: string) => string = snakeCase,
  ): Record<string, unknown> {
    const byName = new Map(describeSettings(shape).map((one) => [nameOf(one.name), one]))
    const known = [...byName.keys(), ...others]
    const values: Record<string, unknown> = {}
    for (const { key, keyPlace, value } of map.entries) {
      if (others.includes(key)) continue
      const described = byName.get(key)
      if (described === undefined) this.unknown(key, keyPlace, within(path, key), known)
      else values[described.name] = this.#value(value, shape[described.name]!, described, within(path, key))
    }
    for (const [name, { required }] of byName) {
      const present = map.entries.some(({ key }) => key === name)
      if (required && !present) this.problem(map.place, within(path, name), 'it is required, and missing')
    }
    return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
  }

  /** A key that nobody reads, and what may have been meant. */
  unknown(key: string, place: Place, setting: string, known: readonly string[]): void {
    const near = known.find((name) => name === snakeCase(key)) ?? nearest(key, known)
    const hint = near === undefined ? `Known are: ${known.join(', ')}` : `Did you mean ${near}?`
    this.problem(place, setting, 'there is no such setting', hint)
  }

  #value(node: ConfigNode, schema: z.ZodType, described: SettingDescription, setting: string): unknown {
    if (node.kind === 'scalar' && node.broken) return undefined
    const prototype = node.kind === 'map' ? node.entries.find(({ key }) => key === '__proto__') : undefined
    if (prototype !== undefined) {
      // Maps of settings would lose it without a word.
      this.problem(prototype.keyPlace, within(setting, '__proto__'), '__proto__ cannot be a name in this map')
      return undefined
    }
    const parsed = schema.safeParse(plainValue(node))
    if (parsed.success) return parsed.data
    // What looks like a number in the environment may be meant as a name; within braces YAML lets it be written in quotes only.
    const secret = node.kind === 'scalar' ? node.secret : undefined
    const written = this.#textAsWritten && node.kind === 'scalar' && node.value !== null ? node.written : undefined
    for (const other of secret === undefined ? [written] : [secret.text, meaningOf(secret.text)]) {
      if (other === undefined) continue
      const read = schema.safeParse(other)
      if (read.success) return read.data
    }
    const issue = innermost(parsed.error.issues[0]!)
    const part = partWithin(node, issue.path)
    const { place } = part
    const shown = secret === undefined && described.secret !== true && node.kind === 'scalar' && node.value !== null
    const value = shown ? `${JSON.stringify(node.value)}: ` : ''
    const near =
      shown && typeof node.value === 'string' && described.choices !== undefined
        ? nearest(node.value, described.choices)
        : undefined
    const hint = near === undefined ? undefined : `Did you mean ${near}?`
    const kind = issue.code === 'invalid_type' || issue.code === 'invalid_union' || issue.code === 'invalid_value'
    const wanted = wantedBy(issue) ?? expected(described)
    const problem = kind ? `${wanted} is expected, not ${kindOf(part)}` : lowerCase(issue.message)
    this.problem(place, setting, `${value}${problem}`, hint)
    return undefined
  }
}

function expected({ type, choices }: SettingDescription): string {
  if (choices !== undefined) return `one of ${choices.join(', ')}`
  if (type === 'boolean') return 'true or false'
  return `a ${type.replaceAll(' or ', ' or a ').replaceAll('a boolean', 'true or false')}`
}

function lowerCase(message: string): string {
  return `${message[0]!.toLowerCase()}${message.slice(1)}`
}

/** Of a value that may be of several kinds: what is wrong within it, where it is of one of them. */
function innermost(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue
  const inner = issue.errors.flatMap((of) => of.slice(0, 1).map(innermost)).find(({ path }) => path.length > 0)
  return inner === undefined ? issue : { ...inner, path: [...issue.path, ...inner.path] }
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  array: 'a list',
  boolean: 'true or false',
  record: 'a map',
  object: 'a map',
}

/** Where the setting's own type does not say it: of a part, or of a number that has to be whole. */
function wantedBy(issue: Issue): string | undefined {
  if (issue.code === 'invalid_union' && issue.path.length > 0) {
    const wanted = issue.errors.flatMap(([one]) => (one?.code === 'invalid_type' ? (KINDS[one.expected] ?? []) : []))
    return wanted.length > 0 ? wanted.join(' or ') : undefined
  }
  if (issue.code !== 'invalid_type') return undefined
  if (issue.expected === 'int') return 'a whole number'
  return issue.path.length > 0 ? KINDS[issue.expected] : undefined
}

/** A part of a value, as far as it has one. */
function partWithin(node: ConfigNode, path: readonly PropertyKey[]): ConfigNode {
  const [step, ...rest] = path
  if (step === undefined || node.kind === 'scalar') return node
  const child =
    node.kind === 'list' ? node.items[Number(step)] : node.entries.find(({ key }) => key === String(step))?.value
  return child === undefined ? node : partWithin(child, rest)
}

function within(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
