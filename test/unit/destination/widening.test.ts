import { describe, expect, test } from 'vitest'
import { isOfOneKind, isSameOrWider, isWidening } from '../../../src/destination/widening.js'

describe('a type takes all values of another', () => {
  test.each([
    ['smallint', 'integer'],
    ['integer', 'bigint'],
    ['integer', 'numeric'],
    ['integer', 'numeric(12,2)'],
    ['real', 'double precision'],
    ['character varying(20)', 'character varying(21)'],
    ['character varying(20)', 'character varying'],
    ['character varying', 'text'],
    ['character(3)', 'text'],
    ['public.mood', 'text'],
    ['numeric(10,2)', 'numeric(12,2)'],
    ['numeric(10,2)', 'numeric(12,4)'],
    ['numeric(10,2)', 'numeric'],
    ['numeric(5)', 'numeric(6)'],
    ['bit varying(3)', 'bit varying(4)'],
    ['timestamp(3) without time zone', 'timestamp(6) without time zone'],
    ['timestamp(3) with time zone', 'timestamp with time zone'],
  ])('%s becomes %s', (from, to) => {
    expect(isWidening(from, to)).toBe(true)
    expect(isWidening(to, from)).toBe(false)
  })

  test.each([
    ['integer', 'integer'],
    ['bigint', 'numeric(20,2)'],
    ['integer', 'double precision'],
    ['numeric', 'numeric(10,2)'],
    ['numeric(10,2)', 'numeric(10,4)'],
    ['numeric(10,2)', 'numeric(11,1)'],
    ['character(3)', 'character(4)'],
    ['character varying', 'character varying(20)'],
    ['timestamp without time zone', 'timestamp with time zone'],
    ['integer[]', 'bigint[]'],
    ['text', 'integer'],
    ['public.a', 'public.b'],
  ])('%s does not become %s', (from, to) => {
    expect(isWidening(from, to)).toBe(false)
  })
})

test.each([
  ['integer', 'integer', true],
  ['integer', 'bigint', true],
  ['bigint', 'integer', false],
  ['character varying(10)', 'character varying(20)', true],
  ['character varying(10)', 'text', true],
  // 1.5 is 1.50 there.
  ['numeric(10,2)', 'numeric(12,4)', false],
  ['date', 'text', false],
])('%s in a column of type %s, in the same text: %s', (type, own, expected) => {
  expect(isSameOrWider(type, own)).toBe(expected)
})

test.each([
  ['bigint', 'integer', true],
  ['text', 'character varying(3)', true],
  ['numeric(10,2)', 'numeric(8,2)', true],
  ['text', 'integer', false],
  ['bigint', 'text', false],
  ['integer[]', 'integer[]', false],
])('%s and %s have one text for each value: %s', (from, to, expected) => {
  expect(isOfOneKind(from, to)).toBe(expected)
})
