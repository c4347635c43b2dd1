import { createHash } from 'node:crypto'
import { print, Unusable } from '../values.js'
import { countOf, type Functions, listOf, takes, textOf, toMap } from './arguments.js'
import { quote } from './printf.js'

/** unicode.IsSpace */
const SPACES = '[\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]'
const SPACE_RUN = new RegExp(`${SPACES}+`, 'g')
const LEADING = new RegExp(`^${SPACES}+`)
const TRAILING = new RegExp(`${SPACES}+$`)
/** Results longer than this are a mistake. */
const LONGEST = 1_000_000

/** Sprig's functions on text, with its order of arguments: the text comes last, so that it can be piped. */
export const TEXTS: Functions = {
  trim: takes(1, (text) => trim(textOf(text))),
  trimAll: takes(2, (set, text) => trimSet(textOf(text), textOf(set))),
  trimSuffix: takes(2, (suffix, text) => withoutSuffix(textOf(text), textOf(suffix))),
  trimPrefix: takes(2, (prefix, text) => withoutPrefix(textOf(text), textOf(prefix))),
  upper: takes(1, (text) => mapCharacters(textOf(text), (character) => character.toUpperCase())),
  lower: takes(1, (text) => mapCharacters(textOf(text), (character) => character.toLowerCase())),
  title: takes(1, (text) => title(textOf(text))),
  untitle: takes(1, (text) => untitle(textOf(text))),
  repeat: takes(2, (count, text) => repeated(textOf(text), countOf(count))),
  substr: takes(3, (start, end, text) => substr(textOf(text), countOf(start), countOf(end))),
  nospace: takes(1, (text) => textOf(text).replace(SPACE_RUN, '')),
  trunc: takes(2, (count, text) => trunc(textOf(text), countOf(count))),
  contains: takes(2, (part, text) => textOf(text).includes(textOf(part))),
  hasPrefix: takes(2, (part, text) => textOf(text).startsWith(textOf(part))),
  hasSuffix: takes(2, (part, text) => textOf(text).endsWith(textOf(part))),
  replace: takes(3, (old, by, text) => textOf(text).replaceAll(textOf(old), () => textOf(by))),
  quote: takes(
    0,
    (...values) =>
      values
        .filter(isThere)
        .map((value) => quote(print(value)))
        .join(' '),
    Infinity,
  ),
  squote: takes(
    0,
    (...values) =>
      values
        .filter(isThere)
        .map((value) => `'${print(value)}'`)
        .join(' '),
    Infinity,
  ),
  cat: takes(0, (...values) => values.filter(isThere).map(print).join(' '), Infinity),
  indent: takes(2, (count, text) => indent(textOf(text), countOf(count))),
  nindent: takes(2, (count, text) => `\n${indent(textOf(text), countOf(count))}`),
  join: takes(2, (separator, list) => toTexts(list).join(textOf(separator))),
  splitList: takes(2, (separator, text) => split(textOf(text), textOf(separator))),
  split: takes(2, (separator, text) => numbered(split(textOf(text), textOf(separator)))),
  splitn: takes(3, (separator, count, text) => numbered(splitn(textOf(text), textOf(separator), countOf(count)))),
  toString: takes(1, print),
  toStrings: takes(1, toTexts),
  sortAlpha: takes(1, (list) => toTexts(list).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))),
  sha1sum: takes(1, (text) => hash('sha1', text)),
  sha256sum: takes(1, (text) => hash('sha256', text)),
  sha512sum: takes(1, (text) => hash('sha512', text)),
  b64enc: takes(1, (text) => Buffer.from(textOf(text)).toString('base64')),
}

function isThere(value: unknown): boolean {
  return value !== null && value !== undefined
}

function trim(text: string): string {
  return text.replace(LEADING, '').replace(TRAILING, '')
}

function trimSet(text: string, set: string): string {
  const characters = [...text]
  let start = 0
  let end = characters.length
  while (start < end && set.includes(characters[start]!)) start++
  while (end > start && set.includes(characters[end - 1]!)) end--
  return characters.slice(start, end).join('')
}

function withoutSuffix(text: string, suffix: string): string {
  return text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text
}

function withoutPrefix(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text
}

/** Go changes one character into one: ß stays. */
function mapCharacters(text: string, change: (character: string) => string): string {
  return [...text].map((character) => one(change(character), character)).join('')
}

function one(changed: string, character: string): string {
  return [...changed].length === 1 ? changed : character
}

/** The letter after anything that is no letter, digit, underscore or quote (strings.Title). */
function title(text: string): string {
  let inWord = false
  return mapWords(text, (character) => {
    const changed = inWord ? character : one(character.toUpperCase(), character)
    inWord = !isSeparator(character)
    return changed
  })
}

/** The first letter of each word, as parted by white space. */
function untitle(text: string): string {
  let inWord = false
  return mapWords(text, (character) => {
    const changed = inWord ? character : one(character.toLowerCase(), character)
    inWord = !/\s/.test(character)
    return changed
  })
}

function mapWords(text: string, change: (character: string) => string): string {
  return [...text].map(change).join('')
}

function isSeparator(character: string): boolean {
  if (character.codePointAt(0)! <= 0x7f) return !/[A-Za-z0-9_]/.test(character)
  if (/[\p{L}\p{Nd}]/u.test(character)) return false
  return new RegExp(SPACES).test(character)
}

function repeated(text: string, count: number): string {
  if (count < 0) throw new Unusable('a text cannot be repeated less than no time')
  if (text.length * count > LONGEST) throw new Unusable(`the result would have more than ${LONGEST} characters`)
  return text.repeat(count)
}

/** By bytes, as in Go; an end below 0 or beyond the text is its end. */
function substr(text: string, start: number, end: number): string {
  const bytes = Buffer.from(text)
  if (start < 0) return bytes.subarray(0, inside(end, bytes.length)).toString()
  if (end < 0 || end > bytes.length) return bytes.subarray(inside(start, bytes.length)).toString()
  if (start > end) throw new Unusable(`there is no ${start} to ${end}`)
  return bytes.subarray(start, end).toString()
}

function inside(place: number, length: number): number {
  if (place < 0 || place > length) throw new Unusable(`there is no ${place} of ${length}`)
  return place
}

/** By bytes; below 0: so many of the end. */
function trunc(text: string, count: number): string {
  const bytes = Buffer.from(text)
  if (count < 0 && bytes.length + count > 0) return bytes.subarray(bytes.length + count).toString()
  if (count >= 0 && bytes.length > count) return bytes.subarray(0, count).toString()
  return text
}

function indent(text: string, count: number): string {
  const pad = repeated(' ', count)
  return pad + text.replaceAll('\n', `\n${pad}`)
}

/** An empty separator parts into characters. */
function split(text: string, separator: string): string[] {
  return separator === '' ? [...text] : text.split(separator)
}

function splitn(text: string, separator: string, count: number): string[] {
  if (count === 0) return []
  const parts = split(text, separator)
  if (count < 0 || parts.length <= count) return parts
  return [...parts.slice(0, count - 1), parts.slice(count - 1).join(separator)]
}

function numbered(parts: readonly string[]): object {
  return toMap(parts.map((part, i) => [`_${i}`, part] as const))
}

/** A single value is a list of itself; what is nothing is left out. */
function toTexts(value: unknown): string[] {
  if (Array.isArray(value)) return value.filter(isThere).map(print)
  return isThere(value) ? [print(value)] : listOf(value).map(print)
}

function hash(name: string, text: unknown): string {
  return createHash(name).update(textOf(text)).digest('hex')
}
