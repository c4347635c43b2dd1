import { expect, test } from 'vitest'
import { isOfConnection, isOfRows, isOfShape, isPassing } from '../../../src/destination/failure.js'
import { isRejection } from '../../../src/destination/plainWriter.js'
import { serverError } from '../../../src/postgres/serverError.js'

const kindsOf = (sqlstate: string) => {
  const error = serverError({ sqlstate, message: 'refused' })
  const kinds = { row: isOfRows, shape: isOfShape, passing: isPassing, connection: isOfConnection }
  return Object.entries(kinds).flatMap(([kind, is]) => (is(error) ? [kind] : []))
}

test.each([
  ['22001', 'a value that is too long', ['row']],
  ['23505', 'a unique value that is there', ['row']],
  ['21000', 'two rows of one key', ['row']],
  ['44000', 'a check of a view', ['row']],
  ['P0001', 'RAISE of a trigger', ['row']],
  ['P0002', 'SELECT … INTO STRICT of a trigger that finds no row', ['row']],
  ['P0003', 'one that finds several', ['row']],
  ['P0004', 'ASSERT of a trigger', ['row']],
  ['P0000', 'a fault of PL/pgSQL itself', []],
  ['54000', 'a row that no index takes', ['row']],
  ['54023', 'too many arguments', []],
  ['42703', 'a column that is not there', ['shape']],
  ['0A000', 'a plan that is of another type', ['shape']],
  ['42501', 'a privilege that is missing', []],
  ['40P01', 'a deadlock', ['passing']],
  ['53100', 'a full disk', ['passing']],
  ['25006', 'a target that is read-only', ['passing', 'connection']],
  ['57P01', 'a server that stops', ['passing', 'connection']],
  ['XX001', 'damaged data', []],
])('%s, %s, is of %j', (sqlstate, _, kinds) => expect(kindsOf(sqlstate)).toEqual(kinds))

test('what passes is no rejection, and a privilege that is missing is one', () => {
  const rejected = ['P0003', '42703', '42501', '40001', '53200'].filter((sqlstate) => {
    return isRejection(serverError({ sqlstate, message: 'refused' }))
  })
  expect(rejected).toEqual(['P0003', '42703', '42501'])
})
