import { expect, test } from 'vitest'
import { LazyCommits } from '../../../src/destination/lazyCommits.js'

test('none where it is not asked for', () => {
  const commits = new LazyCommits({ changes: false, copies: false })
  commits.committed(false)
  expect([commits.isNext(1), commits.isNextCopy()]).toEqual([false, false])
  expect(commits.found()).toBe(true)
  expect(commits.pending).toBe(false)
})

test('after one that waited, for a fifth of a second; not those without rows', () => {
  let now = 1000
  const commits = new LazyCommits({ changes: true, copies: true }, () => now)
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

test('of copies alone, for a second after one that waited', () => {
  let now = 1000
  const commits = new LazyCommits({ changes: false, copies: true }, () => now)
  expect(commits.isNextCopy()).toBe(false)
  commits.committed(false)
  now = 1999
  expect([commits.isNextCopy(), commits.isNext(1)]).toEqual([true, false])
  commits.committed(true)
  expect(commits.pending).toBe(true)
  now = 2000
  expect(commits.isNextCopy()).toBe(false)
})

test('what is found to be committed has waited, unless it was a lazy commit whose answer was lost', () => {
  const commits = new LazyCommits({ changes: false, copies: true })
  commits.committed(false)
  expect([commits.found(), commits.pending]).toEqual([true, false])
  commits.lost()
  expect([commits.found(), commits.pending]).toEqual([false, true])
  commits.committed(false)
  commits.lost()
  // It was not there, and was written once more, by a commit that waited.
  commits.committed(false)
  expect([commits.found(), commits.pending]).toEqual([true, false])
  const all = new LazyCommits({ changes: true, copies: true })
  all.committed(false)
  expect([all.found(), all.pending]).toEqual([false, true])
})
