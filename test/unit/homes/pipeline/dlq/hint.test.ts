import { expect, test } from 'vitest'
import { hintOf } from '../../../../../src/homes/pipeline/dlq/hint.js'

const hint = (sqlstate: string | undefined, problem = 'refused') => hintOf({ sqlstate, problem } as never)

test('a hint is of the SQLSTATE where there is one, else of its class, else of the problem', () => {
  expect(hint('23503')).toMatch(/^The row that it points to/)
  expect(hint('23P01')).toMatch(/^A constraint of the target/)
  expect(hint('22003')).toMatch(/^The target’s type/)
  expect(hint('54000')).toMatch(/^Mend at the target/)
  expect(hint(undefined, 'longer than max_line_bytes')).toMatch(/^Raise max_line_bytes/)
  expect(hint(undefined)).toMatch(/^Mend what the problem says/)
})

test('whatever PL/pgSQL raises is told to come of a trigger', () => {
  const raised = ['P0001', 'P0002', 'P0003', 'P0004']
  expect(new Set(raised.map((sqlstate) => hint(sqlstate)))).toEqual(new Set([hint('P0001')]))
  expect(hint('P0001')).toMatch(/^A trigger of the target/)
})
