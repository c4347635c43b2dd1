import { expect, test } from 'vitest'
import { parseTargetNaming } from '../../../src/verify/targetName.js'

const orders = { schema: 'sales', name: 'Orders' }

test.each([
  ['{schema}.{table}', 'sales', 'Orders'],
  ['copy.{schema}_{table}', 'copy', 'sales_Orders'],
  ['{table}_copy', 'sales', 'Orders_copy'],
  ['{schema}_copy.fixed', 'sales_copy', 'fixed'],
])('%s', (template, schema, name) => {
  expect(parseTargetNaming(template)(orders)).toEqual({ schema, name })
})

test.each([
  ['{database}.{table}', '{database} is not known: there are {schema} and {table}'],
  ['a.b.{table}', 'a table is schema.name, without a database'],
  ['.{table}', 'a name is missing'],
])('%s is refused', (template, problem) => {
  expect(() => parseTargetNaming(template)).toThrow(
    expect.objectContaining({ code: 'SETTING_INVALID', message: `setting "targetTable" is "${template}": ${problem}` }),
  )
})
