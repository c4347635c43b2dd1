import { expect, test } from 'vitest'
import { SpareMemory } from '../../../src/core/spareMemory.js'

test('what was given back is taken again, once', () => {
  const memory = new SpareMemory(16, 2)
  const [first, second] = [memory.take(), memory.take()]
  const { buffer } = first
  first.giveBack()
  first.giveBack()
  const again = memory.take()
  expect(again.buffer).toBe(buffer)
  expect([second.buffer, memory.take().buffer]).not.toContain(buffer)
  // Of an earlier one it says nothing.
  first.giveBack()
  expect(memory.take().buffer).not.toBe(buffer)
})

test('no more is kept than is set', () => {
  const memory = new SpareMemory(16, 2)
  const leases = Array.from({ length: 3 }, () => memory.take())
  const buffers = leases.map(({ buffer }) => buffer)
  for (const lease of leases) lease.giveBack()
  const taken = Array.from({ length: 3 }, () => memory.take().buffer)
  expect(taken.filter((buffer) => buffers.includes(buffer))).toHaveLength(2)
})
