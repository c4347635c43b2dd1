import { expect, test } from 'vitest'
import { formOf, printedSql } from '../../../src/verify/columnForm.js'

const [BOOL, INT8, INT4, TEXT, VARCHAR, NUMERIC, FLOAT8, TIMESTAMP, TIMESTAMPTZ, BPCHAR] = [
  16, 20, 23, 25, 1043, 1700, 701, 1114, 1184, 1042,
]

test.each([
  [INT4, INT8, 'int'],
  [VARCHAR, TEXT, 'text'],
  [TIMESTAMPTZ, TIMESTAMPTZ, 'native'],
  [TIMESTAMP, TIMESTAMPTZ, 'printed'],
  // 1.0 = 1.00, 0 = -0, and 'a' = 'a ': equal, but they print differently.
  [NUMERIC, NUMERIC, 'printed'],
  [FLOAT8, FLOAT8, 'printed'],
  [BPCHAR, BPCHAR, 'printed'],
  [INT4, TEXT, 'printed'],
])('types %i and %i are hashed as %s', (source, target, form) => {
  expect(formOf(source!, target!)).toBe(form)
})

test('a value prints as its output function has it, and NULL stays NULL', () => {
  expect(printedSql('t.a', { typeOid: NUMERIC!, notNull: false })).toBe('t.a::pg_catalog.text')
  // true::text is "true", but a boolean prints as "t".
  expect(printedSql('t.a', { typeOid: BOOL!, notNull: true })).toBe('pg_catalog.concat(t.a)')
  expect(printedSql('t.a', { typeOid: BOOL!, notNull: false })).toBe(
    'CASE WHEN t.a IS DISTINCT FROM NULL THEN pg_catalog.concat(t.a) END',
  )
})
