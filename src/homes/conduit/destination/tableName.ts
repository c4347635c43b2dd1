import type { QualifiedName } from '../../../postgres/identifier.js'

/** Why a text is no table's name. */
export class NotATableName extends Error {}

/**
 * The names that a text may mean, the first that there is counts: `schema.name`, in schema public without a dot. Parts may
 * stand in double quotes; without any, dots may also be a part of the name, since Conduit's own connector takes all for one.
 * Throws {@link NotATableName}.
 */
export function tableNames(text: string): QualifiedName[] {
  const parts = split(text)
  if (parts.some((part) => part === '')) {
    throw new NotATableName(text === '' ? 'it is empty' : 'a part of it is empty')
  }
  const whole = { schema: 'public', name: text }
  const plain = !text.includes('"')
  const [first, second] = parts
  if (parts.length === 1) return [{ schema: 'public', name: first! }]
  if (parts.length === 2) return [{ schema: first!, name: second! }, ...(plain ? [whole] : [])]
  if (plain) return [whole]
  throw new NotATableName('it has more than schema and table')
}

function split(text: string): string[] {
  const parts = ['']
  let quoted = false
  for (let p = 0; p < text.length; p++) {
    const character = text[p]!
    if (character === '"') {
      if (quoted && text[p + 1] === '"') {
        parts[parts.length - 1] += '"'
        p++
      } else quoted = !quoted
    } else if (character === '.' && !quoted) parts.push('')
    else parts[parts.length - 1] += character
  }
  if (quoted) throw new NotATableName('a quote is not closed')
  return parts
}
