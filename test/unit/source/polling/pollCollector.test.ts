import { expect, test } from 'vitest'
import { Table } from '../../../../src/core/table.js'
import { type CollectorOptions, PollCollector } from '../../../../src/source/polling/pollCollector.js'
import type { PollTable } from '../../../../src/source/polling/pollTable.js'
import { keyedTable } from '../../../support/tableFacts.js'

const TABLE: PollTable = {
  name: 'public.t',
  catalog: keyedTable({ name: 't' }),
  table: new Table({
    oid: 1,
    schema: 'public',
    name: 't',
    columns: [{ name: 'id', typeOid: 23, typmod: -1, typeName: 'integer', notNull: true, generated: false }],
    codecs: [],
    selected: [0],
    key: [0],
    replicaIdentity: 'default',
  }),
  columns: ['id'],
  read: new Set(['id']),
  hasCursor: false,
  order: [{ sql: 'id', type: 'integer', nullable: false }],
}

/** Rows of (id, xmin), as COPY sends them. */
function collect(rows: readonly (readonly [number, number])[], options: Partial<CollectorOptions> = {}) {
  const snapshot = { horizon: 100, xmax: 200 }
  const all: CollectorOptions = { table: TABLE, snapshot, xids: [], maxXids: 10, deliver: 'create', ...options }
  const collector = new PollCollector(all)
  for (const [id, xmin] of rows) {
    const line = Buffer.from(`${id}\t${xmin}\t${id}\n`)
    collector.collect(line, 0, line.length)
  }
  return { collector, xids: all.xids as readonly number[] }
}

test('xids at or above the horizon are kept, each once, and which were known behind each row', () => {
  const { collector, xids } = collect([
    [1, 99],
    [2, 150],
    [3, 100],
    [4, 150],
  ])
  expect(xids).toEqual([150, 100])
  const batch = collector.take()
  const known = [0, 1, 2, 3].map((index) => batch.heads[index * 9 + 8])
  expect(known).toEqual([0, 1, 2, 2])
  expect([0, 3].map((index) => collector.keyOf(batch, index))).toEqual([['1'], ['4']])
})

test('rows of more xids than are kept are left for later, those of the kept ones are not', () => {
  const { collector } = collect(
    [
      [1, 150],
      [2, 151],
      [3, 50],
      [4, 150],
      [5, 152],
    ],
    { maxXids: 1 },
  )
  expect([collector.rows, collector.count, collector.heldBack]).toEqual([5, 3, 2])
  // Behind a row that was left the next page begins all the same.
  expect(collector.last).toEqual(['5'])
})

test('what is seen only is not delivered', () => {
  const { collector, xids } = collect([[7, 120]], { deliver: 'none' })
  expect([collector.count, collector.last, xids]).toEqual([0, ['7'], [120]])
})
