import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  advance,
  beginOf,
  countReadings,
  firstUnread,
  forget,
  isOver,
  PASSED,
  type Reading,
  type Stretch,
  UNREAD,
} from '../../../../src/source/scan/stretches.js'

const reading = (n: number): Reading => ({ snapshot: `${n}:${n}:`, until: BigInt(n) })

/** In which snapshot each of the keys 1 to 20 was read. */
function readOf(stretches: readonly Stretch[]): (number | 'passed' | undefined)[] {
  return Array.from({ length: 20 }, (_, index) => {
    const { read } = stretches.find(({ to }) => to === undefined || index + 1 <= Number(to[0]))!
    return read === undefined || read === PASSED ? read : Number(read.until)
  })
}

const steps = fc.array(
  fc.oneof(
    fc.record({ to: fc.option(fc.integer({ min: 1, max: 20 })), by: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ passed: fc.integer({ min: 0, max: 6 }) }),
  ),
  { maxLength: 30 },
)

test('keys are read once each, in order, and their snapshot is kept until the stream has reached its end', () => {
  fc.assert(
    fc.property(steps, (taken) => {
      let stretches = UNREAD
      const expected = readOf(UNREAD)
      for (const step of taken) {
        const index = firstUnread(stretches)
        if ('passed' in step) {
          const kept = forget(stretches, BigInt(step.passed))
          for (const [key, read] of expected.entries()) {
            if (typeof read === 'number' && read <= step.passed) expected[key] = 'passed'
          }
          // The same one where nothing is over: a position need not be made anew.
          const over = stretches.some(
            ({ read }) => read !== undefined && read !== PASSED && read.until <= BigInt(step.passed),
          )
          if (!over) expect(kept).toBe(stretches)
          stretches = kept
        } else if (index >= 0) {
          const from = Number(beginOf(stretches, index)?.[0] ?? 0)
          const to = step.to === null ? undefined : Math.max(step.to, from + 1)
          if (to !== undefined && to > 20) continue
          stretches = advance(stretches, index, to === undefined ? undefined : [String(to)], reading(step.by))
          for (let key = from; key < (to ?? 20); key++) expected[key] = step.by
        }
        expect(readOf(stretches)).toEqual(expected)
        expect(stretches.at(-1)!.to).toBeUndefined()
        expect(isOver(stretches)).toBe(firstUnread(stretches) < 0 && countReadings(stretches) === 0)
      }
    }),
  )
})

test('neighbours of one snapshot are one stretch, those that are unread stay apart', () => {
  const two: Stretch[] = [
    { to: ['5'], read: undefined },
    { to: undefined, read: undefined },
  ]
  const first = advance(two, 0, ['3'], reading(1))
  expect(first.map(({ to }) => to)).toEqual([['3'], ['5'], undefined])
  // What is left of a stretch is still the same one.
  expect(first[1]).toBe(two[0])
  expect(advance(first, 1, undefined, reading(1)).map(({ to }) => to)).toEqual([['5'], undefined])
  expect(advance(first, 1, undefined, reading(2)).map(({ to }) => to)).toEqual([['3'], ['5'], undefined])
})
