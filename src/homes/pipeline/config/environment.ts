/** A secret, which YAML would take for a comment. */
const SECRET = /#\{secret\.[^}\n]{0,300}\}/g
/** What means something to YAML, and what stands for it until it is read: of Unicode's private use. */
const MEANT = /[{}[\],:#]/g
const STANDS_FOR = /[\uE000-\uE07F]/g
const PRIVATE = 0xe000
/** So many variables can stand in what stands for one. */
const MOST_WITHIN = 100
const VARIABLE = /^([A-Za-z0-9_.]+)(?::([\s\S]*))?$/

export type Environment = Readonly<Record<string, string | undefined>>

export interface Filled {
  readonly text: string
  /** Whether anything of it came from the environment. */
  readonly fromEnvironment: boolean
  /** What is wrong with the variables in it; never their values. */
  readonly problems: readonly string[]
}

/** Puts the environment's values in: `${NAME}`, `${NAME:what stands for it when it is not set}`; `${{NAME}}` is `${NAME}` itself. */
export function fillIn(text: string, environment: Environment): Filled {
  const problems: string[] = []
  let fromEnvironment = false
  const fillFallback = (fallback: string) => {
    const filled = fillIn(fallback, environment)
    problems.push(...filled.problems)
    return filled.text
  }
  const filled = replaceReferences(text, (whole) => {
    if (whole.startsWith('${{') && whole.indexOf('}') === whole.length - 2) return `\${${whole.slice(3, -2)}}`
    const [, name, fallback] = VARIABLE.exec(whole.slice(2, -1)) ?? []
    if (name === undefined) {
      problems.push(`${whole} is no variable: names have letters, digits, "_" and "."`)
      return ''
    }
    const value = environment[name] ?? (fallback && fillFallback(fallback))
    if (value === undefined) problems.push(`the variable ${name} is not set, and there is no \${${name}:fallback}`)
    fromEnvironment = true
    return value ?? ''
  })
  return { text: filled, fromEnvironment, problems }
}

export interface ShieldedText {
  readonly text: string
  /** A part of it as it was written. */
  read(part: string): string
}

/**
 * A file in which variables and secrets mean nothing to YAML, so that they can stand without quotes wherever a value can, also
 * within braces. Each keeps its length: what YAML finds has the places that it has in the file.
 */
export function shield(text: string): ShieldedText {
  if (text.search(STANDS_FOR) >= 0) return { text, read: (part) => part }
  const hide = (character: string) => String.fromCharCode(PRIVATE + character.charCodeAt(0))
  const show = (character: string) => String.fromCharCode(character.charCodeAt(0) - PRIVATE)
  return {
    text: text
      .split('\n')
      .map((line) => {
        const hidden = (reference: string) => reference.replace(MEANT, hide)
        return replaceReferences(line, hidden).replace(SECRET, hidden)
      })
      .join('\n'),
    read: (part) => part.replace(STANDS_FOR, show),
  }
}

/**
 * Puts something in the place of each `${…}` and `${{…}}`; within the first kind one more may stand. Looks at each character a
 * few times at most, whatever the text is.
 */
function replaceReferences(text: string, replace: (whole: string) => string): string {
  let replaced = ''
  let from = 0
  for (let start = text.indexOf('${'); start >= 0; start = text.indexOf('${', from)) {
    const end = endOfReference(text, start)
    if (end < 0) break
    replaced += text.slice(from, start) + replace(text.slice(start, end))
    from = end
  }
  return replaced + text.slice(from)
}

/** Behind its brace; -1: neither this one nor any other behind it is closed. */
function endOfReference(text: string, start: number): number {
  const first = text.indexOf('}', start)
  if (first < 0) return -1
  if (text[start + 2] === '{' && text[first + 1] === '}') return first + 2
  const inner = text.indexOf('${', start + 2)
  if (inner < 0 || inner > first) return first + 1
  // The first brace closes the one within, and so does the first one behind each other that is within.
  let closed = first
  for (let within = 0; within < MOST_WITHIN; within++) {
    const next = text.indexOf('}', closed + 1)
    if (next < 0) return first + 1
    const another = text.indexOf('${', closed + 1)
    if (another < 0 || another > next) return next + 1
    closed = next
  }
  return first + 1
}

/** What a value without quotes means, as YAML 1.2 reads it. */
export function meaningOf(text: string): string | number | boolean | null {
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^(null|~)$/.test(text)) return null
  if (!/^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/.test(text)) return text
  const number = Number(text)
  return Number.isSafeInteger(number) || !Number.isInteger(number) ? number : text
}
