import type { StreamDescriptor } from '../protocol/messages.js'

/**
 * A stream as legacy states name it, `schema.table`; a schema that has a dot, or none where the table has one, stands in
 * double quotes: else nobody could tell where the table begins.
 */
export function legacyName({ name, namespace }: StreamDescriptor): string {
  if (namespace === undefined) return name.includes('.') || name.startsWith('"') ? `"".${name}` : name
  const plain = namespace !== '' && !namespace.includes('.') && !namespace.startsWith('"')
  return `${plain ? namespace : `"${namespace.replaceAll('"', '""')}"`}.${name}`
}

const QUOTED = /^"((?:[^"]|"")*)"\.(.*)$/s

/** Which stream that is; Estuary's names have no quotes, and no dots in schemas. */
export function parseLegacyName(text: string): StreamDescriptor {
  const [, quoted, behind] = QUOTED.exec(text) ?? []
  if (quoted !== undefined) {
    const namespace = quoted.replaceAll('""', '"')
    return { name: behind!, ...(namespace !== '' && { namespace }) }
  }
  const dot = text.indexOf('.')
  return dot < 0 ? { name: text } : { namespace: text.slice(0, dot), name: text.slice(dot + 1) }
}
