import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readGoPosition } from '../../../../src/homes/conduit/source/goPosition.js'

const read = (text: string) => readGoPosition(Buffer.from(text))

describe('positions of every version', () => {
  test.each([
    ['{"type":2,"last_lsn":"0/1234ABC"}', { kind: 'cdc', lsn: 0x1234abcn }],
    ['{"type":2,"last_lsn":"16/B374D848"}', { kind: 'cdc', lsn: 0x16b374d848n }],
    ['{"type":0}', { kind: 'initial' }],
    ['{"type":0,"snapshots":null,"last_lsn":""}', { kind: 'initial' }],
    ['0/1ABCDE8', { kind: 'cdc', lsn: 0x1abcde8n }],
    ['0/0', { kind: 'initial' }],
    ['orders:17', { kind: 'rows', table: 'orders', rows: 17n }],
    ['a:b:17', { kind: 'rows', table: 'a:b', rows: 17n }],
    ['42', { kind: 'key', key: 42n }],
    ['-7', { kind: 'key', key: -7n }],
    ['{"type":1}', { kind: 'snapshot', tables: new Map() }],
    [
      '{"type":1,"snapshots":{"orders":{"last_read":3,"snapshot_end":4}}}',
      { kind: 'snapshot', tables: new Map([['orders', { lastRead: 3n, snapshotEnd: 4n }]]) },
    ],
    [
      '{"type":1,"snapshots":{"a\\"1":{"last_read":0,"snapshot_end":9223372036854775807},"b":{"last_read":5,"snapshot_end":5}}}',
      {
        kind: 'snapshot',
        tables: new Map([
          ['a"1', { lastRead: 0n, snapshotEnd: 9223372036854775807n }],
          ['b', { lastRead: 5n, snapshotEnd: 5n }],
        ]),
      },
    ],
    [
      '{ "type" : 1, "snapshots" : { "__proto__" : {"last_read":1,"snapshot_end":2} } }',
      { kind: 'snapshot', tables: new Map([['__proto__', { lastRead: 1n, snapshotEnd: 2n }]]) },
    ],
  ])('%s', (text, position) => expect(read(text)).toStrictEqual(position))
})

describe('what is none of theirs', () => {
  test.each([
    '',
    'orders',
    '{',
    '{}',
    '[]',
    '{"version":1,"system":"7"}',
    '{"version":1,"type":2}',
    'orders:',
    ':5',
    '0/',
    '0/12345678901',
    '12345678901234567890',
  ])('%s', (text) => expect(read(text)).toBe(undefined))
})

describe('what is damaged is told', () => {
  test.each([
    ['{"type":3}', 'its type is none'],
    ['{"type":"2","last_lsn":"0/1"}', 'its type is none'],
    ['{"type":2}', 'its last_lsn is no LSN'],
    ['{"type":2,"last_lsn":"0/0"}', 'its last_lsn is no LSN'],
    ['{"type":2,"last_lsn":17}', 'its last_lsn is no LSN'],
    ['{"type":1,"snapshots":[]}', 'its snapshots are no object'],
    ['{"type":1,"snapshots":{"orders":{"last_read":1.5,"snapshot_end":4}}}', 'last_read of table orders is no integer'],
    ['{"type":1,"snapshots":{"orders":{"last_read":1}}}', 'snapshot_end of table orders is no integer'],
    ['{"type":1,"snapshots":{"orders":null}}', 'last_read of table orders is no integer'],
    ['{"type":1,"snapshots":{"orders":{"last_read":"5","snapshot_end":4}}}', 'is no integer'],
    ['{"type":1,"snapshots":{"orders":{"last_read":9223372036854775808,"snapshot_end":4}}}', 'has more than 64 bits'],
    ['{"type":2,"last_lsn":"0/1","epoch":3}', 'has no "epoch"'],
    ['9999999999999999999', 'has more than 64 bits'],
  ])('%s', (text, problem) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ code: 'POSITION_INVALID', message: expect.stringContaining(problem) }),
    )
  })

  test('whatever comes, it is a position, none, or refused', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '"type":',
      '1',
      '2',
      ',',
      '"snapshots":',
      '"last_lsn":',
      '"0/1"',
      '"a":',
      '/',
      ':',
      'x',
      '"last_read":',
      '-',
      '\\',
    )
    const input = fc.oneof(
      fc.uint8Array({ maxLength: 30 }),
      fc.array(piece).map((pieces) => Buffer.from(pieces.join(''))),
    )
    fc.assert(
      fc.property(input, (bytes) => {
        try {
          readGoPosition(bytes)
        } catch (error) {
          expect(error).toMatchObject({ code: 'POSITION_INVALID' })
        }
      }),
      { numRuns: 5000 },
    )
  })
})
