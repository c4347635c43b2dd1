import { expect, test } from 'vitest'
import { NULL_COLUMN, Tape, UNCHANGED_COLUMN } from '../../../src/core/tape.js'

test('room is made for what is asked, and what was there stays', () => {
  const tape = new Tape(4)
  for (let i = 0; i < 1000; i++) {
    tape.reserve(3)
    expect(tape.values.length).toBeGreaterThanOrEqual(tape.length + 3)
    tape.values.set([i, NULL_COLUMN, UNCHANGED_COLUMN], tape.length)
    tape.length += 3
  }
  const expected = Array.from({ length: 1000 }, (_, i) => [i, NULL_COLUMN, UNCHANGED_COLUMN]).flat()
  expect([...tape.values.subarray(0, tape.length)]).toEqual(expected)
})

test('one reservation far beyond the capacity is met', () => {
  const tape = new Tape(1)
  tape.reserve(10_000)
  expect(tape.values.length).toBeGreaterThanOrEqual(10_000)
})

test('room that is there is not made anew', () => {
  const tape = new Tape(8)
  const { values } = tape
  tape.length = 4
  tape.reserve(4)
  expect(tape.values).toBe(values)
})

test('no offset is taken for a state', () => {
  expect(NULL_COLUMN).toBeLessThan(0)
  expect(UNCHANGED_COLUMN).toBeLessThan(0)
  expect(NULL_COLUMN).not.toBe(UNCHANGED_COLUMN)
})
