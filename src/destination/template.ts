import { SETTING_INVALID } from '../core/errors.js'
import { nearest } from '../core/nearest.js'
import type { QualifiedName } from '../postgres/identifier.js'

const FIELDS = ['schema', 'table']

type Piece = { readonly text: string } | { readonly field: string }

/**
 * Reads the setting `table`: `copy.{schema}_{table}`. A dot parts schema and name unless it stands in double quotes, or
 * in what a field stands for. Gives the target's name of each table.
 */
export function parseTemplate(template: string): (table: QualifiedName) => QualifiedName {
  const parts = split(template)
  const [first, second] = parts
  if (parts.length > 2)
    throw invalid(template, 'it has more than schema and table: put a part that holds a dot in quotes')
  if (parts.some((part) => part.length === 0)) throw invalid(template, 'a part of it is empty')
  const schema = second === undefined ? [{ text: 'public' }] : first!
  const name = second ?? first!
  return (table) => ({ schema: fill(schema, table), name: fill(name, table) })
}

function fill(pieces: readonly Piece[], { schema, name }: QualifiedName): string {
  return pieces.map((piece) => ('text' in piece ? piece.text : piece.field === 'schema' ? schema : name)).join('')
}

function split(template: string): Piece[][] {
  const parts: Piece[][] = [[]]
  let quoted = false
  for (let p = 0; p < template.length; p++) {
    const character = template[p]!
    const part = parts.at(-1)!
    if (character === '"') {
      if (quoted && template[p + 1] === '"') {
        part.push({ text: '"' })
        p++
      } else quoted = !quoted
    } else if (character === '.' && !quoted) parts.push([])
    else if (character === '{') {
      const end = template.indexOf('}', p)
      if (end < 0) throw invalid(template, 'a { is not closed')
      part.push({ field: readField(template, template.slice(p + 1, end)) })
      p = end
    } else part.push({ text: character })
  }
  if (quoted) throw invalid(template, 'a quote is not closed')
  return parts
}

function readField(template: string, field: string): string {
  if (FIELDS.includes(field)) return field
  const near = nearest(field, FIELDS)
  const meant = near === undefined ? 'known are {schema} and {table}' : `did you mean {${near}}?`
  throw invalid(template, `there is no field {${field}}: ${meant}`)
}

function invalid(value: string, problem: string): Error {
  return SETTING_INVALID({ name: 'table', value, problem })
}
