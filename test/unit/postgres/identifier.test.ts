import { expect, test } from 'vitest'
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../../../src/postgres/identifier.js'

test.each([
  ['orders', 'orders'],
  ['_hidden2', '_hidden2'],
  ['Orders', '"Orders"'],
  ['2024_orders', '"2024_orders"'],
  ['order', '"order"'],
  ['json_table', '"json_table"'],
  ['grün', '"grün"'],
  ['a.b', '"a.b"'],
  ['say "hi"', '"say ""hi"""'],
  ['back\\slash', '"back\\slash"'],
  ['it$', '"it$"'],
  ['', '""'],
])('identifier %j is written %s', (name, sql) => {
  expect(quoteIdentifier(name)).toBe(sql)
})

test('a qualified name has both parts quoted by themselves', () => {
  expect(quoteQualified('public', 'user')).toBe('public."user"')
  expect(quoteQualified('My.Schema', 'a"b')).toBe('"My.Schema"."a""b"')
})

test.each([
  ['plain', "'plain'"],
  ["it's", "'it''s'"],
  ['back\\slash', "E'back\\\\slash'"],
  ["\\'", "E'\\\\'''"],
  ['', "''"],
])('literal %j is written %s', (text, sql) => {
  expect(quoteLiteral(text)).toBe(sql)
})
