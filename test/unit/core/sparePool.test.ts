import { expect, test } from 'vitest'
import { SparePool } from '../../../src/core/sparePool.js'

const poolOf = (...lengths: readonly number[]) => {
  const pool = new SparePool<Int32Array>(({ length }) => length, 4)
  const kept = lengths.map((length) => pool.keep(new Int32Array(length)))
  return { pool, kept }
}

test('who needs room gets the smallest that has it, once', () => {
  const { pool } = poolOf(16, 8, 32)
  expect([pool.take(7), pool.take(7), pool.take(40)].map((one) => one?.length)).toEqual([8, 16, undefined])
})

test('what has far too much is left for others, and what has little is not kept', () => {
  const { pool, kept } = poolOf(3, 4, 64)
  expect(kept).toEqual([false, true, true])
  expect([pool.take(3), pool.take(3), pool.take(8)].map((one) => one?.length)).toEqual([4, undefined, 64])
})

test('of very many the first are forgotten', () => {
  const { pool } = poolOf(...Array.from({ length: 60 }, (_, i) => 10 + i))
  expect(pool.take(10)?.length).toBe(10 + 60 - 48)
})
