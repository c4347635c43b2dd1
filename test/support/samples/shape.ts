import fc from 'fast-check'
import { quote } from '../literal.js'

/** How values of one type are drawn, as input literals. */
export interface TypeSamples {
  /** The type as SQL writes it. */
  readonly sql: string
  /** Always tried. */
  readonly extremes: readonly string[]
  readonly drawn: fc.Arbitrary<string>
  /** The first major version that has it. */
  readonly since?: number
  /** What stands between the elements of its arrays. */
  readonly delimiter?: string
}

export function fixed(sql: string, ...extremes: string[]): TypeSamples {
  return { sql, extremes, drawn: fc.constantFrom(...extremes) }
}

/** Arrays of a type, of some dimensions, with NULLs and odd lower bounds; empty ones. */
export function arraySamples({ sql, extremes, drawn, since, delimiter = ',' }: TypeSamples): TypeSamples {
  const element = extremes.length === 0 ? drawn : fc.oneof(drawn, fc.constantFrom(...extremes))
  const item = fc.option(element, { freq: 6 })
  const sizes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 })
  const array = fc.tuple(sizes, fc.infiniteStream(item), fc.option(fc.integer({ min: -3, max: 3 })))
  return {
    sql: `${sql}[]`,
    extremes: ['{}', '{NULL}', `{{NULL}${delimiter}{NULL}}`],
    drawn: array.map(([lengths, items, low]) => {
      const bounds = low === null ? '' : `${lengths.map((length) => `[${low}:${low + length - 1}]`).join('')}=`
      return bounds + nest(lengths, () => items.next().value as string | null, delimiter)
    }),
    ...(since !== undefined && { since }),
  }
}

function nest([length, ...inner]: readonly number[], next: () => string | null, delimiter: string): string {
  const items = Array.from({ length: length! }, () => {
    if (inner.length > 0) return nest(inner, next, delimiter)
    const item = next()
    return item === null ? 'NULL' : quote(item)
  })
  return `{${items.join(delimiter)}}`
}

/** An array of one dimension, with the lower bound 1, for use inside others. */
export function arrayLiteral(item: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .array(fc.option(item), { maxLength: 3 })
    .map((items) => `{${items.map((text) => (text === null ? 'NULL' : quote(text))).join(',')}}`)
}

export function record(...fields: fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc
    .tuple(...fields.map((field) => fc.option(field, { freq: 8 })))
    .map((texts) => `(${texts.map((text) => (text === null ? '' : quote(text))).join(',')})`)
}
