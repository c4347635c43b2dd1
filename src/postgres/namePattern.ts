/**
 * One part of a name as a user wrote it: `orders`, `"Odd ""name"""`, `inv_*`. Unquoted, it means the name spelled so,
 * else the one in lower case, and each `*` stands for any run of characters; in quotes it means exactly itself.
 */
export interface NamePattern {
  readonly text: string
  readonly quoted: boolean
}

/** What keeps a text from being read as a name; `position` is an offset into it. */
export class NameProblem extends Error {
  readonly position: number
  constructor(problem: string, position: number) {
    super(problem)
    this.position = position
  }
}

const BLANK = /[ \t\r\n\f\v]/

/**
 * Reads the part at `text[p]`, blanks around it left out; gives the offset after it, which is the text's end or one
 * of the characters `stops`.
 */
export function readNamePattern(text: string, p: number, stops: string): { part: NamePattern; next: number } {
  p = skipBlanks(text, p)
  return text[p] === '"' ? readQuoted(text, p, stops) : readUnquoted(text, p, stops)
}

function readQuoted(text: string, start: number, stops: string): { part: NamePattern; next: number } {
  let name = ''
  let p = start + 1
  for (;;) {
    const quote = text.indexOf('"', p)
    if (quote < 0) throw new NameProblem('the quoted name that begins here has no end', start)
    name += text.slice(p, quote)
    p = quote + 1
    if (text[p] !== '"') break
    name += '"'
    p++
  }
  if (name === '') throw new NameProblem('a quoted name is empty', start)
  p = skipBlanks(text, p)
  if (p < text.length && !stops.includes(text[p]!)) {
    throw new NameProblem(`after a quoted name must come ${oneOf(stops)} or the end`, p)
  }
  return { part: { text: name, quoted: true }, next: p }
}

function readUnquoted(text: string, start: number, stops: string): { part: NamePattern; next: number } {
  let p = start
  while (p < text.length && !stops.includes(text[p]!)) {
    if (text[p] === '"') throw new NameProblem('a quote stands inside an unquoted name: quote the whole part', p)
    p++
  }
  let end = p
  while (end > start && BLANK.test(text[end - 1]!)) end--
  if (end === start) throw new NameProblem('a name is missing', start)
  return { part: { text: text.slice(start, end), quoted: false }, next: p }
}

function skipBlanks(text: string, p: number): number {
  while (p < text.length && BLANK.test(text[p]!)) p++
  return p
}

function oneOf(characters: string): string {
  return [...characters].map((character) => `"${character}"`).join(' or ')
}

export function hasWildcard({ text, quoted }: NamePattern): boolean {
  return !quoted && text.includes('*')
}

/** What the part may mean, the most literal first: as it is spelled, then as the server folds it (ASCII only). */
export function readings(part: NamePattern): NamePattern[] {
  const folded = part.text.replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase())
  return part.quoted || folded === part.text ? [part] : [part, { text: folded, quoted: false }]
}

/** Whether `name` is of the pattern, taken literally: see {@link readings}. */
export function matcher(part: NamePattern): (name: string) => boolean {
  if (!hasWildcard(part)) return (name) => name === part.text
  const runs = part.text.split('*').map((run) => run.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  const pattern = new RegExp(`^${runs.join('.*')}$`, 's')
  return (name) => pattern.test(name)
}
