interface Type {
  readonly name: string
  /** What stands in parentheses. */
  readonly modifiers: readonly number[]
}

const INTEGERS = ['smallint', 'integer', 'bigint']
/** The digits that a number of the type has at most. */
const DIGITS: Readonly<Record<string, number>> = { smallint: 5, integer: 10, bigint: 19 }
const STRINGS = new Set(['character varying', 'text'])
/** Types of which a longer modifier, or none, takes all values as they are. */
const LENGTHS = new Set(['character varying', 'bit varying'])
const PRECISIONS = /^(time|timestamp)( without time zone| with time zone)?$|^interval$/

/** `numeric(10,2)`, `timestamp(3) without time zone`; undefined: an array, whose elements would have to be looked at. */
function parse(type: string): Type | undefined {
  const found = /^([^()[\]]+?)(?:\((\d+)(?:,(-?\d+))?\))?( [^()[\]]+)?$/.exec(type)
  if (found === null) return undefined
  const [, name, first, second, rest = ''] = found
  const modifiers = [first, second].filter((one) => one !== undefined).map(Number)
  return { name: name! + rest, modifiers }
}

/**
 * Whether every value of type `from` is one of type `to`, whose cast the source and the target do alike, so that altering the
 * target's column comes to what altering the source's did. Types as `format_type` prints them.
 */
export function isWidening(from: string, to: string): boolean {
  const [a, b] = [parse(from), parse(to)]
  if (from === to || a === undefined || b === undefined) return false
  if (b.name === 'text') return true
  if (INTEGERS.includes(a.name)) {
    if (INTEGERS.includes(b.name)) return INTEGERS.indexOf(b.name) > INTEGERS.indexOf(a.name)
    if (b.name !== 'numeric') return false
    const [precision, scale = 0] = b.modifiers
    return precision === undefined || precision - scale >= DIGITS[a.name]!
  }
  if (a.name === 'real') return b.name === 'double precision'
  if (a.name === 'numeric' && b.name === 'numeric') return isWiderNumeric(a.modifiers, b.modifiers)
  if (LENGTHS.has(a.name) && a.name === b.name) return isLonger(a, b)
  return PRECISIONS.test(a.name) && a.name === b.name && isLonger(a, b)
}

/** Whether a column of type `own` holds every value of `type` in the same text. */
export function isSameOrWider(type: string, own: string): boolean {
  if (type === own) return true
  const [a, b] = [parse(type), parse(own)]
  if (a === undefined || b === undefined) return false
  if (INTEGERS.includes(a.name) || STRINGS.has(a.name)) return isWidening(type, own)
  return LENGTHS.has(a.name) && isWidening(type, own)
}

/** Whether a value of both types has one text: what becomes a number was written anew, though text takes numbers. */
export function isOfOneKind(from: string, to: string): boolean {
  const [a, b] = [parse(from), parse(to)]
  if (a === undefined || b === undefined) return false
  return a.name === b.name || [INTEGERS, [...STRINGS]].some((kind) => kind.includes(a.name) && kind.includes(b.name))
}

function isWiderNumeric([p, s = 0]: readonly number[], [p2, s2 = 0]: readonly number[]): boolean {
  if (p2 === undefined) return true
  if (p === undefined) return false
  return s2 >= s && p2 - s2 >= p - s
}

function isLonger({ modifiers: [a] }: Type, { modifiers: [b] }: Type): boolean {
  return b === undefined || (a !== undefined && b > a)
}
