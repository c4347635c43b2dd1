import { expect, test } from 'vitest'
import { ChunkPace } from '../../../../src/source/scan/chunkPace.js'

/** The size of the chunks once it has settled, where a row takes so long. */
function settled(tableRows: number, { msPerRow, openingMs = 1, chunks = 30 }: Record<string, number>): number {
  const pace = new ChunkPace(tableRows)
  for (let chunk = 0; chunk < chunks!; chunk++) pace.read(pace.rows, openingMs!, pace.rows * msPerRow!)
  return pace.rows
}

test('chunks of a large table take 35 ms, or eight times their opening', () => {
  expect(settled(100_000_000, { msPerRow: 0.002 })).toBe(17_500)
  expect(settled(100_000_000, { msPerRow: 0.002, openingMs: 10 })).toBe(40_000)
  expect(settled(100_000_000, { msPerRow: 10 })).toBe(50)
})

test('a chunk is no more than half a percent of the table, for a killed run reads it again', () => {
  expect(settled(1_000_000, { msPerRow: 0.001 })).toBe(5000)
  expect(settled(10_000, { msPerRow: 0.001 })).toBe(2000)
})

test('a table that is larger than it was estimated is not read in small chunks to its end', () => {
  expect(settled(0, { msPerRow: 0.001, chunks: 10 })).toBe(2000)
  expect(settled(0, { msPerRow: 0.001, chunks: 3000 })).toBe(35_000)
})
