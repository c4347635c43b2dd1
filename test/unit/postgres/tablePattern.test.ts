import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TABLE_PATTERN_INVALID } from '../../../src/core/errors.js'
import { namesOne, parseTablePatterns, RelationNames } from '../../../src/postgres/tablePattern.js'

describe('parsing', () => {
  test.each([
    ['orders', [['public', 'orders']]],
    ['sales.orders', [['sales', 'orders']]],
    [
      'a,b , sales.c',
      [
        ['public', 'a'],
        ['public', 'b'],
        ['sales', 'c'],
      ],
    ],
    [' sales . orders ', [['sales', 'orders']]],
    ['*', [['public', '*']]],
    ['*.*', [['*', '*']]],
    ['sales.inv_*', [['sales', 'inv_*']]],
    ['"Odd.Name"', [['public', 'Odd.Name']]],
    ['"a,b"."say ""hi"""', [['a,b', 'say "hi"']]],
    ['"*"', [['public', '*']]],
    ['2024_orders', [['public', '2024_orders']]],
    ['two words', [['public', 'two words']]],
    ['größe."日本"', [['größe', '日本']]],
    ['a-b:c', [['public', 'a-b:c']]],
  ])('%s', (text, expected) => {
    const patterns = parseTablePatterns(text)
    expect(patterns.map(({ schema, name }) => [schema.text, name.text])).toEqual(expected)
  })

  test('a list may be given in pieces', () => {
    expect(parseTablePatterns(['a,b', 'c.d']).map(({ text }) => text)).toEqual(['a', 'b', 'c.d'])
  })

  test('a star in quotes is a name, not a family', () => {
    expect(parseTablePatterns('"*",inv_*,*.a').map(namesOne)).toEqual([true, false, false])
  })

  test.each([
    ['', 1, 'a name is missing'],
    ['a,', 3, 'a name is missing'],
    [',a', 1, 'a name is missing'],
    ['a,,b', 3, 'a name is missing'],
    ['sales.', 7, 'a name is missing'],
    ['.orders', 1, 'a name is missing'],
    ['"orders', 1, 'has no end'],
    ['größe."o""', 7, 'has no end'],
    ['""', 1, 'is empty'],
    ['"a"b', 4, 'after a quoted name must come "." or ","'],
    ['a"b"', 2, 'a quote stands inside'],
    ['db.sales.orders', 9, 'without a database'],
    ['😀😀,', 4, 'a name is missing'],
  ])('%j is refused at character %i: %s', (text, position, problem) => {
    try {
      parseTablePatterns(text)
      expect.unreachable()
    } catch (error) {
      if (!TABLE_PATTERN_INVALID.is(error)) throw error
      expect(error.details).toMatchObject({ text, position })
      expect(error.message).toContain(problem)
    }
  })

  test('whatever the name, in quotes it is read back as it is', () => {
    const name = fc.string({ minLength: 1, unit: 'binary' })
    fc.assert(
      fc.property(name, name, (schema, table) => {
        const quoted = [schema, table].map((part) => `"${part.replaceAll('"', '""')}"`).join('.')
        const [pattern, ...others] = parseTablePatterns(quoted)
        expect(others).toEqual([])
        expect([pattern!.schema.text, pattern!.name.text]).toEqual([schema, table])
      }),
    )
  })

  test('no text makes the parser fail otherwise, or hang', () => {
    const piece = fc.constantFrom('"', '""', '.', ',', '*', 'a', 'B', ' ', ':', 'é', '\n')
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        try {
          parseTablePatterns(pieces.join(''))
        } catch (error) {
          expect(TABLE_PATTERN_INVALID.is(error)).toBe(true)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('matching', () => {
  const named = (...names: string[]) => names.map((name) => name.split('/') as [string, string])
  const matches = (pattern: string, ...names: string[]) => {
    const relations = named(...names).map(([schema, name]) => ({ schema, name }))
    const found = new RelationNames(relations).match(parseTablePatterns(pattern)[0]!)
    return found.map(({ schema, name }) => `${schema}/${name}`)
  }

  test('an unqualified name is of schema public', () => {
    expect(matches('orders', 'sales/orders', 'public/orders')).toEqual(['public/orders'])
  })

  test('an unquoted name matches exactly, and only else in lower case', () => {
    expect(matches('Orders', 'public/orders')).toEqual(['public/orders'])
    expect(matches('Orders', 'public/orders', 'public/Orders')).toEqual(['public/Orders'])
    expect(matches('Sales.Orders', 'sales/Orders', 'sales/orders')).toEqual(['sales/Orders'])
    expect(matches('orders', 'public/Orders')).toEqual([])
  })

  test('a quoted name matches exactly', () => {
    expect(matches('"Orders"', 'public/orders')).toEqual([])
    expect(matches('"inv_*"', 'public/inv_a', 'public/inv_*')).toEqual(['public/inv_*'])
  })

  test('only ASCII is folded, as the server does', () => {
    expect(matches('GRÜN', 'public/grün')).toEqual([])
    expect(matches('GRüN', 'public/grün')).toEqual(['public/grün'])
  })

  test('a star stands for any run of characters, other signs for themselves', () => {
    expect(matches('inv_*', 'public/inv_', 'public/inv_a.b', 'public/invx', 'sales/inv_a')).toEqual([
      'public/inv_',
      'public/inv_a.b',
    ])
    expect(matches('a+*', 'public/a+b', 'public/aab')).toEqual(['public/a+b'])
    expect(matches('*_log', 'public/a_log', 'public/a_logs', 'public/line\n_log')).toEqual([
      'public/a_log',
      'public/line\n_log',
    ])
    expect(matches('*.*', 'public/a', 'b/c')).toEqual(['public/a', 'b/c'])
    expect(matches('INV_*', 'public/inv_a')).toEqual(['public/inv_a'])
  })

  test('no name is mistaken for another across the border of schema and table', () => {
    expect(matches('"a.b".c', 'a/b.c')).toEqual([])
    expect(matches('"constructor"', 'public/orders')).toEqual([])
  })
})
