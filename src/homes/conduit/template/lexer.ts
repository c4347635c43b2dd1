import { TEMPLATE_INVALID } from '../../../core/templateErrors.js'
import { unquote } from './literal.js'
import { placeOf } from './place.js'
import type { Offset } from './tree.js'

export type Token =
  | { readonly kind: 'text'; readonly at: Offset; readonly text: string }
  | { readonly kind: 'open' | 'close'; readonly at: Offset }
  | {
      readonly kind: 'word' | 'field' | 'variable'
      readonly at: Offset
      readonly name: string
      readonly spaced: boolean
    }
  | {
      readonly kind: 'constant'
      readonly at: Offset
      readonly value: string | number | bigint
      readonly spaced: boolean
    }
  | { readonly kind: 'symbol'; readonly at: Offset; readonly symbol: string; readonly spaced: boolean }

const OPEN = '{{'
const CLOSE = '}}'
const BLANKS = /[ \t\r\n]+/y
const WORD = /[\p{L}_][\p{L}\p{Nd}_]*/uy
const NUMBER = /[+-]?(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*)?\.?\d[\d_]*\.?(?:[eE][+-]?\d+)?)/y
const STRING = /"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`/y
const CHARACTER = /'(?:[^'\\\n]|\\[^\n])+'/y
const SYMBOLS = [':=', '=', '|', '(', ')', ',', '.']

/** Cuts a template's text into tokens, with `{{-` and `-}}` already seen to and comments left out. */
export function tokenize(text: string): Token[] {
  return new Lexer(text).run()
}

class Lexer {
  readonly #text: string
  readonly #tokens: Token[] = []
  #p = 0

  constructor(text: string) {
    this.#text = text
  }

  run(): Token[] {
    let trimNext = false
    for (;;) {
      const open = this.#text.indexOf(OPEN, this.#p)
      let end = open < 0 ? this.#text.length : open
      const trimsBefore = open >= 0 && /^\{\{-[ \t\r\n]/.test(this.#text.slice(open, open + 4))
      let start = this.#p
      if (trimNext) while (start < end && isBlank(this.#text[start]!)) start++
      if (trimsBefore) while (end > start && isBlank(this.#text[end - 1]!)) end--
      if (end > start) this.#tokens.push({ kind: 'text', at: start, text: this.#text.slice(start, end) })
      if (open < 0) return this.#tokens
      this.#p = open + (trimsBefore ? 3 : 2)
      trimNext = this.#action(open)
    }
  }

  /** Gives whether the text that follows is trimmed. */
  #action(open: Offset): boolean {
    const body = this.#p + (blanksAt(this.#text, this.#p)?.length ?? 0)
    if (this.#text.startsWith('/*', body)) return this.#comment(body, open)
    this.#tokens.push({ kind: 'open', at: open })
    for (;;) {
      const blanks = blanksAt(this.#text, this.#p)?.length ?? 0
      this.#p += blanks
      const trims = blanks > 0 && this.#text.startsWith(`-${CLOSE}`, this.#p)
      if (trims || this.#text.startsWith(CLOSE, this.#p)) {
        this.#tokens.push({ kind: 'close', at: this.#p })
        this.#p += trims ? 3 : 2
        return trims
      }
      if (this.#p >= this.#text.length) throw this.#invalid(open, 'an action is not closed: }} is missing')
      this.#token(blanks > 0)
    }
  }

  #comment(body: Offset, open: Offset): boolean {
    const end = this.#text.indexOf('*/', body)
    if (end < 0) throw this.#invalid(open, 'a comment is not closed: */ is missing')
    const rest = /^(?:[ \t\r\n]+-)?\}\}/.exec(this.#text.slice(end + 2))
    if (rest === null) throw this.#invalid(open, 'a comment stands in an action of its own')
    this.#p = end + 2 + rest[0].length
    return rest[0].length > 2
  }

  #token(spaced: boolean): void {
    const at = this.#p
    const next = this.#text[at]!
    const string = this.#match(STRING)
    if (string !== undefined) return this.#push({ kind: 'constant', at, value: this.#unquote(string, at), spaced })
    const character = this.#match(CHARACTER)
    if (character !== undefined) {
      const inner = /^'(?:"|\\')'$/.test(character)
        ? character.at(-2)!
        : this.#unquote(`"${character.slice(1, -1)}"`, at)
      if ([...inner].length !== 1) throw this.#invalid(at, 'a character constant has not one character')
      return this.#push({ kind: 'constant', at, value: inner.codePointAt(0)!, spaced })
    }
    if (/\d/.test(next) || (/[+\-.]/.test(next) && /^[+-]?\.?\d/.test(this.#text.slice(at, at + 3)))) {
      return this.#number(at, spaced)
    }
    const word = this.#match(WORD)
    if (word !== undefined) return this.#push({ kind: 'word', at, name: word, spaced })
    if (next === '$' || next === '.') {
      this.#p++
      const name = this.#match(WORD)
      if (next === '$') return this.#push({ kind: 'variable', at, name: name ?? '', spaced })
      if (name !== undefined) return this.#push({ kind: 'field', at, name, spaced })
      return this.#push({ kind: 'symbol', at, symbol: '.', spaced })
    }
    for (const symbol of SYMBOLS) {
      if (!this.#text.startsWith(symbol, at)) continue
      this.#p += symbol.length
      return this.#push({ kind: 'symbol', at, symbol, spaced })
    }
    if (next === '"' || next === '`') throw this.#invalid(at, 'a text is not closed')
    throw this.#invalid(at, `${JSON.stringify(String.fromCodePoint(this.#text.codePointAt(at)!))} has no meaning here`)
  }

  #number(at: Offset, spaced: boolean): void {
    const text = this.#match(NUMBER)
    const plain = text?.replaceAll('_', '').replace(/^\+/, '') ?? ''
    const whole = /^-?(?:\d+|0[xXbBoO][\da-fA-F]+)$/.test(plain)
    const value = whole ? wholeNumber(plain) : Number(plain)
    const after = this.#text[this.#p]
    const ends = after === undefined || /[\s|)},]/.test(after)
    if (text === undefined || (typeof value === 'number' && Number.isNaN(value)) || !ends) {
      throw this.#invalid(at, 'this is no number')
    }
    this.#push({ kind: 'constant', at, value, spaced })
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#p
    const match = pattern.exec(this.#text)
    if (match === null) return undefined
    this.#p += match[0].length
    return match[0]
  }

  #unquote(literal: string, at: Offset): string {
    const text = unquote(literal)
    if (text === undefined) throw this.#invalid(at, 'a text has an escape that Go does not know')
    return text
  }

  #push(token: Token): void {
    this.#tokens.push(token)
  }

  #invalid(at: Offset, problem: string): Error {
    return TEMPLATE_INVALID({ place: placeOf(this.#text, at), problem })
  }
}

function blanksAt(text: string, p: number): string | undefined {
  BLANKS.lastIndex = p
  return BLANKS.exec(text)?.[0]
}

/** Octal numbers begin with 0 or 0o, as in Go. */
function wholeNumber(text: string): number | bigint {
  const negative = text.startsWith('-')
  const digits = negative ? text.slice(1) : text
  if (/^0\d*[89]/.test(digits)) return Number.NaN
  const big = BigInt(/^0\d/.test(digits) ? `0o${digits}` : digits)
  const value = negative ? -big : big
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\r' || character === '\n'
}
