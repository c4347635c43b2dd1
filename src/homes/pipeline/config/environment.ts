/** A variable that stands in a text, or something that looks like one. */
const REFERENCE = /\$\{\{([^}]*)\}\}|\$\{([^}]*)\}/g
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
  const filled = text.replace(REFERENCE, (whole, literal: string | undefined, inner: string) => {
    if (literal !== undefined) return `\${${literal}}`
    const [, name, fallback] = VARIABLE.exec(inner) ?? []
    if (name === undefined) {
      problems.push(`${whole} is no variable: names have letters, digits, "_" and "."`)
      return ''
    }
    const value = environment[name] ?? fallback
    if (value === undefined) problems.push(`the variable ${name} is not set, and there is no \${${name}:fallback}`)
    fromEnvironment = true
    return value ?? ''
  })
  return { text: filled, fromEnvironment, problems }
}

/** What a value without quotes means, as YAML 1.2 reads it. */
export function meaningOf(text: string): string | number | boolean | null {
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^(null|~)$/.test(text)) return null
  if (!/^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/.test(text)) return text
  const number = Number(text)
  return Number.isSafeInteger(number) || !Number.isInteger(number) ? number : text
}
