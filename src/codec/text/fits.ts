import {
  FORM_BOOL,
  FORM_JSON,
  FORM_NUMBER,
  FORM_PLAIN,
  FORM_TIMESTAMP,
  FORM_TIMESTAMPTZ,
  FORM_TOKEN,
} from '../json/form.js'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const PLUS = 0x2b
const MINUS = 0x2d
const POINT = 0x2e
const LETTER_E = 0x65

/**
 * Whether the field `src[p..end)` of a composite, still escaped, may be text of a type of this form. A composite type
 * can be altered while values of its old shape are on their way, with as many fields; what is copied without a look
 * elsewhere is looked at here, so that text where a number was expected does not break the JSON around it.
 */
export function fits(form: number, src: Uint8Array, p: number, end: number): boolean {
  switch (form) {
    case FORM_BOOL:
      return end - p === 1 && (src[p] === 0x74 || src[p] === 0x66)
    case FORM_NUMBER:
      return isNumber(src, p, end) || NUMBER_WORDS.some((word) => isWord(word, src, p, end))
    case FORM_TOKEN:
    case FORM_JSON:
      return looksLikeJson(src, p, end)
    case FORM_PLAIN:
    case FORM_TIMESTAMP:
    case FORM_TIMESTAMPTZ:
      return needsNoEscape(src, p, end)
    default:
      return true // text takes anything, and the others look for themselves
  }
}

function looksLikeJson(src: Uint8Array, p: number, end: number): boolean {
  while (p < end && src[p]! <= 0x20) p++
  while (p < end && src[end - 1]! <= 0x20) end--
  const last = src[end - 1]
  switch (src[p]) {
    case 0x7b: // {
      return last === 0x7d
    case 0x5b: // [
      return last === 0x5d
    case QUOTE:
      return last === QUOTE
    default:
      return isNumber(src, p, end) || JSON_WORDS.some((word) => isWord(word, src, p, end))
  }
}

const NUMBER_WORDS = ['NaN', 'Infinity', '-Infinity']
const JSON_WORDS = ['true', 'false', 'null']

function isWord(word: string, src: Uint8Array, p: number, end: number): boolean {
  if (end - p !== word.length) return false
  for (let i = 0; i < word.length; i++) if (src[p + i] !== word.charCodeAt(i)) return false
  return true
}

/** `-`? digits (`.` digits)? (`e` sign? digits)? */
function isNumber(src: Uint8Array, p: number, end: number): boolean {
  let at = digits(src, src[p] === MINUS ? p + 1 : p, end)
  if (at > 0 && at < end && src[at] === POINT) at = digits(src, at + 1, end)
  if (at > 0 && at < end && src[at] === LETTER_E) {
    const sign = src[at + 1] === MINUS || src[at + 1] === PLUS
    at = digits(src, at + (sign ? 2 : 1), end)
  }
  return at === end
}

/** The offset after the digits at `p`, -1 if there are none. */
function digits(src: Uint8Array, p: number, end: number): number {
  const start = p
  while (p < end && src[p]! >= 0x30 && src[p]! <= 0x39) p++
  return p > start ? p : -1
}

function needsNoEscape(src: Uint8Array, p: number, end: number): boolean {
  for (; p < end; p++) {
    const byte = src[p]!
    if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) return false
  }
  return true
}
