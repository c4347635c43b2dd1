import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { calendarOf, clockText, DAY_MICROS, dateText, daysOf } from '../../../src/core/calendar.js'

describe('days', () => {
  test.each([
    [1970, 1, 1, 0],
    [2000, 2, 29, 11_016],
    [2000, 3, 1, 11_017],
    [1900, 2, 28, -25_509],
    [1900, 3, 1, -25_508],
    [1, 1, 1, -719_162],
    [0, 12, 31, -719_163],
    [0, 2, 29, -719_469],
    [-4713, 11, 24, -2_440_588],
    [5_874_897, 12, 31, 2_145_042_905],
  ])('of %i-%i-%i, and back', (year, month, day, days) => {
    expect(daysOf(year, month, day)).toBe(days)
    expect(calendarOf(days)).toStrictEqual({ year, month, day })
  })

  test('are those of JavaScript wherever it has dates', () => {
    fc.assert(
      fc.property(fc.integer({ min: -100_000_000, max: 100_000_000 }), (days) => {
        const date = new Date(days * (DAY_MICROS / 1000))
        const expected = { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() }
        expect(calendarOf(days)).toStrictEqual(expected)
        expect(daysOf(expected.year, expected.month, expected.day)).toBe(days)
      }),
    )
  })
})

test.each([
  [0, '1970-01-01'],
  [-719_163, '0001-12-31 BC'],
  [-2_440_588, '4714-11-24 BC'],
  [2_145_042_905, '5874897-12-31'],
])('the text of day %i', (days, text) => expect(dateText(days)).toBe(text))

test('a clock stands before the era', () => {
  expect(dateText(-719_163, ' 10:00:00')).toBe('0001-12-31 10:00:00 BC')
})

test.each([
  [0, '', '00:00:00'],
  [DAY_MICROS, '', '24:00:00'],
  [DAY_MICROS - 1, '', '23:59:59.999999'],
  [500_000, '', '00:00:00.5'],
  [3_723_000_001, '', '01:02:03.000001'],
  [1_000_000, '001', '00:00:01.000000001'],
  [1_000_000, '000', '00:00:01'],
])('the clock of %i microseconds and "%s" nanoseconds', (micros, nanos, text) => {
  expect(clockText(micros, nanos)).toBe(text)
})
