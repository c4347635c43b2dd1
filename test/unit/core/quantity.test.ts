import { expect, test } from 'vitest'
import { count, describeBytes, describeSeconds } from '../../../src/core/quantity.js'

test.each([
  [0, '0 bytes'],
  [1023, '1023 bytes'],
  [1024, '1 kB'],
  [1536, '1.5 kB'],
  [16 * 1024 * 1024, '16 MB'],
  [1024 ** 3 - 1, '1 GB'],
  [1.25 * 1024 ** 3, '1.3 GB'],
  [120.4 * 1024 ** 3, '120 GB'],
  [99.97 * 1024 ** 2, '100 MB'],
  [3 * 1024 ** 4, '3 TB'],
])('%d bytes', (bytes, text) => expect(describeBytes(bytes)).toBe(text))

test.each([
  [0, '0 s'],
  [0.5, '0.5 s'],
  [90, '90 s'],
  [120, '2 min'],
  [7199, '120 min'],
  [7200, '2 h'],
  [172_800, '2 days'],
])('%d seconds', (seconds, text) => expect(describeSeconds(seconds)).toBe(text))

test.each([
  [0, '0'],
  [999, '999'],
  [1000, '1,000'],
  [1_234_567, '1,234,567'],
  [-1234, '-1,234'],
  [999.6, '1,000'],
])('%d counted', (value, text) => expect(count(value)).toBe(text))
