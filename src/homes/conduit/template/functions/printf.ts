import { kindOf, print, Unusable } from '../values.js'

const VERB = /%([-+# 0]*)(\d*)(?:\.(\d*))?([a-zA-Z%])/g

/** Go's Sprintf for `%s %v %q %d %x %X %o %b %c %t %f %e %g %%` with flags, width and precision; else an error. */
export function printf(format: string, args: readonly unknown[]): string {
  let next = 0
  if (format.replace(VERB, '').includes('%')) throw new Unusable('its format has a % that nothing follows')
  const text = format.replace(VERB, (_, flags: string, width: string, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%'
    if (next >= args.length) throw new Unusable(`its format has more verbs than there are values, ${args.length}`)
    const digits = precision === undefined ? undefined : Number(precision)
    return pad(one(verb, args[next++], digits, flags), flags, Number(width || 0))
  })
  if (next < args.length) throw new Unusable(`its format has ${next} verbs for ${args.length} values`)
  return text
}

function one(verb: string, value: unknown, digits: number | undefined, flags: string): string {
  switch (verb) {
    case 'v':
      return typeof value === 'number' || typeof value === 'bigint' ? signed(print(value), flags) : print(value)
    case 's': {
      if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') throw wrong(verb, value)
      const text = print(value)
      return digits === undefined ? text : [...text].slice(0, digits).join('')
    }
    case 'q':
      if (typeof value !== 'string') throw wrong(verb, value)
      return quote(value)
    case 't':
      if (typeof value !== 'boolean') throw wrong(verb, value)
      return String(value)
    case 'c':
      return String.fromCodePoint(Number(whole(verb, value)))
    case 'd':
      return signed(atLeast(whole(verb, value).toString(), digits), flags)
    case 'x':
    case 'X': {
      const bytes =
        typeof value === 'string' ? Buffer.from(value) : value instanceof Uint8Array ? Buffer.from(value) : undefined
      const text = bytes === undefined ? atLeast(whole(verb, value).toString(16), digits) : bytes.toString('hex')
      return verb === 'X' ? text.toUpperCase() : text
    }
    case 'o':
      return atLeast(whole(verb, value).toString(8), digits)
    case 'b':
      return atLeast(whole(verb, value).toString(2), digits)
    case 'f':
    case 'F':
      return signed(number(verb, value).toFixed(digits ?? 6), flags)
    case 'e':
      return signed(exponent(number(verb, value).toExponential(digits ?? 6)), flags)
    case 'g':
      if (digits !== undefined) throw new Unusable('%g with a precision is not supported')
      return signed(print(number(verb, value)), flags)
    default:
      throw new Unusable(`%${verb} is not supported`)
  }
}

function pad(text: string, flags: string, width: number): string {
  const missing = width - [...text].length
  if (missing <= 0) return text
  if (flags.includes('-')) return text + ' '.repeat(missing)
  if (!flags.includes('0')) return ' '.repeat(missing) + text
  const sign = /^[+-]\d/.test(text) ? text[0]! : ''
  return sign + '0'.repeat(missing) + text.slice(sign.length)
}

function signed(text: string, flags: string): string {
  if (text.startsWith('-')) return text
  return flags.includes('+') ? `+${text}` : flags.includes(' ') ? ` ${text}` : text
}

function atLeast(text: string, digits = 0): string {
  return text.startsWith('-') ? `-${text.slice(1).padStart(digits, '0')}` : text.padStart(digits, '0')
}

function exponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

function whole(verb: string, value: unknown): bigint {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
  throw wrong(verb, value)
}

function number(verb: string, value: unknown): number {
  if (typeof value !== 'number') throw wrong(verb, value)
  return value
}

function wrong(verb: string, value: unknown): Unusable {
  return new Unusable(`%${verb} is not for ${kindOf(value)}`)
}

const NAMED: Readonly<Record<string, string>> = {
  ...{
    '\x07': '\\a',
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\v': '\\v',
    '"': '\\"',
    '\\': '\\\\',
  },
}

/** As Go's strconv.Quote: what cannot be printed is an escape. */
export function quote(text: string): string {
  const escaped = [...text].map((character) => {
    if (Object.hasOwn(NAMED, character)) return NAMED[character]!
    if (character === ' ' || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character)) return character
    const code = character.codePointAt(0)!
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
  return `"${escaped.join('')}"`
}
