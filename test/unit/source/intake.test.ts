import { expect, test } from 'vitest'
import { deferred } from '../../../src/core/deferred.js'
import { Intake, type WalMessage, type WalMessages } from '../../../src/source/intake.js'

const message = (walPlace: number): WalMessage => ({ bytes: Buffer.alloc(0), start: 0, end: 0, walPlace })

/** An intake that takes everything, and what it took. */
function intakeThat(options: { readonly room?: () => boolean; readonly onFailure?: (error: unknown) => void } = {}) {
  const { room = () => true, onFailure = () => {} } = options
  const taken: number[] = []
  const intake = new Intake({
    take: (_bytes, _start, _end, walPlace) => taken.push(walPlace) > 0,
    taken: room,
    onEmpty: () => {},
    onFailure,
  })
  return { intake, taken, wal: (place: number) => intake.wal(Buffer.alloc(0), 0, 0, place) }
}

async function* portions(...all: number[][]): AsyncGenerator<WalMessage[], undefined> {
  for (const portion of all) yield portion.map(message)
  return undefined
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('what comes from elsewhere keeps its place, portion by portion as there is room', async () => {
  let room = false
  const { intake, taken, wal } = intakeThat({ room: () => room })
  wal(1)
  intake.insert(portions([2, 3], [], [4]))
  wal(5)
  await settled()
  expect(taken).toEqual([1])
  room = true
  intake.drain()
  await settled()
  expect(taken).toEqual([1, 2, 3, 4, 5])
  expect(intake.empty).toBe(true)
})

test.each(['comes', 'fails'])('a portion that %s after a lost connection is nothing to the next one', async (how) => {
  const late = deferred<IteratorResult<readonly WalMessage[], undefined>>()
  const stale: WalMessages = { next: () => late.promise }
  const { intake, taken } = intakeThat({
    onFailure: (error) => {
      throw error
    },
  })
  intake.insert(stale)
  intake.clear()
  intake.insert(portions([7]))
  if (how === 'comes') late.resolve({ done: false, value: [message(1)] })
  else late.reject(new Error('late'))
  await settled()
  expect(taken).toEqual([7])
})

test('whether the first that waits was refused, or is still to come', async () => {
  let takes = false
  const intake = new Intake({ take: () => takes, taken: () => true, onEmpty: () => {}, onFailure: () => {} })
  intake.insert(portions([1]))
  expect([intake.empty, intake.refused]).toEqual([false, false])
  await settled()
  expect([intake.empty, intake.refused]).toEqual([false, true])
  takes = true
  intake.drain()
  await settled()
  expect([intake.empty, intake.refused]).toEqual([true, false])
  takes = false
  intake.wal(Buffer.alloc(0), 0, 0, 0)
  expect(intake.refused).toBe(true)
  intake.clear()
  expect(intake.refused).toBe(false)
})
