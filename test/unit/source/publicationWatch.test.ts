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

function watching(query: () => Promise<never>) {
  const events: SourceEvent[] = []
  const renew = vi.fn()
  const allowed = vi.fn()
  const watch = new PublicationWatch({
    publications: { names: ['p'], tables: [1], serverVersion: 170000, states: new Map() },
    control: { query, renew } as unknown as ControlSession,
    onUnchanged: allowed,
    onChanged: () => false,
    emit: (event) => events.push(event),
  })
  return { watch, events, renew, allowed }
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
