import { describe, expect, test } from 'vitest'
import { lookAgainMs, type Outcome, Settling } from '../../../src/verify/settling.js'

/** Each look takes 10 ms; gives what comes of each. */
function judge(states: readonly (readonly [atMs: number, source: string, target: string])[]): Outcome[] {
  const settling = new Settling({ settleMs: 1000, patienceMs: 6000 })
  const [first, ...later] = states
  settling.add('row', first![1], first![2], lookAt(first![0]))
  const outcomes: Outcome[] = []
  for (const [atMs, source, target] of later) {
    const outcome = settling.judge('row', source, target, lookAt(atMs))
    outcomes.push(outcome)
    expect(settling.open).toEqual(outcome === 'open' ? ['row'] : [])
    if (outcome !== 'open') break
  }
  return outcomes
}

const lookAt = (begunMs: number) => ({ begunMs, endedMs: begunMs + 10 })

describe('a row that looked different', () => {
  test('is equal once both sides show the same', () => {
    expect(
      judge([
        [0, 'b', 'a'],
        [100, 'b', 'a'],
        [200, 'b', 'b'],
      ]),
    ).toEqual(['open', 'equal'])
    expect(
      judge([
        [0, 'b', ''],
        [100, '', ''],
      ]),
    ).toEqual(['equal'])
  })

  test('is different when both have stood still for the time to settle, and not a moment earlier', () => {
    expect(
      judge([
        [0, 'b', 'a'],
        [1000, 'b', 'a'],
        [1010, 'b', 'a'],
      ]),
    ).toEqual(['open', 'different'])
    expect(
      judge([
        [0, '', 'a'],
        [1010, '', 'a'],
      ]),
    ).toEqual(['different'])
  })

  test('begins to settle anew when one side changes', () => {
    expect(
      judge([
        [0, 'b', 'a'],
        [900, 'c', 'a'],
        [1500, 'c', 'a'],
        [1909, 'c', 'a'],
        [1910, 'c', 'a'],
      ]),
    ).toEqual(['open', 'open', 'open', 'different'])
  })

  test('is equal when the target comes to what the source has shown before', () => {
    expect(
      judge([
        [0, 'b', 'a'],
        [100, 'c', 'a'],
        [200, 'd', 'x'],
        [300, 'e', 'c'],
      ]),
    ).toEqual(['open', 'open', 'equal'])
  })

  test('is not equal because the source comes to what the target has shown', () => {
    expect(
      judge([
        [0, 'b', 'a'],
        [100, 'b', 'c'],
        [200, 'a', 'd'],
        [1300, 'a', 'd'],
      ]),
    ).toEqual(['open', 'open', 'different'])
  })

  test('is given up when it changes for longer than patience lasts', () => {
    const changing = Array.from({ length: 14 }, (_, n) => [n * 500, `s${n}`, `t${n}`] as const)
    expect(judge(changing)).toEqual([...Array.from({ length: 12 }, () => 'open'), 'unsettled'])
  })

  test('need not stand still where nothing writes', () => {
    const settling = new Settling({ settleMs: 0, patienceMs: 100 })
    settling.add('row', 'a', 'b', lookAt(0))
    expect(settling.judge('row', 'a', 'b', lookAt(10))).toBe('different')
  })
})

test('looks come as often as looking is cheap', () => {
  expect(lookAgainMs(1, 10_000)).toBe(20)
  expect(lookAgainMs(400, 10_000)).toBe(800)
  expect(lookAgainMs(60_000, 10_000)).toBe(2500)
  expect(lookAgainMs(60_000, 0)).toBe(1000)
})
