import { formatLsn, parseLsn } from '../../../postgres/lsn.js'

// \ the next character as it is, or with a letter a fragment   # a number, $ an LSN, in digits of 6 bits   @ the number or LSN
// that stood so many before   any other of these signs a fragment   . ^ % are left to whoever puts something behind it

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const DIGIT_BITS = 6n

/**
 * What positions are made of, by the sign that stands for it. Stored positions are read by it: nothing of it can ever change, but that
 * signs are added (a letter behind the backslash).
 */
const FRAGMENTS: Readonly<Record<string, string>> = {
  '!': '{"version":1,"system":"',
  '"': '","timeline":1,"database":"',
  '&': '","slot":"',
  "'": '","epoch":',
  '(': ',"captured":[',
  ')': '],"publications":"',
  '*': '","lsn":"',
  '/': '","seq":-1,"sub":0,"fingerprint":0,"snapshot":{"id":"',
  ';': '","rows":',
  '<': ',"tables":[{"oid":',
  '=': ',"id":"',
  '>': '","schema":"public","name":"',
  '?': '","key":["',
  '[': '"],"stretches":[{"to":["',
  ']': '"]},{"to":["',
  '`': '"],"read":true},{"to":["',
  '{': '"]},{}]}],"upTo":{"oid":',
  '|': ',"stretch":',
  '}': ',"read":true,"rows":',
  '~': '"],"stretches":[{}]},{"oid":',
  '\\a': '","timeline":',
  '\\b': ',"database":"',
  '\\c': '","schema":"',
  '\\d': '","name":"',
  '\\e': '"],"stretches":[{',
  '\\f': '"],"read":true},{}]}],"upTo":{"oid":',
  '\\g': '"],"stretches":[{}]}],"upTo":{"oid":',
  '\\h': '"],"stretches":[{}]}',
  '\\i': '"]},{}]},{"oid":',
  '\\j': '"],"read":true},{}]},{"oid":',
  '\\k': ']}],"upTo":{"oid":',
  '\\l': '"],"read":true}]}],"upTo":{"oid":',
  '\\m': '"],"snapshot":"',
  '\\n': '","until":"',
  '\\o': '"},{"to":["',
  '\\p': '"},{}]}],"upTo":{"oid":',
  '\\q': ',"read":{"snapshot":"',
  '\\r': '"},"rows":',
  '\\s': ',"again":true',
  '\\t': ',"begun":true',
  '\\u': ',"end":"',
  '\\v': '","seq":',
  '\\w': ',"sub":',
  '\\x': ',"fingerprint":',
  '\\y': ',"snapshot":{"id":"',
  '\\z': '","partitions":"',
  '\\A': '],"leaving":[',
  '\\B': ',"more":true',
  '\\C': ',"overtaken":',
  '\\D': ',"apart":[{"key":["',
  '\\E': ',"next":{"id":"',
  '\\F': ',"where":"',
  '\\G': ',"exact":true',
  '\\H': ',"unproved":[[',
  '\\I': '","',
  '\\J': '"]}]}',
  '\\K': '","key":[],"stretches":[{}],"begun":true}],"upTo":{"rows":',
  '\\L': '","key":[],"stretches":[{}]},{"oid":',
  '\\M': '","snapshot":{"id":"',
  '\\N': '"]},{}]}],"upTo":{"rows":',
  '\\O': '"],"stretches":[{}]}],"upTo":{"rows":',
}

const SIGNS = new Map(Object.entries(FRAGMENTS).map(([sign, fragment]) => [fragment, sign]))

const longestFirst = [...SIGNS.keys()].sort((a, b) => b.length - a.length)
const fragments = longestFirst.map((fragment) => fragment.replace(/[[\]{}]/g, '\\$&')).join('|')
/** Nothing follows that would be one more digit. */
const END = '(?![\\w-])'
const HEX = '(?:0|[1-9A-F][\\dA-F]{0,7})'
const TEXT = new RegExp(`(${fragments})|(${HEX}/${HEX})${END}|([1-9]\\d{4,18})${END}|[!-*./;-@[-^\`{-~]`, 'g')
const CODE = /\\(.)|#([\w-]+)|\$([\w-]+)|@([\w-])|[!-*./;-@[-^`{-~]/gs

/** Coded text, in a regular expression whose dot matches everything. */
export const CODED = '(?:[^\\\\.^%]|\\\\.)+'

/**
 * A position's text in a quarter of the characters, none of which is anything but printable ASCII, unless names are. Any text can be
 * coded.
 */
export function codeText(text: string): string {
  const numbers: string[] = []
  const coded = (number: string, code: () => string) => {
    const back = numbers.length - 1 - numbers.lastIndexOf(number)
    const isNear = back < Math.min(DIGITS.length, numbers.length)
    numbers.push(number)
    return isNear ? `@${DIGITS[back]}` : code()
  }
  return text.replace(TEXT, (found: string, fragment?: string, lsn?: string, number?: string) => {
    if (fragment !== undefined) return SIGNS.get(fragment)!
    if (lsn !== undefined) return coded(lsn, () => `$${toDigits(parseLsn(lsn)!)}`)
    if (number !== undefined) return coded(number, () => `#${toDigits(BigInt(number))}`)
    return `\\${found}`
  })
}

/** The text again. Throws a `RangeError` where it is damaged. */
export function decodeText(code: string): string {
  const numbers: string[] = []
  const known = (number: string | undefined) => {
    if (number !== undefined) numbers.push(number)
    return number
  }
  return code.replace(CODE, (found: string, sign?: string, number?: string, lsn?: string, back?: string) => {
    let decoded = FRAGMENTS[found] ?? (isLetter(sign) ? undefined : sign)
    if (number !== undefined) decoded = known(String(fromDigits(number)))
    else if (lsn !== undefined) decoded = known(formatLsn(fromDigits(lsn)))
    else if (back !== undefined) decoded = known(numbers.at(-1 - DIGITS.indexOf(back)))
    if (decoded === undefined) throw new RangeError(`${found} stands for nothing`)
    return decoded
  })
}

/** Those stand for fragments, of later versions too, and never for themselves. */
function isLetter(sign: string | undefined): boolean {
  return sign !== undefined && /[A-Za-z]/.test(sign)
}

function toDigits(number: bigint): string {
  const digit = DIGITS[Number(number & 63n)]!
  return number > 63n ? toDigits(number >> DIGIT_BITS) + digit : digit
}

function fromDigits(digits: string): bigint {
  let number = 0n
  for (const digit of digits) number = (number << DIGIT_BITS) | BigInt(DIGITS.indexOf(digit))
  return number
}
