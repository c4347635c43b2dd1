/**
 * The fields of the JSON object `text` as they stand there: names with their quotes, values with every digit and blank,
 * which `JSON.parse` would lose. The text must be valid JSON without blanks between the tokens of the object itself.
 */
export function rawFields(text: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (let p = 1; p < text.length - 1; p++) {
    const colon = endOfString(text, p)
    const end = endOfValue(text, colon + 1)
    fields.set(text.slice(p, colon), text.slice(colon + 1, end))
    p = end
  }
  return fields
}

/** The offset after the string that begins at `p`. */
function endOfString(text: string, p: number): number {
  for (let quote = text.indexOf('"', p + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0
    while (text[quote - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return quote + 1
  }
  throw new Error(`a string without end at ${p} of ${text.slice(0, 200)}`)
}

function endOfValue(text: string, p: number): number {
  let depth = 0
  for (let at = p; at < text.length; ) {
    const character = text[at]
    if (character === '"') {
      at = endOfString(text, at)
      continue
    }
    if (depth === 0 && (character === ',' || character === '}')) return at
    if (character === '{' || character === '[') depth++
    if (character === '}' || character === ']') depth--
    at++
  }
  throw new Error(`a value without end at ${p} of ${text.slice(0, 200)}`)
}
