import fc from 'fast-check'
import type { PgType } from '../../src/postgres/catalog/types.js'
import { arrayOf, builtin, compositeOf, hstore } from './codecTypes.js'

/** A drawn type, and the text of a value of it as the server's own output functions would write it. */
export interface DrawnValue {
  readonly type: PgType
  readonly text: string
}

const character = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('a', 'B', '1', ' ', '😀', 'é') },
  { weight: 2, arbitrary: fc.constantFrom('"', '\\', '{', '}', '(', ')', ',', ';', '\n', '\t', '\u0001', "'", '=>') },
)
const words = fc.oneof(fc.string({ unit: character, maxLength: 12 }), fc.constantFrom('NULL', 'null', '', 'NULLS'))

const scalar: fc.Arbitrary<DrawnValue> = fc.oneof(
  words.map((text) => ({ type: builtin('text'), text })),
  fc.integer().map((value) => ({ type: builtin('int4'), text: String(value) })),
  fc.boolean().map((value) => ({ type: builtin('bool'), text: value ? 't' : 'f' })),
  fc.constantFrom('NaN', '1.50', '-Infinity', '0').map((text) => ({ type: builtin('numeric'), text })),
  fc
    .constantFrom('2020-01-01 00:00:00.5+00', 'infinity', '0044-03-15 00:00:00+00 BC')
    .map((text) => ({ type: builtin('timestamptz'), text })),
  fc.jsonValue().map((value) => ({ type: builtin('json'), text: JSON.stringify(value, null, 1) })),
  fc
    .uint8Array({ maxLength: 9 })
    .map((bytes) => ({ type: builtin('bytea'), text: `\\x${Buffer.from(bytes).toString('hex')}` })),
  fc
    .array(fc.tuple(words, fc.option(words)), { maxLength: 3 })
    .map((pairs) => ({ type: hstore, text: pairs.map(hstorePair).join(', ') })),
)

/** Values of one type, as deep as drawn: all of them or none may stand in one array. */
type DrawnType = { readonly type: PgType; readonly texts: readonly (string | null)[] }

const drawnType: fc.Memo<DrawnType> = fc.memo((depth): fc.Arbitrary<DrawnType> => {
  const leaf = scalar.map(({ type, text }) => ({ type, texts: [text, null] }))
  if (depth <= 1) return leaf
  return fc.oneof(leaf, array(drawnType()), composite(drawnType()))
})

export const drawnValue: fc.Arbitrary<DrawnValue> = drawnType(4)
  .filter(({ texts }) => texts.some((text) => text !== null))
  .map(({ type, texts }) => ({ type, text: texts.find((text) => text !== null)! }))

function array(of: fc.Arbitrary<DrawnType>): fc.Arbitrary<DrawnType> {
  const dimensions = fc.constantFrom([0], [1], [3], [2, 2], [1, 3, 2], [1, 1, 1, 1, 1, 1])
  return fc
    .tuple(of, dimensions, fc.constantFrom(',', ';'), fc.boolean())
    .map(([element, sizes, delimiter, bounds]) => {
      const type = arrayOf(element.type, delimiter)
      // an array of arrays is an array of more dimensions, in Postgres: between them stands a domain, which quotes
      const items = element.texts.map((text) => (text === null ? 'NULL' : arrayItem(text, delimiter)))
      const prefix = bounds && sizes[0]! > 0 ? `${sizes.map((size) => `[0:${size - 1}]`).join('')}=` : ''
      return { type, texts: [prefix + nested(sizes, items, delimiter), null] }
    })
}

function nested(sizes: readonly number[], items: readonly string[], delimiter: string): string {
  const [size, ...inner] = sizes
  const item = (i: number) => (inner.length === 0 ? items[i % items.length]! : nested(inner, items, delimiter))
  return `{${Array.from({ length: size! }, (_, i) => item(i)).join(delimiter)}}`
}

/** array_out's rule for quotes. */
function arrayItem(text: string, delimiter: string): string {
  const bare = text !== '' && !/^null$/i.test(text) && !/[\s"\\{}]/.test(text) && !text.includes(delimiter)
  return bare ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}

function composite(of: fc.Arbitrary<DrawnType>): fc.Arbitrary<DrawnType> {
  const fields = fc.uniqueArray(
    fc.tuple(fc.string({ unit: character, minLength: 1, maxLength: 5 }), of, fc.boolean()),
    {
      maxLength: 4,
      selector: ([name]) => name,
    },
  )
  return fields.map((drawn) => {
    const type = compositeOf(Object.fromEntries(drawn.map(([name, field]) => [`_${name}`, field.type])))
    const texts = drawn.map(([, field, isNull]) => (isNull ? null : (field.texts[0] ?? null)))
    return { type, texts: [`(${texts.map(recordField).join(',')})`, null] }
  })
}

/** record_out's rule for quotes. */
function recordField(text: string | null): string {
  if (text === null) return ''
  return text !== '' && !/[\s"\\(),]/.test(text) ? text : `"${text.replaceAll(/["\\]/g, '$&$&')}"`
}

function hstorePair([key, value]: readonly [string, string | null]): string {
  const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`
  return `${quoted(key)}=>${value === null ? 'NULL' : quoted(value)}`
}
