import { expect, test } from 'vitest'
import { type Deferred, deferred } from '../../../../src/core/deferred.js'
import type { CaptureSet } from '../../../../src/source/captureSet.js'
import type { Connections } from '../../../../src/source/connections.js'
import type { SourceEvent } from '../../../../src/source/events.js'
import { unreadTable } from '../../../../src/source/scan/progress.js'
import { Scans } from '../../../../src/source/scan/scans.js'
import { DROP, EMIT, WAIT } from '../../../../src/source/scan/verdict.js'
import { place } from '../../../support/sourceHistory.js'
import { waitFor } from '../../../support/waitFor.js'

const TABLE = { oid: 1, id: 'one', schema: 'public', name: 't', key: ['id'] }
const ID = {
  relation: '1',
  name: 'id',
  type: '23',
  type_name: 'integer',
  schema: null,
  collation: null,
  by_bytes: false,
  operators: null,
}

/** Tables on a server of which only the catalog is asked; nothing is read. */
function scansOn(
  answers: { snapshot?: string; hold?: Deferred<void>; lsns?: { inserted: string; flushed: string } } = {},
) {
  const events: SourceEvent[] = []
  const gone: number[] = []
  const control = {
    query: async (sql: string) => {
      await answers.hold?.promise
      if (sql.includes('flushed')) return [answers.lsns ?? { inserted: '0/1F4', flushed: '0/1F4' }]
      return sql.includes('pg_current_snapshot') ? [{ snapshot: answers.snapshot, replayed: null }] : [ID]
    },
  }
  const scans = new Scans({
    connections: {
      control,
      ordinary: async () => ({ [Symbol.asyncDispose]: async () => {} }),
    } as unknown as Connections,
    capture: {
      estimatedRows: () => 0,
      hasOtherKey: () => false,
      look: async () => undefined,
      remove: (oid: number) => gone.push(oid),
    } as unknown as CaptureSet,
    workers: 1,
    batchBytes: 1000,
    resumed: { id: '', rows: 0 },
    emit: (event) => events.push(event),
    signal: new AbortController().signal,
  })
  return { scans, events, gone }
}

const transaction = (xid: number) => ({ xid, commitLsn: BigInt(xid), commitTime: 0n })

const READ = { snapshot: '100:100:', until: 500n }
const progressOf = (scans: Scans) => scans.progressAt(place({ lsn: 1n }))?.tables

test('a table that is to be read once more is judged by its last reading until the stream has passed that', async () => {
  const hold = deferred()
  const answers: { hold?: Deferred<void> } = {}
  const { scans } = scansOn(answers)
  await scans.add([{ ...unreadTable(TABLE), stretches: [{ to: undefined, read: READ }] }])
  answers.hold = hold
  const asked = scans.again({ ...TABLE, id: 'two' }, 'n > 1')
  expect(progressOf(scans)).toMatchObject([{ id: 'one' }])
  hold.resolve()
  await asked
  expect(progressOf(scans)).toMatchObject([{ id: 'one', next: { id: 'two', key: ['id'], where: 'n > 1' } }])
  expect(scans.unread).toBe(true)
  const update = { operation: 'update', oldKey: undefined, newKey: ['5'], partial: true } as const
  // The rows show it, and perhaps that the row went afterwards.
  expect(scans.of(1)!.judge(update, transaction(90))).toBe(DROP)
  await scans.again({ ...TABLE, id: 'three' }, 'n < 1')
  scans.passed(499n)
  expect(scans.of(1)!.judge(update, transaction(90))).toBe(DROP)
  scans.passed(500n)
  expect(progressOf(scans)).toMatchObject([{ id: 'three', again: true, where: '(n > 1\n) OR (n < 1\n)' }])
  expect(progressOf(scans)![0]!.next).toBeUndefined()
  expect(scans.of(1)!.judge(update, transaction(90))).toBe(EMIT)
})

test('one that waits for its next reading goes on waiting behind a restart', async () => {
  const { scans } = scansOn()
  const next = { id: 'two', key: ['id'], where: undefined }
  await scans.add([{ ...unreadTable(TABLE), stretches: [{ to: undefined, read: READ }], next }])
  expect(scans.unread).toBe(true)
  scans.passed(500n)
  expect(progressOf(scans)).toMatchObject([{ id: 'two', again: true }])
})

test('on a server that writes no more a reading is of use no longer than its commits', async () => {
  // What was inserted at 0/1F4 is not flushed.
  const { scans } = scansOn({ lsns: { inserted: '0/1F4', flushed: '0/190' } })
  await scans.add([{ ...unreadTable(TABLE), stretches: [{ to: undefined, read: READ }] }])
  await scans.again({ ...TABLE, id: 'two' }, undefined)
  const isRead = () => {
    scans.passed(0x190n)
    return progressOf(scans)?.[0]?.id === 'two'
  }
  expect(isRead()).toBe(false)
  await waitFor(isRead, { what: 'the next reading', timeoutMs: 5000 })
})

test('what is left to rows that nobody reads for long is forgotten when it is visible', async () => {
  const { scans } = scansOn({ snapshot: '900:900:' })
  await scans.add([unreadTable(TABLE)], { held: true })
  const count = () => scans.progressAt(place({ lsn: 1n }))!.unproved!.length
  const change = { operation: 'insert', oldKey: undefined, newKey: ['5'], partial: false } as const
  for (let xid = 600; xid < 1000; xid++) {
    expect(scans.of(1)!.judge(change, transaction(xid))).toBe(DROP)
    await new Promise((resolve) => setImmediate(resolve))
  }
  // Those that are not visible stay.
  expect(count()).toBeGreaterThanOrEqual(100)
  expect(count()).toBeLessThan(300)
})

test('a change that waits for a row by itself goes on when the table is gone', async () => {
  const { scans, events, gone } = scansOn()
  const read = { snapshot: '100:100:', until: 500n }
  const later = { snapshot: '200:200:', until: 600n }
  const stretches = [
    { to: ['5'], read },
    { to: undefined, read: later },
  ]
  await scans.add([{ ...unreadTable(TABLE), stretches }])
  const moved = { operation: 'update', oldKey: ['7'], newKey: ['3'], partial: true } as const
  expect(scans.of(1)!.judge(moved, transaction(150))).toBe(WAIT)
  await waitFor(() => scans.of(1) === undefined, { what: 'the table to be left' })
  expect(gone).toEqual([1])
  expect(events).toContainEqual({ type: 'table-dropped', table: 'public.t' })
})
