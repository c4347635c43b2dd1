import { expect, test } from 'vitest'
import { Inbox, type InboxWishes } from '../../../../src/homes/conduit/destination/inbox.js'
import type { IncomingRecord } from '../../../../src/homes/conduit/destination/incoming.js'
import { RateLimit } from '../../../../src/homes/conduit/destination/rateLimit.js'

const records = (count: number) => Array.from({ length: count }, () => ({}) as IncomingRecord)
const idle = Promise.resolve()
const inbox = (wishes: Partial<InboxWishes> = {}) =>
  new Inbox({ size: 0, delayMs: 0, most: Number.POSITIVE_INFINITY, ...wishes })

test('gives what has come, and never a part of a message', async () => {
  const box = inbox()
  box.add(records(2), 10)
  box.add(records(3), 10)
  expect(await box.next(idle)).toHaveLength(5)
  box.add(records(9_990), 10)
  box.add(records(20_000), 10)
  box.add(records(1), 10)
  expect(await box.next(idle)).toHaveLength(9_990)
  expect(await box.next(idle)).toHaveLength(20_000)
  expect(await box.next(idle)).toHaveLength(1)
  box.end()
  expect(await box.next(idle)).toBeUndefined()
})

test('while something is written reads ahead only what is worth it', async () => {
  const box = inbox()
  let written = () => {}
  const writing = new Promise<void>((resolve) => {
    written = resolve
  })
  let given: number | undefined
  const next = box.next(writing).then((batch) => {
    given = batch!.length
  })
  box.add(records(10), 10)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(given).toBeUndefined()
  written()
  await next
  expect(given).toBe(10)
  const ahead = box.next(new Promise(() => {}))
  box.add(records(1000), 10)
  expect(await ahead).toHaveLength(1000)
})

test('what the writing fails with is heard at once, though nothing comes', async () => {
  const failing = async () => {
    throw new Error('no server')
  }
  await expect(inbox().next(failing())).rejects.toThrow('no server')
})

test('a size parts messages, and records wait for it no longer than the delay', async () => {
  const box = inbox({ size: 4, delayMs: 60 })
  box.add(records(9), 10)
  expect(await box.next(idle)).toHaveLength(4)
  expect(await box.next(idle)).toHaveLength(4)
  const since = performance.now()
  expect(await box.next(idle)).toHaveLength(1)
  expect(performance.now() - since).toBeGreaterThan(30)
  box.add(records(1), 10)
  box.flush()
  expect(await box.next(idle)).toHaveLength(1)
})

test('is full until enough is taken', async () => {
  const box = inbox()
  box.add(records(1), 20 * 1024 * 1024)
  expect(box.isFull).toBe(true)
  await box.next(idle)
  expect(box.isFull).toBe(false)
})

test('a rate: the burst at once, then the average', () => {
  let now = 0
  const rate = new RateLimit(100, 10, () => now)
  expect(rate.burst).toBe(10)
  expect(rate.take(10)).toBe(0)
  expect(rate.take(5)).toBe(50)
  now += 50
  expect(rate.take(1)).toBe(10)
  now += 1_000_000
  expect(rate.take(10)).toBe(0)
  expect(rate.take(1)).toBe(10)
  expect(new RateLimit(2.5, 0).burst).toBe(3)
  expect(new RateLimit(0.5, 0).burst).toBe(1)
})
