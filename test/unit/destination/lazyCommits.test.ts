import { expect, test } from 'vitest'
import { LazyCommits } from '../../../src/destination/lazyCommits.js'

test('none where it is not asked for', () => {
  const commits = new LazyCommits(false)
  commits.committed(false)
  expect(commits.isNext(1)).toBe(false)
  expect(commits.found()).toBe(true)
  expect(commits.pending).toBe(false)
})

test('after one that waited, for a fifth of a second; not those without rows', () => {
  let now = 1000
  const commits = new LazyCommits(true, () => now)
  expect(commits.isNext(1)).toBe(false)
  commits.committed(false)
  expect(commits.pending).toBe(false)
  for (now = 1000; now < 1200; now += 50) {
    expect(commits.isNext(1)).toBe(true)
    expect(commits.isNext(0)).toBe(false)
    commits.committed(true)
    expect(commits.pending).toBe(true)
  }
  expect(commits.isNext(1)).toBe(false)
})

test('one that is found to be there, behind one that waited, may be lost', () => {
  const commits = new LazyCommits(true)
  commits.committed(false)
  expect(commits.found()).toBe(false)
  expect(commits.pending).toBe(true)
})
