import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Deliveries } from '../../../../src/sinks/websocket/deliveries.js'

const frame = () => Buffer.alloc(10)
const ids = (frames: readonly { readonly id: number }[]) => frames.map(({ id }) => id)

test('a frame is forgotten when one reader has it, if one is enough', () => {
  const deliveries = new Deliveries(1)
  for (let count = 0; count < 3; count++) deliveries.add(frame)
  expect(deliveries.acknowledge('a', 2)).toBe(true)
  expect(deliveries).toMatchObject({ durable: 2, last: 3, bytes: 10 })
  expect(ids(deliveries.missingOf('b'))).toEqual([3])
  expect(deliveries.acknowledge('b', 1)).toBe(false)
})

test('with two that are needed the same one counts once, however often it comes', () => {
  const deliveries = new Deliveries(2)
  for (let count = 0; count < 4; count++) deliveries.add(frame)
  expect(deliveries.acknowledge('a', 3)).toBe(false)
  expect(deliveries.acknowledge('a', 3)).toBe(false)
  expect(ids(deliveries.missingOf('a'))).toEqual([4])
  expect(ids(deliveries.missingOf('b'))).toEqual([1, 2, 3, 4])
  expect(deliveries.acknowledge('b', 2)).toBe(true)
  expect(deliveries).toMatchObject({ durable: 2, bytes: 20 })
  // One that has gone since has them still.
  expect(deliveries.acknowledge('c', 4)).toBe(true)
  expect(deliveries).toMatchObject({ durable: 3, bytes: 10 })
})

test('whatever comes in whatever order: durable is what so many have, and all else is kept', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom('add', 'a', 'b', 'c'), fc.nat(12)), { maxLength: 60 })
  void fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), steps, (needed, taken) => {
      const deliveries = new Deliveries(needed)
      const has = new Map<string, number>()
      for (const [step, id] of taken) {
        if (step === 'add') deliveries.add(frame)
        else {
          const acknowledged = Math.min(id, deliveries.last)
          has.set(step, Math.max(has.get(step) ?? 0, acknowledged))
          deliveries.acknowledge(step, acknowledged)
        }
        // Whoever had less than was durable already is not asked for it any more.
        const places = [...has.values()].sort((a, b) => b - a)
        expect(deliveries.durable).toBe(places[needed - 1] ?? 0)
        const kept = Array.from(
          { length: deliveries.last - deliveries.durable },
          (_, at) => deliveries.durable + 1 + at,
        )
        expect(ids(deliveries.missingOf('nobody'))).toEqual(kept)
        expect(deliveries.bytes).toBe(10 * kept.length)
      }
    }),
  )
})
