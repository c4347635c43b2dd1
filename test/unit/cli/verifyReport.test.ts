import { expect, test } from 'vitest'
import { exitCodeOf, reportAsJson, summaryAsText, tableAsText } from '../../../src/cli/verify/report.js'
import type { TableReport } from '../../../src/verify/report.js'

const equal: TableReport = {
  table: 'public.orders',
  target: 'public.orders',
  key: ['id'],
  notes: [],
  rows: { source: 1_234_567, target: 1_234_567 },
  counts: { missing: 0, extra: 0, different: 0 },
  unsettled: [],
  unsettledRows: 0,
  differences: [],
  complete: true,
  repaired: undefined,
}
const unsettled: TableReport = { ...equal, unsettled: [{ id: '7' }], unsettledRows: 1 }
const different: TableReport = { ...equal, counts: { missing: 0, extra: 1, different: 0 } }
const counts = { inserted: 1, updated: 0, deleted: 0, equal: 0, left: 0 }
const repaired: TableReport = { ...different, repaired: counts }
const leftAlone: TableReport = { ...different, repaired: { ...counts, inserted: 0, left: 1 } }

test('the exit code: 1 when anything differs for certain, else 2 when something could not be told', () => {
  expect(exitCodeOf([equal])).toBe(0)
  expect(exitCodeOf([equal, repaired])).toBe(0)
  expect(exitCodeOf([equal, unsettled])).toBe(2)
  expect(exitCodeOf([unsettled, different])).toBe(1)
  expect(exitCodeOf([leftAlone])).toBe(1)
  expect(exitCodeOf([{ ...repaired, unsettledRows: 1 }])).toBe(2)
})

test('rows that never stood still, and those that a repair left alone, are told', () => {
  expect(tableAsText(unsettled)).toBe(
    'public.orders: COULD NOT TELL, 1 never stood still, 1,234,567 rows\n  changing   id=7\n',
  )
  expect(tableAsText(leftAlone)).toBe(
    'public.orders: DIFFERENT, 1 extra, 1,234,567 rows\n  …          and 1 more, beyond --limit\n' +
      '  repaired   0 inserted, 0 updated, 0 deleted\n             1 changed meanwhile and were left alone: run it again\n',
  )
  expect(summaryAsText([equal, unsettled, different, repaired])).toBe(
    '4 tables: 1 equal, 1 repaired, 1 different, 1 not decided\n',
  )
})

test('where the search ended at the limit the counts are the least that they can be', () => {
  expect(tableAsText({ ...different, counts: { missing: 3, extra: 0, different: 0 }, complete: false })).toBe(
    'public.orders: DIFFERENT, at least 3 missing, 1,234,567 rows\n  …          the search ended at --limit: there may be more\n',
  )
})

test('names and values cannot move the cursor of a terminal', () => {
  const key = { id: '\u001b[2J' }
  expect(
    tableAsText({
      ...different,
      differences: [{ kind: 'extra', key, rows: { source: 0, target: 1 }, values: undefined }],
    }),
  ).toContain('extra      id=?[2J\n')
})

test('an error stands in the JSON with what was known until then', () => {
  const error = { code: 'VERIFY_INTERRUPTED', message: 'm', hint: 'h' }
  expect(JSON.parse(reportAsJson({ tables: [equal] }, error))).toMatchObject({
    exitCode: 2,
    error,
    tables: [{ verdict: 'equal' }],
  })
})
