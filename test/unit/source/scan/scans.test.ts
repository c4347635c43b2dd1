import { expect, test } from 'vitest'
import { type Deferred, deferred } from '../../../../src/core/deferred.js'
import type { CaptureSet } from '../../../../src/source/captureSet.js'
import type { Connections } from '../../../../src/source/connections.js'
import type { SourceEvent } from '../../../../src/source/events.js'
import { unreadTable } from '../../../../src/source/scan/progress.js'
import { Scans } from '../../../../src/source/scan/scans.js'
import { DROP, WAIT } from '../../../../src/source/scan/tableScan.js'
import { place } from '../../../support/sourceHistory.js'
import { waitFor } from '../../../support/waitFor.js'

const TABLE = { oid: 1, id: 'one', schema: 'public', name: 't', key: ['id'] }
const ID = {
  name: 'id',
  type: '23',
  type_name: 'integer',
  schema: null,
  collation: null,
  by_bytes: false,
  operators: null,
}

/** Tables on a server of which only the catalog is asked; nothing is read. */
function scansOn(answers: { snapshot?: string; hold?: Deferred<void> } = {}) {
  const events: SourceEvent[] = []
  const gone: number[] = []
  const control = {
    query: async (sql: string) => {
      await answers.hold?.promise
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

test('a table that is to be read once more is in every position meanwhile', async () => {
  const hold = deferred()
  const answers: { hold?: Deferred<void> } = {}
  const { scans } = scansOn(answers)
  await scans.add(unreadTable(TABLE))
  answers.hold = hold
  const asked = scans.again({ ...TABLE, id: 'two' }, undefined)
  expect(scans.progressAt(place({ lsn: 1n }))?.tables).toMatchObject([{ id: 'one' }])
  hold.resolve()
  await asked
  expect(scans.progressAt(place({ lsn: 1n }))?.tables).toMatchObject([{ id: 'two', again: true }])
})

test('what is left to rows that nobody reads for long is forgotten when it is visible', async () => {
  const { scans } = scansOn({ snapshot: '900:900:' })
  await scans.add(unreadTable(TABLE), { held: true })
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
  await scans.add({ ...unreadTable(TABLE), stretches })
  const moved = { operation: 'update', oldKey: ['7'], newKey: ['3'], partial: true } as const
  expect(scans.of(1)!.judge(moved, transaction(150))).toBe(WAIT)
  await waitFor(() => scans.of(1) === undefined, { what: 'the table to be left', timeoutMs: 2000 })
  expect(gone).toEqual([1])
  expect(events).toContainEqual({ type: 'table-dropped', table: 'public.t' })
})
