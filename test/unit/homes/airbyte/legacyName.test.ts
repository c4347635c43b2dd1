import { expect, test } from 'vitest'
import { legacyName, parseLegacyName } from '../../../../src/homes/airbyte/read/legacyName.js'

test('every name comes back as it was, and no two streams have the same', () => {
  const parts = ['a', 'a.b', '"', '""', '".', '"a".b', '.', 'a."', 'b.c']
  const streams = parts.flatMap((name) => [{ name }, ...parts.map((namespace) => ({ namespace, name }))])
  const names = streams.map(legacyName)
  expect(names.map(parseLegacyName)).toEqual(streams)
  expect(new Set(names).size).toBe(streams.length)
})

test('plain names are as Estuary has them', () => {
  expect(legacyName({ namespace: 'public', name: 'orders.old' })).toBe('public.orders.old')
  expect(parseLegacyName('public.orders.old')).toEqual({ namespace: 'public', name: 'orders.old' })
  expect(parseLegacyName('orders')).toEqual({ name: 'orders' })
})
