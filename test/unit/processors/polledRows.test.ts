import { beforeAll, expect, test } from 'vitest'
import { encodeNdjson } from '../../../src/codec/ndjson.js'
import { CREATE, NO_OLD, RowBatch } from '../../../src/core/rowBatch.js'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import type { Batch } from '../../../src/source/batch.js'
import { batchOf, chainOf, tableOf } from '../../support/processing.js'

beforeAll(loadGrammar)

/** As PollCollector makes rows of a table without a key that was read before: CREATE, the place behind the columns, xmin, order. */
function polled(): RowBatch {
  const table = tableOf('log', ['line text', 'who text'], { key: [] })
  const rows = new RowBatch()
  rows.tables.push(table)
  rows.snapshotId = 'x'
  for (let i = 0; i < 3; i++) {
    const values = [`line${i}`, `me${i}`, `(0,${i + 1})`, '77', `o${i}`]
    rows.use(Buffer.from(values.join('\t')))
    const at = rows.tape.length
    rows.tape.reserve(10)
    let p = 0
    for (const v of values) {
      rows.tape.values[rows.tape.length++] = p
      rows.tape.values[rows.tape.length++] = p + v.length
      p += v.length + 1
    }
    if (rows.transactions.length === 0)
      rows.transactions.push({ xid: 77, commitLsn: 0n, commitTime: undefined, polledXid: 77 })
    rows.add(CREATE, 0, 0, 0, 0, at, (-1 << 2) | NO_OLD, 0)
  }
  return rows
}

const idsOf = (batch: Batch) =>
  encodeNdjson(batch.rows)
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).id)

test.each([
  ['left alone by if', `  - {type: mask, redact: [who], if: "line = 'none'"}`],
  ['made anew', '  - {type: mask, redact: [who]}'],
])('polled rows without a key keep their ids: %s', (_, processors) => {
  const came = batchOf(polled())
  const before = idsOf(came)
  const made = chainOf(processors).whole.process(came) as Batch
  expect(idsOf(made)).toEqual(before)
})
