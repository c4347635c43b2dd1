import fc from 'fast-check'
import { quote } from '../literal.js'

// ── Characters and numbers ──────────────────────────────────────────────────────────────────────────────────────────

const character = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...'abz019 _-') },
  { weight: 2, arbitrary: fc.constantFrom(...'"\\\'{}()[],;:=></&\t\n\r\u007f') },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 0x1f }).map((code) => String.fromCodePoint(code)) },
  { weight: 1, arbitrary: fc.constantFrom('é', 'ß', '語', '😀', '\u{10ffff}', '\u0080', '\u009f', '\u2028', '\ufeff') },
)
export const text = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: character, maxLength: 24 }) },
  { weight: 1, arbitrary: fc.string({ unit: character, minLength: 90, maxLength: 400, size: 'max' }) },
)
const EVERY_CONTROL_CHARACTER = Array.from({ length: 0x20 }, (_, code) => String.fromCodePoint(code + 1)).join('')
export const TEXTS = [
  '',
  ' ',
  'NULL',
  'null',
  '"',
  '\\',
  '\\\\',
  '\\N',
  '\\.',
  "'",
  '{}',
  '()',
  ',',
  EVERY_CONTROL_CHARACTER,
]
export const word = fc.string({ unit: fc.constantFrom(...'abcXYZ019'), minLength: 1, maxLength: 10 })

const digits = (count: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: count, size: 'max' })
export const numeric = fc
  .tuple(fc.constantFrom('', '-'), digits(60), fc.option(digits(40)))
  .map(([sign, whole, part]) => `${sign}${whole}${part === null ? '' : `.${part}`}`)
export const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map(String)
export const small = fc.integer({ min: -1000, max: 1000 }).map((n) => String(n / 8))
export const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 }).map(String)
const two = (n: number) => String(n).padStart(2, '0')

// ── Date and time ───────────────────────────────────────────────────────────────────────────────────────────────────

const day = fc
  .tuple(
    fc.oneof(fc.integer({ min: -4711, max: 3000 }), fc.integer({ min: 1, max: 294_275 })),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 28 }),
  )
  .map(([year, month, date]) => ({
    date: `${String(year > 0 ? year : 1 - year).padStart(4, '0')}-${two(month)}-${two(date)}`,
    era: year > 0 ? '' : ' BC',
  }))
const clock = fc
  .tuple(fc.nat(23), fc.nat(59), fc.nat(59), fc.option(fc.nat(999_999)))
  .map(
    ([h, m, s, micro]) => `${two(h)}:${two(m)}:${two(s)}${micro === null ? '' : `.${String(micro).padStart(6, '0')}`}`,
  )
const zone = fc
  .tuple(fc.constantFrom('+', '-'), fc.nat(14), fc.constantFrom('', ':30', ':59:59'))
  .map(([sign, hours, rest]) => `${sign}${two(hours)}${rest}`)
export const date = day.map(({ date, era }) => date + era)
export const timestamp = fc.tuple(day, clock).map(([{ date, era }, time]) => `${date} ${time}${era}`)
export const timestamptz = fc
  .tuple(day, clock, zone)
  .map(([{ date, era }, time, offset]) => `${date} ${time}${offset}${era}`)
export const interval = fc
  .tuple(...[3000, 5000, 10_000, 1e9].map((max) => fc.integer({ min: -max, max })))
  .map(([years, months, days, micro]) => `${years} years ${months} months ${days} days ${micro! / 1e6} seconds`)

// ── Documents ───────────────────────────────────────────────────────────────────────────────────────────────────────

const blanks = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 2 })
export const jsonText: fc.Arbitrary<string> = fc.letrec<{ value: string; pair: string }>((tie) => ({
  value: fc
    .tuple(
      blanks,
      fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom('null', 'true', '1.50e3', '-0', '1e400', '0.0001', '12345678901234567890', '"\\/\\u2028\\n"'),
        text.map((string) => JSON.stringify(string)),
        fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
        fc.array(tie('pair'), { maxLength: 3 }).map((pairs) => `{${pairs.join(',')}}`),
      ),
      blanks,
    )
    .map((parts) => parts.join('')),
  pair: fc
    .tuple(blanks, fc.constantFrom('"a"', '"b"', '"\\u0061"', '"__proto__"', '"12"'), blanks, tie('value'))
    .map(([before, key, after, value]) => `${before}${key}${after}:${value}`),
})).value
export const JSONS = ['null', ' null ', '{"a":1,"a":2}', '{\r\n"a"\n:\n1}\n', '[]', '{}', '"\\u0001\\\\n"', '1']

// ── Geometry and ranges ─────────────────────────────────────────────────────────────────────────────────────────────

const coordinate = fc.oneof({ weight: 5, arbitrary: small }, { weight: 1, arbitrary: double })
export const point = fc.tuple(coordinate, coordinate).map(([x, y]) => `(${x},${y})`)
export const points = fc.array(point, { minLength: 1, maxLength: 4 }).map((list) => list.join(','))

export function range(bound: fc.Arbitrary<string>, compare: (a: string, b: string) => number): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom('[', '('), fc.option(bound), fc.option(bound), fc.constantFrom(']', ')'))
    .map(([open, a, b, close]) => {
      const [low, high] = a !== null && b !== null && compare(a, b) > 0 ? [b, a] : [a, b]
      return `${open}${low === null ? '' : quote(low)},${high === null ? '' : quote(high)}${close}`
    })
}

export const RANGES = ['empty', '(,)', '[,]']
export const integers = range(fc.integer({ min: -1e6, max: 1e6 }).map(String), (a, b) => Number(a) - Number(b))
export const AD = fc.tuple(fc.integer({ min: 1000, max: 9998 }), clock).map(([year, time]) => `${year}-06-15 ${time}`)
export const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

export const pair = fc
  .tuple(text, fc.option(text))
  .map(([key, value]) => `${quote(key)}=>${value === null ? 'NULL' : quote(value)}`)
