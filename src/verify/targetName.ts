import { SETTING_INVALID } from '../core/errors.js'
import type { QualifiedName } from '../postgres/identifier.js'

const PLACEHOLDER = /\{([^{}]*)\}/g
const SAMPLE: QualifiedName = { schema: 's', name: 't' }

/**
 * What a table of the source is called in the target. A template is `schema.name` or only `name` (the source's schema),
 * in which `{schema}` and `{table}` stand for the source's names; what else stands there stands for itself.
 */
export type TargetNaming = (source: QualifiedName) => QualifiedName

export function parseTargetNaming(template: string): TargetNaming {
  const wrong = (problem: string) => SETTING_INVALID({ name: 'targetTable', value: template, problem })
  const unknown = [...template.matchAll(PLACEHOLDER)].find(([, name]) => name !== 'schema' && name !== 'table')
  if (unknown !== undefined) throw wrong(`${unknown[0]} is not known: there are {schema} and {table}`)
  const parts = template.split('.')
  if (parts.length > 2) throw wrong('a table is schema.name, without a database')
  const filled = ({ schema, name }: QualifiedName) =>
    parts.map((part) => part.trim().replaceAll(PLACEHOLDER, (_, which) => (which === 'schema' ? schema : name)))
  if (filled(SAMPLE).some((part) => part === '')) throw wrong('a name is missing')
  return (source) => {
    const names = filled(source)
    return names.length === 1 ? { schema: source.schema, name: names[0]! } : { schema: names[0]!, name: names[1]! }
  }
}
