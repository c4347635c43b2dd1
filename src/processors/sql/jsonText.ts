/** Where a value stands in a JSON text. */
interface Span {
  readonly start: number
  readonly end: number
}

/** A member's name, and where its value stands. */
interface Member extends Span {
  readonly name: string
}

/**
 * Reads in JSON text without making values of it, so that a number keeps its digits and an object the server's own spelling.
 * The text comes from the server, which has checked it.
 */
function skipValue(text: string, start: number): number {
  const first = text[start]
  if (first === '"') return skipString(text, start)
  if (first !== '{' && first !== '[') {
    let end = start
    while (end < text.length && !',]} \t\r\n'.includes(text[end]!)) end++
    return end
  }
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = skipString(text, at) - 1
    else if (character === '{' || character === '[') depth++
    else if ((character === '}' || character === ']') && --depth === 0) return at + 1
  }
  return text.length
}

function skipString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at + 1
  }
  return text.length
}

function skipBlanks(text: string, start: number): number {
  let at = start
  while (at < text.length && ' \t\r\n'.includes(text[at]!)) at++
  return at
}

/** The members of the object that is `text`, in order; undefined: it is none. */
function membersOf(text: string): Member[] | undefined {
  const open = skipBlanks(text, 0)
  if (text[open] !== '{') return undefined
  const members: Member[] = []
  for (let at = skipBlanks(text, open + 1); text[at] === '"'; ) {
    const nameEnd = skipString(text, at)
    const name = JSON.parse(text.slice(at, nameEnd)) as string
    const start = skipBlanks(text, skipBlanks(text, nameEnd) + 1)
    const end = skipValue(text, start)
    members.push({ name, start, end })
    at = skipBlanks(text, end)
    if (text[at] === ',') at = skipBlanks(text, at + 1)
  }
  return members
}

function elementsOf(text: string): Span[] | undefined {
  const open = skipBlanks(text, 0)
  if (text[open] !== '[') return undefined
  const elements: Span[] = []
  for (let at = skipBlanks(text, open + 1); at < text.length && text[at] !== ']'; ) {
    const end = skipValue(text, at)
    elements.push({ start: at, end })
    at = skipBlanks(text, end)
    if (text[at] === ',') at = skipBlanks(text, at + 1)
  }
  return elements
}

/** `->` of the server: a member by name, the last one of that name, or an element, counted from the end if negative. */
export function jsonPart(text: string, of: string | number): string | null {
  if (typeof of === 'string') {
    const member = membersOf(text)?.findLast(({ name }) => name === of)
    return member === undefined ? null : text.slice(member.start, member.end)
  }
  const elements = elementsOf(text)
  const element = elements?.[of < 0 ? elements.length + of : of]
  return element === undefined ? null : text.slice(element.start, element.end)
}

/** What `->>` makes of what `->` gave: the text of a string, NULL of null, the JSON of all else. */
export function jsonPartText(part: string | null): string | null {
  if (part === null || part === 'null') return null
  return part.startsWith('"') ? (JSON.parse(part) as string) : part
}

/** The text of what lies at `path` of a JSON text: names of members, and numbers of elements; null: nothing, or null. */
export function jsonTextAt(json: string, path: readonly string[]): string | null {
  let part: string | null = json
  for (const step of path) {
    if (part === null) return null
    const inArray = part.trimStart().startsWith('[') && /^-?\d+$/.test(step)
    part = jsonPart(part, inArray ? Number(step) : step)
  }
  return jsonPartText(part)
}
