import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mayHaveHalf, mendHalves } from '../../../../src/homes/airbyte/read/halfPairs.js'

function mended(json: string): string {
  const bytes = Buffer.from(json)
  mendHalves(bytes)
  return bytes.toString()
}

test('half a surrogate pair becomes U+FFFD; a pair, and a backslash before such letters, stay', () => {
  expect(mended(String.raw`{"a":"\ud83d"}`)).toBe(String.raw`{"a":"\ufffd"}`)
  expect(mended(String.raw`["\uDE00\ud83d\ude00\ud83d", "x"]`)).toBe(String.raw`["\ufffd\ud83d\ude00\ufffd", "x"]`)
  expect(mended(String.raw`"\\ud83d \\\ud83d \n\u00e9"`)).toBe(String.raw`"\\ud83d \\\ufffd \n\u00e9"`)
  expect(mended(String.raw`"\ud83d\n\ude00"`)).toBe(String.raw`"\ufffd\n\ufffd"`)
})

test('as JSON the value is the same text, well formed; and what has nothing of the kind is never looked into', () => {
  const unit = fc.integer({ min: 0xd7f0, max: 0xe010 }).map((code) => String.fromCharCode(code))
  const text = fc.array(fc.oneof(unit, fc.constantFrom('\\', '"', 'ud83d', '\n', 'é')), { maxLength: 12 })
  fc.assert(
    fc.property(text, (parts) => {
      const value = parts.join('')
      const json = JSON.stringify(value).replace(/[\ud800-\udfff]/g, (one) => `\\u${one.charCodeAt(0).toString(16)}`)
      expect(JSON.parse(mended(json))).toBe(Buffer.from(value).toString())
      const bytes = Buffer.from(json)
      if (mended(json) !== json) expect(mayHaveHalf(bytes, 0, bytes.length)).toBe(true)
    }),
  )
})
