import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { ControlSession } from '../../../src/source/controlSession.js'
import type { SourceEvent } from '../../../src/source/events.js'
import { PublicationWatch } from '../../../src/source/publicationWatch.js'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

function watching(query: (sql: string) => Promise<unknown>, isOurServer = async () => true) {
  const events: SourceEvent[] = []
  const renew = vi.fn()
  const allowed = vi.fn()
  const changed = vi.fn(() => false)
  const watch = new PublicationWatch({
    publications: { names: ['p'], tables: [1], serverVersion: 170000, states: new Map([['p', THERE]]) },
    control: { query, renew } as unknown as ControlSession,
    isOurServer,
    onUnchanged: allowed,
    onChanged: changed,
    emit: (event) => events.push(event),
  })
  return { watch, events, renew, allowed, changed }
}

test('looks that fail allow nothing, and are told when that has lasted', async () => {
  const { watch, events, allowed } = watching(() => Promise.reject(new Error('permission denied')))
  await vi.advanceTimersByTimeAsync(25_000)
  expect(events).toEqual([])
  await vi.advanceTimersByTimeAsync(10_000)
  expect(events).toEqual([
    expect.objectContaining({
      type: 'warning',
      code: 'PUBLICATIONS_UNSEEN',
      message: expect.stringContaining('permission denied'),
    }),
  ])
  await vi.advanceTimersByTimeAsync(20_000)
  expect(events).toHaveLength(1)
  expect(allowed).not.toHaveBeenCalled()
  await watch.end(false)
  expect(vi.getTimerCount()).toBe(0)
})

test('a look without an answer gets another connection', async () => {
  let give: (error: Error) => void = () => {}
  const { watch, renew } = watching(
    () =>
      new Promise((_, reject) => {
        give = reject
      }),
  )
  await vi.advanceTimersByTimeAsync(19_000)
  expect(renew).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(2_000)
  expect(renew).toHaveBeenCalledTimes(1)
  give(new Error('the connection was cut'))
  await watch.end(false)
})

/** A server without the publication. */
const answer = async (sql: string) => {
  if (sql.includes('pg_last_wal_replay_lsn')) return [{ lsn: '0/100', standby: false }]
  if (sql.includes('pg_locks')) return []
  return [{ name: 'p', oid: null, written_by: null, owner: null, options: null, digest: '', tables: [] }]
}
const THERE = { oid: '1', writtenBy: '1', owner: '1', options: '', digest: '', tables: undefined }

test.each([true, false])('what a server says is taken for ours: %s', async (ours) => {
  const { watch, allowed, changed } = watching(answer, async () => ours)
  await vi.advanceTimersByTimeAsync(6_000)
  expect([allowed.mock.calls.length, changed.mock.calls.length]).toEqual([0, ours ? 1 : 0])
  await watch.end(false)
})
