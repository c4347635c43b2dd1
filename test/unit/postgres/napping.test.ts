import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Napping } from '../../../src/postgres/replication/napping.js'

const FULL = 64 * 1024

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

function socket() {
  const calls: string[] = []
  const napping = new Napping(
    () => calls.push('pause'),
    () => calls.push('resume'),
  )
  vi.advanceTimersByTime(1000) // nothing came for a while
  return { napping, calls }
}

/** Full chunks one behind the other, as a server at full speed sends them, until the reader naps. */
function rush(napping: Napping, calls: string[]): void {
  for (let i = 0; i < 20 && calls.length === 0; i++) napping.chunkEnd(FULL)
  expect(calls).toEqual(['pause'])
}

describe('a nap', () => {
  test('follows some full chunks in quick succession, and is over after a few milliseconds', () => {
    const { napping, calls } = socket()
    rush(napping, calls)
    vi.advanceTimersByTime(9)
    expect(calls).toEqual(['pause', 'resume'])
  })

  test('is longer and longer while reads are not full, a few milliseconds at most, and short again after full ones', () => {
    const { napping, calls } = socket()
    const nap = (length: number): number => {
      while (calls.at(-1) !== 'pause') napping.chunkEnd(length)
      for (let ms = 1; ; ms++) {
        vi.advanceTimersByTime(1)
        if (calls.at(-1) === 'resume') return ms
      }
    }
    rush(napping, calls)
    const naps = Array.from({ length: 5 }, () => nap(20_000))
    expect(naps.slice(1)).toEqual([1, 2, 4, 4])
    expect([nap(FULL), nap(FULL), nap(20_000), nap(20_000)]).toEqual([8, 8, 1, 2])
    vi.advanceTimersByTime(1000)
    for (let i = 0; i < 2; i++) napping.chunkEnd(20_000)
    expect(calls.at(-1)).toBe('resume') // what came in a second is no rush
    expect(nap(20_000)).toBe(1)
  })

  test('is shorter by what was spent on the chunks, and left out when that was as long', () => {
    const { napping, calls } = socket()
    const napBehind = (msEach: number): number => {
      for (let chunk = 0; chunk < 8; chunk++) {
        vi.advanceTimersByTime(msEach)
        napping.chunkEnd(FULL)
      }
      for (let ms = 0; ; ms++) {
        if (calls.at(-1) !== 'pause') return ms
        vi.advanceTimersByTime(1)
      }
    }
    napBehind(0)
    expect([0, 0.5, 0.75, 1, 2].map(napBehind)).toEqual([8, 4, 2, 0, 0])
  })

  test('never follows small chunks: latency is not touched', () => {
    const { napping, calls } = socket()
    for (let i = 0; i < 2000; i++) {
      napping.chunkEnd(200)
      vi.advanceTimersByTime(1)
    }
    expect(calls).toEqual([])
  })

  test('is taken once, however much comes out of the socket’s own buffer meanwhile', () => {
    const { napping, calls } = socket()
    rush(napping, calls)
    for (let i = 0; i < 9; i++) napping.chunkEnd(FULL)
    expect(calls).toEqual(['pause'])
    vi.advanceTimersByTime(9)
    expect(calls).toEqual(['pause', 'resume'])
  })
})

describe('back-pressure', () => {
  test('pauses until it is released', () => {
    const { napping, calls } = socket()
    napping.hold()
    napping.hold()
    expect([napping.held, calls]).toEqual([true, ['pause']])
    vi.advanceTimersByTime(60_000)
    expect(calls).toEqual(['pause'])
    napping.release()
    napping.release()
    expect([napping.held, calls]).toEqual([false, ['pause', 'resume']])
  })

  test('outlasts a nap', () => {
    const { napping, calls } = socket()
    rush(napping, calls)
    napping.hold()
    vi.advanceTimersByTime(60_000)
    expect(calls).toEqual(['pause'])
    napping.release()
    expect(calls).toEqual(['pause', 'resume'])
  })

  test('that is released within a nap lets it end', () => {
    const { napping, calls } = socket()
    rush(napping, calls)
    napping.hold()
    napping.release()
    expect(calls).toEqual(['pause'])
    vi.advanceTimersByTime(9)
    expect(calls).toEqual(['pause', 'resume'])
  })

  test('is not ended by a nap that begins in it', () => {
    const { napping, calls } = socket()
    napping.hold()
    for (let i = 0; i < 20; i++) napping.chunkEnd(FULL) // what the socket had read before
    vi.advanceTimersByTime(60_000)
    expect(calls).toEqual(['pause'])
    napping.release()
    expect(calls.at(-1)).toBe('resume')
  })
})

test('after the end no timer wakes a socket that somebody else reads', () => {
  const { napping, calls } = socket()
  rush(napping, calls)
  napping.stop()
  vi.advanceTimersByTime(60_000)
  expect(calls).toEqual(['pause'])
  expect(vi.getTimerCount()).toBe(0)
})
