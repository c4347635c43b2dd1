import { expect, test, vi } from 'vitest'
import { Intake, type WalMessage } from '../../../src/source/intake.js'

const message = (name: string): WalMessage => {
  const bytes = Buffer.from(name)
  return { bytes, start: 0, end: bytes.length, walPlace: 0 }
}

/** Takes what `refuses` does not name. */
function intakeOf({ room = () => true }: { room?: () => boolean } = {}) {
  const taken: string[] = []
  const refuses = new Set<string>()
  const onFailure = vi.fn()
  const onEmpty = vi.fn()
  const intake = new Intake({
    take: (bytes, start, end) => {
      const name = bytes.toString('utf8', start, end)
      if (name === 'bad') throw new Error(name)
      if (refuses.has(name)) return false
      taken.push(name)
      return true
    },
    taken: room,
    onEmpty,
    onFailure,
  })
  const wal = (...names: string[]) => {
    for (const { bytes, start, end, walPlace } of names.map(message)) intake.wal(bytes, start, end, walPlace)
  }
  return { intake, taken, refuses, onFailure, onEmpty, wal }
}

async function* portions(...all: string[][]) {
  for (const names of all) yield names.map(message)
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('messages are taken as they come, and behind one that has to wait they wait in order', () => {
  const { intake, taken, refuses, onEmpty, wal } = intakeOf()
  refuses.add('b')
  wal('a', 'b', 'c')
  expect(taken).toEqual(['a'])
  expect([...intake.waiting()].map(({ bytes }) => bytes.toString())).toEqual(['b', 'c'])
  intake.drain()
  expect(taken).toEqual(['a'])
  expect(onEmpty).not.toHaveBeenCalled()
  refuses.clear()
  intake.drain()
  expect(taken).toEqual(['a', 'b', 'c'])
  expect(intake.empty).toBe(true)
  expect(onEmpty).toHaveBeenCalledOnce()
  wal('d')
  expect(taken.at(-1)).toBe('d')
})

test('what waits is forgotten with its connection', () => {
  const { intake, taken, refuses, wal } = intakeOf()
  refuses.add('a')
  wal('a', 'b')
  intake.clear()
  refuses.clear()
  wal('c')
  expect(taken).toEqual(['c'])
})

test('what comes from elsewhere stands where it was inserted', async () => {
  const { intake, taken, refuses, wal } = intakeOf()
  refuses.add('y')
  intake.insert(portions(['x', 'y'], ['z']))
  wal('behind')
  await settled()
  expect(taken).toEqual(['x'])
  refuses.clear()
  intake.drain()
  await settled()
  expect(taken).toEqual(['x', 'y', 'z', 'behind'])
  expect(intake.empty).toBe(true)
})

test('no portion is fetched while there is no room', async () => {
  let room = false
  const { intake, taken } = intakeOf({ room: () => room })
  intake.insert(portions(['x']))
  await settled()
  expect(taken).toEqual([])
  room = true
  intake.drain()
  await settled()
  expect(taken).toEqual(['x'])
})

test('a portion that comes when all was cleared is not taken', async () => {
  const { intake, taken } = intakeOf()
  intake.insert(portions(['x']))
  intake.clear()
  await settled()
  expect(taken).toEqual([])
  expect(intake.empty).toBe(true)
})

test('a failure is told once, and nothing is taken after the end', async () => {
  const { intake, taken, refuses, onFailure, wal } = intakeOf()
  refuses.add('a')
  wal('a', 'bad', 'c')
  refuses.clear()
  intake.drain()
  expect(onFailure).toHaveBeenCalledOnce()
  intake.end()
  intake.drain()
  expect(taken).toEqual(['a'])
})
