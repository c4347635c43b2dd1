import { RESERVED_WORDS } from './reservedWords.js'

const PLAIN = /^[a-z_][a-z0-9_]*$/

/** As SQL wants the name: in double quotes wherever it would else be folded, misread, or a key word. */
export function quoteIdentifier(name: string): string {
  if (PLAIN.test(name) && !RESERVED_WORDS.has(name)) return name
  return `"${name.replaceAll('"', '""')}"`
}

/** As a string constant, whatever `standard_conforming_strings` is. */
export function quoteLiteral(text: string): string {
  const doubled = text.replaceAll("'", "''")
  return text.includes('\\') ? `E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`
}

export interface QualifiedName {
  readonly schema: string
  readonly name: string
}

/** `schema.table`: the schema always stands there, since our sessions have an empty search_path. */
export function quoteQualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`
}

/** {@link quoteQualified} of a table's facts. */
export function sqlName({ schema, name }: QualifiedName): string {
  return quoteQualified(schema, name)
}
