import { expect, test } from 'vitest'
import { textTarget } from '../../../src/codec/text/target.js'
import { arrayOf, builtin, compositeOf, hstore, int2vector } from '../../support/codecTypes.js'

test('what a column takes hangs on its type alone', () => {
  expect(textTarget(builtin('bytea'))).toStrictEqual({ kind: 'bytea', array: false })
  expect(textTarget(builtin('jsonb'))).toStrictEqual({ kind: 'json', array: false })
  expect(textTarget(arrayOf(builtin('json')))).toStrictEqual({ kind: 'json', array: true, delimiter: ',' })
  expect(textTarget(arrayOf(builtin('box'), ';'))).toStrictEqual({ kind: 'text', array: true, delimiter: ';' })
  // what is nested by way of a domain is the text of an array
  expect(textTarget(arrayOf(arrayOf(builtin('bytea'))))).toStrictEqual({ kind: 'text', array: true, delimiter: ',' })
  expect(textTarget(hstore)).toStrictEqual({ kind: 'text', array: false, hstore: true })
  expect(textTarget(compositeOf({ b: builtin('bytea') }))).toStrictEqual({
    kind: 'text',
    array: false,
    fields: [{ name: 'b', target: { kind: 'bytea', array: false } }],
  })
  for (const type of [builtin('int4'), int2vector]) {
    expect(textTarget(type)).toStrictEqual({ kind: 'text', array: false })
  }
})
