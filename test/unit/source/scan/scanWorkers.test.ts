import { describe, expect, test } from 'vitest'
import { deferred } from '../../../../src/core/deferred.js'
import { CONNECTION_LOST } from '../../../../src/core/errors.js'
import type { Session } from '../../../../src/postgres/session.js'
import { ScanWorkers } from '../../../../src/source/scan/scanWorkers.js'
import type { TableScan } from '../../../../src/source/scan/tableScan.js'
import { waitFor } from '../../../support/waitFor.js'

/** One worker, whose session takes its time to close. */
function oneWorker() {
  const closing = deferred()
  const tables: { unread: boolean }[] = [{ unread: true }]
  let closes = 0
  const close = () => {
    closes++
    return closing.promise
  }
  const workers = new ScanWorkers({
    workers: 1,
    connect: async () => ({ close, destroy: () => {} }) as unknown as Session,
    next: () => tables.find(({ unread }) => unread) as unknown as TableScan | undefined,
    read: async (_, scan) => {
      Object.assign(scan, { unread: false })
    },
    signal: new AbortController().signal,
  })
  const isClosing = () => waitFor(() => closes > 0, { what: 'the session to be closed' })
  return { workers, tables, closing, isClosing }
}

test('a table that is added while a worker closes its session is read', async () => {
  const { workers, tables, closing, isClosing } = oneWorker()
  const running = workers.run()
  await isClosing()
  tables.push({ unread: true })
  workers.wake()
  closing.resolve()
  await waitFor(() => tables.every(({ unread }) => !unread), { what: 'the second table' })
  workers.close()
  await running
})

test('closing ends a worker that closes its session', async () => {
  const { workers, closing, isClosing } = oneWorker()
  let over = false
  const running = workers.run().then(() => {
    over = true
  })
  await isClosing()
  workers.close()
  closing.resolve()
  await waitFor(() => over, { what: 'the end' })
  await running
  expect(over).toBe(true)
})

describe('a session that is lost', () => {
  const lost = CONNECTION_LOST({ to: 'it', problem: 'reset' })
  /** Reads a table whose first reading fails behind so much of it. */
  function failing(begun: boolean) {
    const table = { unread: true, progress: { schema: 'public', name: 't', begun } }
    let reads = 0
    const workers = new ScanWorkers({
      workers: 1,
      connect: async () => ({ close: async () => {}, destroy: () => {} }) as unknown as Session,
      next: () => (table.unread ? (table as unknown as TableScan) : undefined),
      read: async () => {
        if (++reads === 1) throw lost
        table.unread = false
      },
      signal: new AbortController().signal,
    })
    return { workers, table, reads: () => reads }
  }

  test('is made anew where there is a key to go on from', async () => {
    const { workers, table } = failing(false)
    const running = workers.run()
    await waitFor(() => !table.unread, { what: 'the table to be read' })
    workers.close()
    await running
  })

  test('ends the run where rows would come twice', async () => {
    const { workers, reads } = failing(true)
    await expect(workers.run()).rejects.toMatchObject({
      code: 'SNAPSHOT_INTERRUPTED',
      cause: lost,
      message: expect.stringContaining('public.t has no key'),
    })
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(reads()).toBe(1)
  })
})
