import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatLsn, lastRecordEnd, laterLsn, parseLsn, readLsn } from '../../../src/postgres/lsn.js'

const lsn = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })

test('text and bytes read as what they were made of', () => {
  fc.assert(
    fc.property(lsn, fc.nat(5), (value, at) => {
      expect(parseLsn(formatLsn(value))).toBe(value)
      expect(parseLsn(formatLsn(value).toLowerCase())).toBe(value)
      const bytes = Buffer.alloc(20, 0xff)
      bytes.writeBigUInt64BE(value, at)
      expect(readLsn(bytes, at)).toBe(value)
    }),
  )
})

test.each([
  [0n, '0/0'],
  [0x16_b374_d848n, '16/B374D848'],
  [0xffff_ffffn, '0/FFFFFFFF'],
  [0x1_0000_0000n, '1/0'],
  [0x1_0000_000an, '1/A'],
  [2n ** 64n - 1n, 'FFFFFFFF/FFFFFFFF'],
])('%d is printed as the server prints it: %s', (value, text) => {
  expect(formatLsn(value)).toBe(text)
})

test.each([
  '',
  '0',
  '0/',
  '/0',
  '0/G',
  '0/123456789',
  '123456789/0',
  ' 0/1',
  '0/1 ',
  '-1/0',
  '0x1/0',
  '1/2/3',
  '0/1\n',
])('%j is no LSN', (text) => {
  expect(parseLsn(text)).toBeUndefined()
})

test('the later of two, by value and not by text', () => {
  expect(laterLsn(parseLsn('9/0')!, parseLsn('10/0')!)).toBe(parseLsn('10/0'))
  expect(laterLsn(parseLsn('0/10')!, parseLsn('0/9')!)).toBe(0x10n)
})

describe('the end of the last record, from the place of the next', () => {
  test.each([
    ['in a page', 0x0150_1234n, 0x0150_1234n],
    ["right behind a page's header", 0x0150_2018n, 0x0150_2000n],
    ["right behind a segment's longer header", 0x0200_0028n, 0x0200_0000n],
    ['at the end of a page', 0x0150_2000n, 0x0150_2000n],
  ])('%s', (_, insert, end) => {
    expect(lastRecordEnd(insert)).toBe(end)
  })
})
