import { CONNECTION_STRING_INVALID } from '../../core/errors.js'
import { nearest } from '../../core/nearest.js'
import type { TailraceError } from '../../core/tailraceError.js'
import { PARAMETER_NAMES } from './parameters.js'

/** Values of parameters from one place: a string, a section of a service file, the environment. */
export interface Given {
  readonly values: ReadonlyMap<string, string>
  /** For messages: ` of service "shop"`; empty for the string itself. */
  readonly from: (name: string) => string
  /** A password that was not escaped makes names and values of its rest: none of this place is printed. */
  readonly hidden: boolean
}

/** What is wrong with a connection string or what belongs to it. */
export function invalid(problem: string, options?: ErrorOptions): TailraceError {
  return CONNECTION_STRING_INVALID({ problem }, options)
}

/** Collects the parameters of one place; of two of one name the last one counts. */
export class Collector {
  readonly values = new Map<string, string>()
  readonly #hidden: boolean
  readonly #from: string

  constructor(hidden: boolean, from: string) {
    this.#hidden = hidden
    this.#from = from
  }

  set(name: string, value: string): void {
    if (!PARAMETER_NAMES.includes(name)) throw this.#unknown(name)
    if (name !== 'requiressl') this.values.set(name, value)
    else this.values.set('sslmode', value.startsWith('1') ? 'require' : 'prefer')
  }

  given(): Given {
    return { values: this.values, from: () => this.#from, hidden: this.#hidden }
  }

  #unknown(name: string): TailraceError {
    // What is no name at all may be a password that was taken for the whole string.
    if (this.#hidden || !/^[a-z_]+$/i.test(name)) return invalid(`unknown parameter${this.#from}`)
    const near = nearest(name, PARAMETER_NAMES)
    return invalid(`unknown parameter "${name}"${this.#from}${near === undefined ? '' : `; did you mean "${near}"?`}`)
  }
}
