import { expect, test } from 'vitest'
import { bucketCount, differingBuckets, rounds, totalRows } from '../../../src/verify/buckets.js'

test('the number of buckets is a power of two that goes with the rows, within bounds', () => {
  expect([0, 1, 16_384, 16_385, 1_000_000, 4_000_000, 1e12].map(bucketCount)).toEqual([
    16, 16, 16, 32, 1024, 4096, 4096,
  ])
  expect(bucketCount(undefined)).toBe(4096)
})

test('buckets differ by rows, by sum, or by being on one side only', () => {
  const source = [
    { bucket: 1, rows: 10, sum: '5' },
    { bucket: 2, rows: 10, sum: '5' },
    { bucket: 3, rows: 10, sum: '5' },
    { bucket: 4, rows: 1, sum: '-7' },
  ]
  const target = [
    { bucket: 3, rows: 10, sum: '6' },
    { bucket: 2, rows: 12, sum: '5' },
    { bucket: 5, rows: 3, sum: '0' },
    { bucket: 1, rows: 10, sum: '5' },
  ]
  expect(differingBuckets(source, target)).toEqual([
    { bucket: 2, rows: 12 },
    { bucket: 3, rows: 10 },
    { bucket: 4, rows: 1 },
    { bucket: 5, rows: 3 },
  ])
  expect(differingBuckets(source, source)).toEqual([])
  expect(totalRows(target)).toBe(35)
})

test('rounds hold no more rows than they may, but at least one bucket', () => {
  const buckets = [6, 5, 4, 50, 1, 1].map((rows, bucket) => ({ bucket, rows }))
  expect([...rounds(buckets, 10)]).toEqual([[0], [1, 2], [3], [4, 5]])
  expect([...rounds([], 10)]).toEqual([])
})
