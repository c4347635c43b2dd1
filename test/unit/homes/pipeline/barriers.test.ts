import { expect, test } from 'vitest'
import { Barriers } from '../../../../src/homes/pipeline/run/barriers.js'
import { StreamPosition } from '../../../../src/source/position.js'
import { SEED, seededRandom } from '../../../support/sourceWriters.js'

function positionAt(lsn: bigint): StreamPosition {
  const origin = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }
  return new StreamPosition(origin, { lsn, seq: 0, sub: 0, end: lsn + 8n, fingerprint: 0, snapshot: undefined })
}

/** Barriers 1, 2, …: `t` for all at once, `p` for each sink by itself. */
function barriersOf(kinds: string, ...sinks: string[]) {
  // Those in capitals store positions themselves.
  const barriers = new Barriers(sinks, new Set(sinks.filter((sink) => sink < 'a')))
  const all = [...kinds].map((kind, index) => {
    const barrier = {
      id: index + 1,
      position: positionAt(BigInt(index + 1) * 8n),
      together: kind === 't',
      durable: true,
      end: undefined,
    }
    barriers.made(barrier)
    return barrier
  })
  return {
    pass: (sink: string, ...ids: number[]) => {
      for (const id of ids) {
        const barrier = all[id - 1]!
        barriers.passed(sink, { barrier, position: barrier.position, mark: { id } })
      }
    },
    /** `1: a1 b1`: what may be committed, with the marks of those that have it. */
    prepared: () => {
      return barriers.prepared.map(({ barrier, passed }) => {
        const marks = [...passed].map(([sink, { mark }]) => `${sink}${mark!.id}`)
        return `${barrier.id}: ${marks.join(' ')}`
      })
    },
    /** `a3 b3`: what is recorded, and behind it what may be confirmed. */
    take: () => {
      const taken = [...barriers.take()].map(([sink, { mark }]) => `${sink}${mark!.id}`)
      return `${taken.sort().join(' ')} | ${barriers.least === undefined ? '-' : barriers.least.place.lsn / 8n}`
    },
  }
}

test('plain places are recorded of each sink by itself, and the least one is confirmed', () => {
  const { pass, take } = barriersOf('pppp', 'a', 'b')
  pass('a', 1, 2)
  expect(take()).toBe('a2 | -')
  pass('b', 1)
  expect(take()).toBe('b1 | 1')
  pass('a', 3, 4)
  pass('b', 2, 3)
  expect(take()).toBe('a4 b3 | 3')
  expect(take()).toBe(' | 3')
})

test('within a snapshot all are recorded at one place, or none; nobody is recorded behind it before the others', () => {
  const { pass, take } = barriersOf('pttpp', 'a', 'b')
  pass('a', 1, 2, 3, 4, 5)
  expect(take()).toBe('a1 | -')
  pass('b', 1)
  expect(take()).toBe('b1 | 1')
  pass('b', 2)
  expect(take()).toBe('a2 b2 | 2')
  pass('b', 3)
  expect(take()).toBe('a5 b3 | 3')
  pass('b', 4)
  expect(take()).toBe('b4 | 4')
})

test('of several places within a snapshot that all have passed, the last one counts', () => {
  const { pass, take } = barriersOf('ttt', 'a', 'b', 'c')
  pass('a', 1, 2, 3)
  pass('b', 1, 2)
  expect(take()).toBe(' | -')
  pass('c', 1, 2)
  expect(take()).toBe('a2 b2 c2 | 2')
})

test('prepared are places for all that those have which store nothing, without a gap, until all are recorded there', () => {
  const { pass, take, prepared } = barriersOf('ptttpt', 'a', 'S', 'b')
  pass('a', 1, 2, 3)
  pass('b', 1, 3)
  expect(prepared()).toEqual([])
  pass('b', 2)
  expect(prepared()).toEqual(['2: a2 b2', '3: a3 b3'])
  pass('S', 1, 2)
  expect(take()).toBe('S2 a2 b2 | 2')
  expect(prepared()).toEqual(['3: a3 b3'])
  pass('a', 4, 5, 6)
  pass('b', 4)
  expect(prepared()).toEqual(['3: a3 b3', '4: a4 b4'])
  pass('S', 3, 4)
  expect(take()).toBe('S4 a5 b4 | 4')
  expect(prepared()).toEqual([])
})

test('nothing is prepared where all store positions, or none', () => {
  for (const sinks of [
    ['a', 'b'],
    ['A', 'B'],
  ]) {
    const { pass, prepared } = barriersOf('ttt', ...sinks)
    pass(sinks[0]!, 1, 2)
    if (sinks[0] === 'A') pass('B', 1)
    expect(prepared()).toEqual([])
  }
})

test('in whatever order sinks pass, no two are recorded on two sides of a place for all', () => {
  const random = seededRandom(SEED)
  for (let round = 0; round < 300; round++) {
    const kinds = Array.from({ length: 12 }, () => (random() < 0.4 ? 't' : 'p')).join('')
    const sinks = ['a', 'b', 'c']
    const { pass, take } = barriersOf(kinds, ...sinks)
    const passed = new Map(sinks.map((sink) => [sink, 0]))
    const recorded = new Map(sinks.map((sink) => [sink, 0]))
    while ([...passed.values()].some((id) => id < kinds.length)) {
      const sink = sinks[Math.floor(random() * 3)]!
      if (passed.get(sink)! < kinds.length) {
        passed.set(sink, passed.get(sink)! + 1)
        pass(sink, passed.get(sink)!)
      }
      if (random() < 0.5) continue
      const [taken] = take().split(' |')
      for (const one of taken!.split(' ').filter(Boolean)) recorded.set(one[0]!, Number(one.slice(1)))
      const [low, high] = [Math.min(...recorded.values()), Math.max(...recorded.values())]
      // Between two sinks there may only be plain places, but for the one at which the last of them stands.
      expect(kinds.slice(low, high), `seed ${SEED}, ${kinds}`).not.toContain('t')
    }
  }
})
