import { describe, expect, test } from 'vitest'
import { BatchQueue } from '../../../src/source/batchQueue.js'

function queueOf(limit = 100) {
  const queue = new BatchQueue<string>(limit)
  const demands: string[] = []
  queue.onDemand = () => demands.push(queue.hungry ? 'hungry' : 'room')
  return { queue, demands }
}

/** Whether the promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol()
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending
}

test('items come out in the order in which they went in, promises at their places', async () => {
  const { queue } = queueOf()
  let arrive = (_: string) => {}
  queue.push('a', 1)
  queue.push(new Promise((resolve) => (arrive = resolve)), 1)
  queue.push('c', 1)
  expect(await queue.next()).toBe('a')
  const second = queue.next()
  expect(await settled(second)).toBe(false)
  arrive('b')
  expect([await second, await queue.next()]).toEqual(['b', 'c'])
})

test('whoever waits is hungry, and gets what comes next at once', async () => {
  const { queue, demands } = queueOf()
  expect(queue.hungry).toBe(false)
  const next = queue.next()
  expect(queue.hungry).toBe(true)
  expect(demands).toEqual(['hungry'])
  queue.push('a', 10)
  expect(queue.hungry).toBe(false)
  expect(await next).toBe('a')
})

test('is full from its limit on, and says once when there is room again', async () => {
  const { queue, demands } = queueOf(100)
  queue.push('a', 60)
  expect(queue.full).toBe(false)
  queue.push('b', 40)
  queue.push('c', 40)
  expect(queue.full).toBe(true)
  await queue.next() // in the consumer's hands it counts as well
  expect([queue.full, demands]).toEqual([true, []])
  await queue.next()
  expect([queue.full, demands]).toEqual([false, ['room']])
  await queue.next()
  expect([queue.full, demands]).toEqual([false, ['room']])
})

test('an item larger than the limit goes through, and fills the queue until the consumer comes again', async () => {
  const { queue, demands } = queueOf(100)
  queue.push('a', 5000)
  expect(queue.full).toBe(true)
  expect(await queue.next()).toBe('a')
  expect([queue.full, demands]).toEqual([true, []])
  const next = queue.next()
  expect([queue.full, demands]).toEqual([false, ['hungry']])
  queue.push('b', 5000)
  expect(await next).toBe('b')
  expect(queue.full).toBe(true)
})

describe('the end', () => {
  test('comes after what is held, and stays', async () => {
    const { queue } = queueOf()
    queue.push('a', 1)
    queue.end()
    expect([await queue.next(), await queue.next(), await queue.next()]).toEqual(['a', undefined, undefined])
  })

  test('reaches whoever waits', async () => {
    const { queue } = queueOf()
    const next = queue.next()
    queue.end()
    expect(await next).toBeUndefined()
  })

  test('can be taken back', async () => {
    const { queue } = queueOf()
    queue.end()
    queue.reopen()
    const next = queue.next()
    expect(await settled(next)).toBe(false)
    queue.push('a', 1)
    expect(await next).toBe('a')
  })

  test('drops what is held when nobody wants it', async () => {
    const { queue } = queueOf()
    queue.push('a', 1)
    queue.abandon()
    expect(await queue.next()).toBeUndefined()
    queue.push('b', 1) // the server was not stopped yet
    expect(queue.full).toBe(false)
  })
})

describe('a failure', () => {
  test('comes after what is held, and stays', async () => {
    const { queue } = queueOf()
    queue.push('a', 1)
    queue.fail(new Error('first'))
    queue.fail(new Error('second'))
    expect(await queue.next()).toBe('a')
    await expect(queue.next()).rejects.toThrow('first')
    await expect(queue.next()).rejects.toThrow('first')
  })

  test('reaches whoever waits', async () => {
    const { queue } = queueOf()
    const next = queue.next()
    queue.fail(new Error('gone'))
    await expect(next).rejects.toThrow('gone')
  })

  test('of a promised item comes at its place, and is no unhandled rejection before', async () => {
    const { queue } = queueOf()
    queue.push('a', 1)
    queue.push(Promise.reject(new Error('no shape')), 1)
    await new Promise((resolve) => setImmediate(resolve)) // here it would be noticed
    expect(await queue.next()).toBe('a')
    await expect(queue.next()).rejects.toThrow('no shape')
  })
})
