import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeNdjson } from '../../../../src/codec/ndjson.js'
import { formatLsn } from '../../../../src/postgres/lsn.js'
import { parseLetterRecord } from '../../../../src/sinks/deadLetters/letterRecord.js'
import { letterRows } from '../../../../src/sinks/deadLetters/letterRows.js'

/** The record as it is written again. */
function again(record: object): string {
  const { rows } = letterRows(parseLetterRecord(JSON.stringify(record)), { oid: 0, columnOf: () => undefined })
  return encodeNdjson(rows).toString().trimEnd()
}

const row = { schema: 'public', table: 'items', key: { id: 7, part: '12' }, after: { id: 7, part: '12', note: null } }

test('a change keeps its id, also where no digit of its LSN is a letter', () => {
  const change = fc.record({
    lsn: fc.oneof(
      fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(formatLsn),
      fc.tuple(fc.nat(99_999_999), fc.nat(99_999_999)).map(([high, low]) => `${high}/${low}`),
    ),
    seq: fc.nat(2 ** 31 - 1),
    sub: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
  })
  fc.assert(
    fc.property(change, ({ lsn, seq, sub }) => {
      const id = [lsn, seq, ...(sub === undefined ? [] : [sub])].join('/')
      const place = { lsn, seq, xid: 5, committedAt: '2026-11-23T09:31:24.123456Z' }
      const record = { operation: 'create', ...row, ...place, id }
      expect(again(record)).toBe(JSON.stringify(record))
    }),
  )
})

test.each([
  { operation: 'snapshot', ...row, id: '25263510/public.items/7,12' },
  { operation: 'create', ...row, xid: 5, id: '5/public.items/7,12' },
])('so does a row that was read: $id', (record) => {
  expect(again(record)).toBe(JSON.stringify(record))
})
