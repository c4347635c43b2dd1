import { expect, test } from 'vitest'
import { PollCollector } from '../../../../src/source/polling/pollCollector.js'
import { tableOf } from '../../../support/processing.js'

/** The page's last row was handed on by chunkEnd; the sinks are done with it before the server says that the COPY is over. */
test('the last row of a page is known when its batch was given up', () => {
  const table = tableOf('t', ['id int4', 'name text'])
  const pollTable = { table, order: [{ sql: 'id', type: 'integer', nullable: false }] } as never
  const collector = new PollCollector({
    table: pollTable,
    snapshot: { horizon: 100, xmax: 100 },
    xids: [],
    maxXids: 10,
    deliver: 'snapshot',
  })
  const text = Buffer.from('7\tada\t50\t7\n')
  collector.collect(text, 0, text.length)
  const came = collector.take()
  const made = came.derive({ heads: came.heads.slice() })
  made.replaces(came, true)
  made.giveUpLines()
  expect(collector.last).toEqual(['7'])
})
