/** A variable that stands in a text, or something that looks like one; what stands for it may have one itself. */
const REFERENCE = /\$\{\{([^}]*)\}\}|\$\{((?:\$\{[^}]*\}|[^}])*)\}/g
/** The same on one line, and a secret, which YAML would take for a comment. */
const IN_FILE = /\$\{\{[^}\n]*\}\}|\$\{(?:\$\{[^}\n]*\}|[^}\n])*\}|#\{secret\.[^}\n]*\}/g
/** What means something to YAML, and what stands for it until it is read: of Unicode's private use. */
const MEANT = /[{}[\],:#]/g
const STANDS_FOR = /[\uE000-\uE07F]/g
const PRIVATE = 0xe000
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
  const filled = text.replace(REFERENCE, (whole, literal: string | undefined, inner: string) => {
    if (literal !== undefined) return `\${${literal}}`
    const [, name, fallback] = VARIABLE.exec(inner) ?? []
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
    text: text.replace(IN_FILE, (reference) => reference.replace(MEANT, hide)),
    read: (part) => part.replace(STANDS_FOR, show),
  }
}

/** What a value without quotes means, as YAML 1.2 reads it. */
export function meaningOf(text: string): string | number | boolean | null {
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^(null|~)$/.test(text)) return null
  if (!/^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/.test(text)) return text
  const number = Number(text)
  return Number.isSafeInteger(number) || !Number.isInteger(number) ? number : text
}
