const ESCAPED: Readonly<Record<string, string>> = { b: '\b', t: '\t', n: '\n', v: '\v', f: '\f', r: '\r' }

/**
 * The slow twin of the reader of COPY rows, from "COPY: Text Format": columns as latin1, null for `\N`. Throws whatever
 * comes on a row that is none.
 */
export function copyRowTwin(row: Buffer, columns: number): (string | null)[] {
  const text = row.toString('latin1')
  if (!text.endsWith('\n')) throw new Error('no newline at the end')
  const body = text.slice(0, -1)
  if (columns === 0 && body === '') return []
  const found = partsOf(body).map((raw) => (raw === '\\N' ? null : unescaped(raw)))
  if (found.length !== columns) throw new Error(`${found.length} columns`)
  return found
}

/** At its tabs, but for those that an escape has. */
function partsOf(body: string): string[] {
  const parts = ['']
  for (let at = 0; at < body.length; at++) {
    if (body[at] === '\\') parts[parts.length - 1] += body[at]! + (body[++at] ?? '')
    else if (body[at] === '\t') parts.push('')
    else parts[parts.length - 1] += body[at]!
  }
  return parts
}

function unescaped(raw: string): string {
  let value = ''
  for (let at = 0; at < raw.length; at++) {
    if (raw[at] === '\n') throw new Error('a newline')
    if (raw[at] !== '\\') value += raw[at]
    else if (at + 1 === raw.length) throw new Error('half an escape')
    else value += ESCAPED[raw[++at]!] ?? raw[at]!
  }
  return value
}
