const LETTERS: ReadonlyMap<string, string> = new Map(
  Object.entries({ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', '"': '"' }),
)
/** A run of bytes, which may make up a character together; a code point; any other escape. */
const ESCAPES = /((?:\\(?:x[\da-fA-F]{2}|[0-7]{3}))+)|\\u([\da-fA-F]{4})|\\U([\da-fA-F]{8})|\\([\s\S])/g
const BYTE = /\\(?:x([\da-fA-F]{2})|([0-7]{3}))/g

/** What Go's string literal, in `"` or backquotes, stands for; undefined when it has an escape that Go does not know. */
export function unquote(literal: string): string | undefined {
  const inner = literal.slice(1, -1)
  if (literal.startsWith('`')) return inner.replaceAll('\r', '')
  let known = true
  const text = inner.replace(ESCAPES, (_, run?: string, short?: string, long?: string, letter?: string) => {
    const stands =
      run !== undefined ? fromBytes(run) : letter !== undefined ? LETTERS.get(letter) : fromCode(short ?? long!)
    known &&= stands !== undefined
    return stands ?? ''
  })
  return known ? text : undefined
}

function fromBytes(run: string): string | undefined {
  const bytes = [...run.matchAll(BYTE)].map(([, hex, octal]) =>
    Number.parseInt(hex ?? octal!, hex === undefined ? 8 : 16),
  )
  return bytes.some((byte) => byte > 255) ? undefined : Buffer.from(bytes).toString()
}

function fromCode(hex: string): string | undefined {
  const code = Number.parseInt(hex, 16)
  return code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? undefined : String.fromCodePoint(code)
}
