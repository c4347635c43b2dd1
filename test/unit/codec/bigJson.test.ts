import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseBigJson } from '../../../src/codec/text/bigJson.js'

test('integers beyond 2^53 are bigint, in whatever they stand', () => {
  expect(parseBigJson('{"a":9007199254740993,"b":[-9223372036854775808,{"c":1}],"d":9007199254740991}')).toStrictEqual({
    ...{ a: 9007199254740993n, b: [-9223372036854775808n, { c: 1 }], d: 9007199254740991 },
  })
  expect(parseBigJson('18446744073709551615')).toBe(18446744073709551615n)
})

test('texts and names that look like such numbers stay', () => {
  expect(parseBigJson('{"9007199254740993":"9007199254740993","q\\"9007199254740993":1.5e30}')).toStrictEqual({
    ...{ '9007199254740993': '9007199254740993', 'q"9007199254740993': 1.5e30 },
  })
})

test('everything else is as JSON.parse has it', () => {
  fc.assert(
    fc.property(
      fc.json().filter((text) => !/\d{16}/.test(text)),
      (text) => {
        expect(parseBigJson(text)).toStrictEqual(JSON.parse(text))
      },
    ),
  )
  for (const text of ['', '{', '01', '-', '9007199254740993x', '[9007199254740993']) {
    expect(() => parseBigJson(text)).toThrow(SyntaxError)
  }
})
