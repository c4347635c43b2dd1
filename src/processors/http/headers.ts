import { ValueProblem } from '../sql/problem.js'
import { columnsOf, filled, parsePieces, type TemplatePiece } from './template.js'

/** RFC 9110, 5.6.2. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** RFC 9110, 5.5: neither line breaks nor other controls, which would begin another header. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** Of the connection, not of the message: the client writes them. */
const RESERVED = [
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** Whether a header can have it: no line break, which would begin another one. */
export function isHeaderValue(text: string): boolean {
  return VALUE.test(text)
}

/** Headers with columns in their values. */
export class HeaderTemplates {
  readonly columns: readonly string[]
  readonly #headers: ReadonlyMap<string, readonly TemplatePiece[]>

  /** Throws what is wrong with them, never with a value. */
  static parse(headers: Readonly<Record<string, string>>): HeaderTemplates {
    const parsed = new Map<string, readonly TemplatePiece[]>()
    for (const [name, value] of Object.entries(headers)) {
      const lower = name.toLowerCase()
      if (!NAME.test(name)) throw new Error(`${JSON.stringify(name)} is no name of a header`)
      if (RESERVED.includes(lower)) throw new Error(`${name} is written by the connection itself`)
      if (parsed.has(lower)) throw new Error(`${name} stands there twice`)
      if (!VALUE.test(value))
        throw new Error(`the value of ${name} has a line break, or another character that headers cannot have`)
      parsed.set(lower, parsePieces(value))
    }
    return new HeaderTemplates(parsed)
  }

  private constructor(headers: ReadonlyMap<string, readonly TemplatePiece[]>) {
    this.#headers = headers
    this.columns = [...headers.values()].flatMap(columnsOf)
  }

  has(name: string): boolean {
    return this.#headers.has(name)
  }

  /** The headers of a row's request. */
  of(textOf: (column: string) => string): Record<string, string> {
    const checked = (column: string) => {
      const value = textOf(column)
      if (VALUE.test(value)) return value
      throw new ValueProblem(`"${column}" has a line break, or another character that headers cannot have`)
    }
    return Object.fromEntries([...this.#headers].map(([name, pieces]) => [name, filled(pieces, checked)]))
  }
}
