import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { CONNECTION_LOST } from '../../../../src/core/errors.js'
import { COPY_DONE, READY_FOR_QUERY } from '../../../../src/postgres/frames.js'
import type { TakeoverHandler } from '../../../../src/postgres/takeover.js'
import type { CaptureSet } from '../../../../src/source/captureSet.js'
import type { Connections } from '../../../../src/source/connections.js'
import { ApartReader, type ApartRow } from '../../../../src/source/scan/apartReader.js'
import { unreadTable } from '../../../../src/source/scan/progress.js'
import type { TableScan } from '../../../../src/source/scan/tableScan.js'
import { waitFor } from '../../../support/waitFor.js'

const TABLE = { oid: 1, id: 'one', schema: 'public', name: 't', key: ['id'] }
const ID = { relation: '1', name: 'id', type: '23', type_name: 'integer', by_bytes: true }
const LOST = CONNECTION_LOST({ to: 'the server', problem: 'cut' })

/** A server whose table has no row; `ends` say of each session in turn whether its end fails. */
function readerOn(ends: readonly ('well' | 'failing')[]) {
  let sessions = 0
  const session = (end: 'well' | 'failing') => ({
    query: async (sql: string) => {
      if (sql.includes('AS shape')) return [{ standby: false, snapshot: '200:200:', lsn: '0/500', shape: '' }]
      return sql.includes('RECURSIVE base') ? [ID] : []
    },
    takeOver: ({ onFrame }: TakeoverHandler) => {
      queueMicrotask(() => {
        for (const tag of [COPY_DONE, READY_FOR_QUERY]) onFrame(tag, Buffer.alloc(0), 0, 0)
      })
      return { write: () => {}, release: () => {} }
    },
    [Symbol.asyncDispose]: async () => {
      if (end === 'failing') throw LOST
    },
  })
  const delivered: ApartRow[] = []
  const failures: unknown[] = []
  const reader = new ApartReader({
    connections: {
      control: { query: async () => [{ lsn: null }] },
      ordinary: async () => session(ends[sessions++] ?? 'well'),
    } as unknown as Connections,
    capture: {
      look: async () => ({
        planned: { table: { ...TABLE, kind: 'ordinary' } },
        query: { columns: ['id'], read: new Set(), withPlace: false, rowFilter: undefined },
        table: { ...TABLE, columns: [{ name: 'id' }] },
      }),
    } as unknown as CaptureSet,
    emit: () => {},
    deliver: (_, row) => delivered.push(row),
    isScanned: () => true,
    onGone: () => {},
    onOtherKey: () => {},
    onFailure: (error) => failures.push(error),
    signal: new AbortController().signal,
  })
  const scan = { progress: unreadTable(TABLE) } as unknown as TableScan
  const want = (key: string) => reader.want(scan, [key], { xid: 150, commitLsn: 0x400n, commitTime: 0n })
  return { want, delivered, failures }
}

test('a row is delivered once, also when the end of its session fails', async () => {
  const { want, delivered, failures } = readerOn(['failing', 'failing'])
  want('5')
  want('6')
  const six = () => delivered.some(({ key }) => key[0] === '6')
  await waitFor(six, { what: 'the row behind it' })
  await turn()
  expect(delivered.map(({ key }) => key[0])).toEqual(['5', '6'])
  expect(failures).toEqual([])
})

test('what waiting does not mend is told', async () => {
  const { want, delivered, failures } = readerOn([])
  const failure = new Error('a fault of ours')
  delivered.push = () => {
    throw failure
  }
  want('5')
  await waitFor(() => failures.length > 0, { what: 'the failure' })
  expect(failures).toEqual([failure])
})
