import { nearest } from '../../core/nearest.js'
import { type Given, invalid } from './given.js'
import { CONNECTION_PARAMETERS } from './parameters.js'
import type { Environment } from './places.js'

const MAX_INTEGER = 2 ** 31 - 1

/** The parameters of a connection from all places, the strongest first; reads each as the type that it has. */
export class Values {
  readonly #places: readonly Given[]

  constructor(places: readonly Given[]) {
    this.#places = places
    for (const { name, refused } of CONNECTION_PARAMETERS) {
      if (refused !== undefined && this.text(name)) throw this.wrong(name, `cannot be honoured: ${refused}`)
    }
  }

  /** As it was written; an empty one too. */
  text(name: string): string | undefined {
    return this.#place(name)?.values.get(name)
  }

  /** The same, where an empty one means the default. */
  filled(name: string): string | undefined {
    return this.text(name) || undefined
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[], fallback: Choice): Choice {
    const text = this.text(name)
    if (text === undefined) return fallback
    const choice = choices.find((one) => one === text)
    if (choice !== undefined) return choice
    const near = this.isHidden(name) ? undefined : nearest(text, choices)
    throw this.wrong(name, `is none of ${choices.join(', ')}${near === undefined ? '' : `; did you mean "${near}"?`}`)
  }

  /** As C's strtol() reads it: blanks around and a sign are allowed. */
  integer(name: string, fallback: number): number {
    const text = this.text(name)
    if (text === undefined) return fallback
    const value = Number(text)
    if (!/^\s*[+-]?\d+\s*$/.test(text) || Math.abs(value) > MAX_INTEGER) throw this.wrong(name, 'is no whole number')
    return value
  }

  /** `sslmode "on" …`, with where it comes from, and without its value where a password may be in it. */
  wrong(name: string, problem: string, options?: ErrorOptions): Error {
    const value = this.isHidden(name) ? '' : ` "${this.text(name)}"`
    return invalid(
      `${name}${value}${this.#place(name)?.from(name) ?? ''} ${problem}`,
      this.isHidden(name) ? undefined : options,
    )
  }

  isHidden(name: string): boolean {
    return /password|secret|scram_/.test(name) || this.#place(name)?.hidden === true
  }

  #place(name: string): Given | undefined {
    return this.#places.find(({ values }) => values.has(name))
  }
}

/** The variables that stand for parameters ("Environment Variables" in the PostgreSQL docs). */
export function fromEnvironment(env: Environment): Given {
  const values = new Map<string, string>()
  for (const { name, variable } of CONNECTION_PARAMETERS) {
    const value = variable === undefined ? undefined : env[variable]
    if (value !== undefined) values.set(name, value)
  }
  // Of old; libpq still reads it.
  if (!values.has('sslmode') && env.PGREQUIRESSL === '1') values.set('sslmode', 'require')
  const variables = new Map(CONNECTION_PARAMETERS.map(({ name, variable }) => [name, variable]))
  return { values, from: (name) => ` (from ${variables.get(name)})`, hidden: false }
}
