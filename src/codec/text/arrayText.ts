/** A list as the text of an array: items are texts, `null` is NULL, a list is a dimension more. */
export type ArrayItems = readonly (string | null | ArrayItems)[]

/** What stands without quotes: no white space, delimiter, brace, quote or backslash, and no empty text. */
const BARE = /^[^\s,;{}"\\]+$/

/** `{1,NULL,"a b"}`; `delimiter` is `;` for box. */
export function arrayText(items: ArrayItems, delimiter = ','): string {
  const texts = items.map((item) => {
    if (item === null) return 'NULL'
    return typeof item === 'string' ? quoted(item) : arrayText(item, delimiter)
  })
  return `{${texts.join(delimiter)}}`
}

function quoted(text: string): string {
  if (BARE.test(text) && text.toUpperCase() !== 'NULL') return text
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}
