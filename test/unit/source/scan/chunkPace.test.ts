import { expect, test } from 'vitest'
import { ChunkPace } from '../../../../src/source/scan/chunkPace.js'

/** After so many chunks of a table each row of which takes `rowMs`. */
function paceAt(rowMs: number, openingMs: number, chunks = 30): ChunkPace {
  const pace = new ChunkPace(1e9)
  for (let chunk = 0; chunk < chunks; chunk++) pace.read(pace.rows, openingMs, pace.rows * rowMs)
  return pace
}

test('chunks take about as long as they shall, whatever a row takes', () => {
  for (const rowMs of [0.001, 0.01, 0.1]) {
    const { rows } = paceAt(rowMs, 1)
    expect(rows * rowMs).toBeGreaterThan(30)
    expect(rows * rowMs).toBeLessThan(40)
  }
})

test('opening one is a small part of it, over a slow network too', () => {
  const { rows } = paceAt(0.01, 50)
  expect(rows * 0.01).toBeGreaterThan(5 * 50)
})

test('they stay within bounds, and change by steps', () => {
  expect(paceAt(100, 1).rows).toBe(50)
  expect(paceAt(0, 1).rows).toBe(1_000_000)
  expect(paceAt(0, 1, 1).rows).toBe(4000)
  expect(paceAt(100, 1, 1).rows).toBe(1000)
})

test('the last chunk of a table says nothing', () => {
  const pace = new ChunkPace(1e9)
  pace.read(10, 1, 500)
  expect(pace.rows).toBe(2000)
})

test('no chunk has more rows than are wanted, from the first on', () => {
  const pace = new ChunkPace(1e9, 300)
  expect(pace.rows).toBe(300)
  for (let chunk = 0; chunk < 5; chunk++) pace.read(pace.rows, 1, 1)
  expect(pace.rows).toBe(300)
  pace.read(300, 1, 1000)
  expect(pace.rows).toBe(150)
})
