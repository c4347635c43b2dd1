import type { TextField } from './target.js'

/** Fields by name as the text of a composite: `("a b",,1)`. What is not there is NULL. */
export function compositeText(fields: readonly TextField[], texts: ReadonlyMap<string, string | null>): string {
  return `(${fields.map(({ name }) => part(texts.get(name) ?? null)).join(',')})`
}

/** Pairs as the text of an hstore. */
export function hstoreText(texts: ReadonlyMap<string, string | null>): string {
  const pairs = [...texts].map(([key, value]) => `${quoted(key)}=>${value === null ? 'NULL' : quoted(value)}`)
  return pairs.join(', ')
}

function part(text: string | null): string {
  return text === null ? '' : quoted(text)
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}
