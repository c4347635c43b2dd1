import { expect, test } from 'vitest'
import type { KeyColumn } from '../../../../src/postgres/catalog/keyColumns.js'
import { KeyOrder } from '../../../../src/source/scan/keyOrder.js'
import { unreadTable } from '../../../../src/source/scan/progress.js'
import type { Scans } from '../../../../src/source/scan/scans.js'
import { TableScan } from '../../../../src/source/scan/tableScan.js'
import { ShapeRegistry } from '../../../../src/source/shapeRegistry.js'
import { toBatch } from '../../../../src/source/toBatch.js'
import { collectorFrom, idleAt, oidOf, relationOf, START, takeBatch } from '../../../support/sourceHistory.js'
import { made } from '../../../support/sourceMessages.js'

const LSN = 0x1100n
const TABLE = oidOf(0)
const KEY: KeyColumn = {
  name: 'c0',
  typeOid: 20,
  typeName: 'bigint',
  collate: '',
  byBytes: false,
  operators: 'pg_catalog',
}

/** Table 0 is read while its changes come. */
function scanned() {
  const scan = new TableScan(unreadTable({ oid: TABLE, id: 'one', schema: 'public', name: 't0', key: ['c0'] }), {
    order: new KeyOrder([KEY]),
    onUnproved: () => {},
    onUnknownKey: () => {},
    onApart: () => {},
    onOvertaken: () => {},
  })
  const scans = {
    active: true,
    of: (oid: number) => (oid === TABLE ? scan : undefined),
    progressAt: () => undefined,
    passed: () => {},
  } as unknown as Scans
  return { scan, scans }
}

test('a shape that the catalog refuses fails the batch, and is not waited for again and again', async () => {
  const { scans } = scanned()
  const shapes = new ShapeRegistry({ captures: () => true, compile: () => Promise.reject(new Error('refused')) })
  let ready = 0
  const insert = made.insert(TABLE, ['1', '7'])
  const collector = collectorFrom(idleAt(START), {
    scans,
    shapes,
    onReady: () => {
      // As the stream's loop does; no more often than this, or nothing else would ever run.
      if (++ready < 100) collector.collect(insert, 0, insert.length, 1)
    },
  })
  for (const message of [made.relation(relationOf(0, 2)), made.begin(LSN)]) {
    collector.collect(message, 0, message.length, 0)
  }
  expect(collector.collect(insert, 0, insert.length, 1)).toBe(false)
  await new Promise((resolve) => setImmediate(resolve))
  expect(ready).toBe(1)
  expect(collector.count).toBe(1)
  await expect(toBatch(collector.take(), () => {})).rejects.toThrow('refused')
})

test('a delete without the scan’s key waits for rows of a snapshot that does not show it', async () => {
  const { scan, scans } = scanned()
  const collector = collectorFrom(idleAt(START), { scans })
  // The key that the scan goes by is not among what the server sends of an old row.
  const messages = [made.relation(relationOf(0, 2)), made.begin(LSN, 700)]
  for (const message of messages) collector.collect(message, 0, message.length, 0)
  await new Promise((resolve) => setImmediate(resolve))
  const deleted = made.delete(TABLE, 'K', [null, '7'])
  scan.reads({ snapshot: '700:701:700', until: 0x1000n })
  expect(collector.collect(deleted, 0, deleted.length, 1)).toBe(false)
  scan.delivered(undefined)
  expect(collector.collect(deleted, 0, deleted.length, 1)).toBe(true)
  expect((await takeBatch(collector)).records).toMatchObject([{ operation: 'delete' }])
})
