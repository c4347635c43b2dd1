import { describe, expect, test } from 'vitest'
import { MetadataReader } from '../../../../src/homes/conduit/destination/metadata.js'
import { NotATableName, tableNames } from '../../../../src/homes/conduit/destination/tableName.js'
import { tableRoute } from '../../../../src/homes/conduit/destination/tableRoute.js'

describe('the name that a record is routed by', () => {
  const metadata = { 'opencdc.collection': 'orders', 'postgres.schema': 'sales' }
  const templateRecord = {
    position: '',
    operation: 'create',
    metadata,
    key: undefined,
    before: undefined,
    after: undefined,
  } as const

  test.each([
    'orders',
    '{{ index .Metadata "opencdc.collection" }}',
    'x_{{index .Metadata "postgres.schema"}}.{{ index .Metadata "opencdc.collection" }}_y',
    '{{ index .Metadata "nothing" }}',
  ])('is taken straight from metadata, as the template gives it: %s', (setting) => {
    const route = tableRoute(setting)
    const values = [...new MetadataReader(route.names).end(Buffer.alloc(0), 0, 0)]
    const first = values.length - route.names.length
    for (const [i, name] of route.names.entries()) values[first + i] = metadata[name as keyof typeof metadata]
    expect(route.quickly(values)).toBe(route.of(templateRecord))
  })

  test('takes the whole record where it is not only that', () => {
    for (const setting of [
      '{{ .Metadata.x }}',
      '{{- index .Metadata "opencdc.collection" }}',
      '{{ index .Metadata "a" | lower }}',
    ]) {
      expect(tableRoute(setting).quickly([])).toBeUndefined()
      expect(tableRoute(setting).needsData).toBe(false)
    }
    expect(tableRoute('{{ .Payload.After.region }}').needsData).toBe(true)
    expect(tableRoute('{{ .Key.region }}').needsData).toBe(true)
  })
})

describe('a name', () => {
  test.each([
    ['orders', ['public.orders']],
    ['Orders', ['public.Orders']],
    ['sales.orders', ['sales.orders', 'public.sales.orders']],
    ['a.b.c', ['public.a.b.c']],
    ['"a.b"', ['public.a.b']],
    ['"a.b"."c""d"', ['a.b.c"d']],
    ['"a".b', ['a.b']],
  ])('%s', (text, expected) => {
    expect(tableNames(text).map(({ schema, name }) => `${schema}.${name}`)).toEqual(expected)
  })

  test.each(['', '.a', 'a.', '"a', '"a".b."c"', '""'])('%s is none', (text) => {
    expect(() => tableNames(text)).toThrow(NotATableName)
  })
})
